// The viewer's panel: what was done to the photo, and how long its files are kept.

import { account, factsOf, keptFor } from './facts.js';
import { explain } from './i18n.js';

const WIDE = '(min-width: 60rem)';
const EVERY_MINUTE_MS = 60_000;

export class FactsPanel {
  #item = null; // whose facts were asked for last
  #facts = null;
  #clock = null;

  /** @param part (name) => element */
  constructor(part, api) {
    Object.assign(this, { part, api });
  }

  /** Where there is room, it stands beside the photo from the beginning. */
  open() {
    this.#show(matchMedia(WIDE).matches);
    this.#clock = setInterval(() => this.#tellKept(), EVERY_MINUTE_MS);
  }

  leave() {
    clearInterval(this.#clock);
  }

  toggle() {
    this.#show(this.part('panel').hidden);
  }

  /** Until the facts of the next photo are there. */
  wait() {
    this.#facts = null;
    this.part('account').replaceChildren(waiting());
    this.#tellKept();
  }

  /** Asks for the facts of an item and tells them. Resolves to them; null when they could not be had. */
  async learn(item) {
    this.#item = item;
    try {
      const facts = await factsOf(this.api, item);
      if (item === this.#item) this.#tell(facts);
      return facts;
    } catch (error) {
      if (item === this.#item) this.part('account').replaceChildren(paragraph(explain(error)));
      return null;
    }
  }

  relabel() {
    this.#tell(this.#facts);
  }

  #show(isShown) {
    this.part('panel').hidden = !isShown;
    this.part('facts').setAttribute('aria-expanded', String(isShown));
  }

  #tell(facts) {
    this.#facts = facts;
    this.part('account').replaceChildren(...(facts?.account ? account(facts.account) : []));
    this.#tellKept();
  }

  #tellKept() {
    this.part('kept').textContent = this.#facts ? keptFor(this.#facts.expiresAt) : '';
  }
}

const paragraph = (text) => Object.assign(document.createElement('p'), { className: 'panel-note', textContent: text });

const waiting = () => Object.assign(document.createElement('div'), { className: 'facts-waiting' });
