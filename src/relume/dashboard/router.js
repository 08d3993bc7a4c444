// Which view is shown: the part of the address after `#/`. Start is always there, the others are
// loaded when they are first wanted and taken away when they are left.

import { translate } from './i18n.js';

const START = 'start';
const VIEWS = [START, 'generate', 'history', 'operations'];

/** Another anchor, such as `#main`, is no route: null. */
function routeOf(hash) {
  if (hash !== '' && !hash.startsWith('#/')) return null;
  const [name, query = ''] = hash.slice(2).split('?');
  return { name: VIEWS.includes(name) ? name : START, params: new URLSearchParams(query) };
}

export const go = (name) => {
  location.hash = name === START ? '#/' : `#/${name}`;
};

export class Router {
  #current = null;
  #unmount = null;
  #attempts = 0; // browsers remember that a module failed, by its address

  /**
   * @param start the element of Start; `outlet` the one that the other views fill
   * @param context what `mount(root, context)` of a view is given, `params` of the address added
   * @param onShown called with the view's name and whether it is the page's first
   */
  constructor({ start, outlet, context, onShown }) {
    Object.assign(this, { start, outlet, context, onShown });
    addEventListener('hashchange', () => this.#follow());
    this.#follow();
  }

  #follow() {
    const route = routeOf(location.hash);
    if (route && route.name !== this.#current) return this.#show(route);
  }

  async #show({ name, params }) {
    const isFirst = this.#current === null;
    this.#current = name;
    this.#leave();
    document.body.dataset.view = name;
    this.start.hidden = name !== START;
    this.outlet.hidden = name === START;
    if (name !== START) await this.#mount(name, params);
    if (this.#current === name) this.onShown(name, isFirst);
  }

  #leave() {
    this.#unmount?.();
    this.#unmount = null;
    this.outlet.replaceChildren();
  }

  async #mount(name, params) {
    const root = document.createElement('div');
    root.className = `view view-${name}`;
    try {
      const again = this.#attempts ? `?attempt=${this.#attempts}` : '';
      const { mount } = await import(`./views/${name}.js${again}`);
      const unmount = await mount(root, { ...this.context, params });
      if (this.#current !== name) return unmount?.(); // The person went on before it was there.
      this.#unmount = unmount;
      this.outlet.replaceChildren(root);
    } catch {
      this.#attempts += 1;
      if (this.#current === name) this.#offerAgain(name);
    }
  }

  #offerAgain(name) {
    this.outlet.replaceChildren(document.getElementById('view-failed').content.cloneNode(true));
    translate(this.outlet);
    this.outlet.querySelector('button').addEventListener('click', () => {
      this.#current = null;
      this.#show({ name, params: new URLSearchParams() });
    });
  }
}
