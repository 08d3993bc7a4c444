// What fingers, mouse and wheel do on the viewer's stage.
//
// Where there is more of the picture than fits, one pointer looks around. Where the whole of it is seen, the mouse moves
// the divider and a finger turns to the next photo. The divider's handle moves it in either case.

const TAP_MS = 300;
const TAP_DISTANCE = 24;
const STILL = 6;
const SWIPE_DISTANCE = 56;
const PIXELS_A_LINE = 16; // of a wheel that counts in lines
const GROWTH_A_PIXEL = 0.0016;
const GROWTH_A_PINCHED_PIXEL = 0.01; // a trackpad reports a pinch as a wheel with Ctrl, in small steps

const middleOf = ([one, other]) => ({ x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 });
const distanceOf = ([one, other]) => Math.hypot(one.x - other.x, one.y - other.y);

export class Gestures {
  #pointers = new Map(); // id → where it is now
  #drag = null; // {kind: 'divide' | 'pan' | 'swipe', from, last, moved}
  #tap = { time: -Infinity, x: 0, y: 0 };

  /** @param does {divide(x), grab(), turn(by)}: move the divider, take it in hand, go to a neighbour */
  constructor(stage, handle, zoom, does) {
    Object.assign(this, { stage, handle, zoom, does });
    stage.addEventListener('pointerdown', (event) => this.#down(event));
    stage.addEventListener('pointermove', (event) => this.#move(event));
    stage.addEventListener('pointerup', (event) => this.#up(event));
    stage.addEventListener('pointercancel', (event) => this.#end(event));
    stage.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
  }

  #at({ clientX, clientY }) {
    const { left, top } = this.stage.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  }

  #down(event) {
    if (event.button !== 0 || event.target.closest('button, a')) return;
    const at = this.#at(event);
    this.#pointers.set(event.pointerId, at);
    this.stage.setPointerCapture(event.pointerId);
    event.preventDefault();
    if (this.#pointers.size > 1) this.#drag = null; // A second finger: it is a pinch now.
    else this.#begin(event, at);
  }

  #begin(event, at) {
    const onHandle = this.handle.contains(event.target);
    const isFinger = event.pointerType === 'touch';
    const kind = onHandle ? 'divide' : this.zoom.canPan ? 'pan' : isFinger ? 'swipe' : 'divide';
    this.#drag = { kind, from: at, last: at, moved: false };
    this.stage.dataset.drag = kind;
    if (kind !== 'divide') return;
    this.does.grab();
    if (!isFinger) this.does.divide(at.x);
  }

  #move(event) {
    if (!this.#pointers.has(event.pointerId)) return;
    const before = [...this.#pointers.values()];
    const at = this.#at(event);
    this.#pointers.set(event.pointerId, at);
    if (before.length === 2) this.#pinch(before, [...this.#pointers.values()]);
    else if (this.#drag) this.#drags(this.#drag, at);
  }

  #drags(drag, at) {
    drag.moved ||= Math.hypot(at.x - drag.from.x, at.y - drag.from.y) > STILL;
    if (drag.kind === 'divide') this.does.divide(at.x);
    if (drag.kind === 'pan') this.zoom.pan(at.x - drag.last.x, at.y - drag.last.y);
    drag.last = at;
  }

  #pinch(before, now) {
    const [from, to] = [middleOf(before), middleOf(now)];
    this.zoom.pan(to.x - from.x, to.y - from.y);
    this.zoom.by(distanceOf(now) / (distanceOf(before) || 1), to);
  }

  #up(event) {
    const drag = this.#drag;
    if (drag && this.#pointers.size === 1) {
      const at = this.#at(event);
      if (drag.kind === 'swipe') this.#swiped(drag, at);
      if (!drag.moved) this.#tapped(event, at);
    }
    this.#end(event);
  }

  #end(event) {
    this.#pointers.delete(event.pointerId);
    this.#drag = null;
    delete this.stage.dataset.drag;
  }

  #swiped({ from }, at) {
    const [right, down] = [at.x - from.x, Math.abs(at.y - from.y)];
    if (Math.abs(right) > SWIPE_DISTANCE && Math.abs(right) > 2 * down) this.does.turn(right < 0 ? +1 : -1);
  }

  /** Two taps at one place and within a moment are one double tap, of a mouse as of a finger. */
  #tapped({ timeStamp: time }, { x, y }) {
    const last = this.#tap;
    const isSecond = time - last.time < TAP_MS && Math.hypot(x - last.x, y - last.y) < TAP_DISTANCE;
    this.#tap = isSecond ? { ...last, time: -Infinity } : { time, x, y };
    if (isSecond) this.zoom.toggle({ x, y });
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? PIXELS_A_LINE : 1);
    const growth = event.ctrlKey ? GROWTH_A_PINCHED_PIXEL : GROWTH_A_PIXEL;
    this.zoom.by(Math.exp(-pixels * growth), this.#at(event));
  }
}
