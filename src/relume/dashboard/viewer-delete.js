// Delete now: asks first, then deletes the files of all jobs that were made of a photo.

import { explain } from './i18n.js';

export class Deletion {
  #item = null;

  /** @param dialog the question; @param part (name) => element; @param deleted called with the item when it is gone */
  constructor(dialog, part, api, deleted) {
    Object.assign(this, { dialog, part, api, deleted });
    part('delete-yes').addEventListener('click', () => this.#delete());
  }

  ask(item) {
    this.#item = item;
    this.part('delete-error').hidden = true;
    this.dialog.showModal();
  }

  async #delete() {
    const item = this.#item;
    this.part('delete-yes').disabled = true;
    try {
      await Promise.all(item.jobs.map((id) => this.api.json(`api/v1/jobs/${id}/files`, { method: 'DELETE' })));
      this.dialog.close();
      this.deleted(item);
    } catch (error) {
      Object.assign(this.part('delete-error'), { textContent: explain(error), hidden: false });
    }
    this.part('delete-yes').disabled = false;
  }
}
