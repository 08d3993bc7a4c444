// The viewer's keys. `does` has one function for each thing; a key of a control that has the focus is left to it.

const LOOK_PIXELS = 80;
const STEP_GROWTH = 1.25;
const HOLD_KEYS = new Set(['o', 'O', ' ']);

const isControl = (target) => target.closest('button, a, input, select, [role=slider]') !== null;
const isSet = ({ ctrlKey, metaKey, altKey }) => ctrlKey || metaKey || altKey;

export function listenToKeys(dialog, zoom, does) {
  const keys = keysOf(zoom, does);
  dialog.addEventListener('keydown', (event) => {
    if (isSet(event) || event.defaultPrevented) return;
    if (HOLD_KEYS.has(event.key)) return holdBy(event, does);
    const act = event.shiftKey && event.key.startsWith('Arrow') ? lookBy(event.key, zoom) : keys[event.key];
    if (!act || (event.target.type === 'range' && event.key.startsWith('Arrow'))) return;
    event.preventDefault();
    act();
  });
  dialog.addEventListener('keyup', (event) => HOLD_KEYS.has(event.key) && does.hold(false));
}

function keysOf(zoom, does) {
  return {
    ArrowLeft: () => does.turn(-1), ArrowRight: () => does.turn(+1),
    0: () => zoom.fit(), 1: () => zoom.to(1), 2: () => zoom.to(2),
    '+': () => zoom.by(STEP_GROWTH), '=': () => zoom.by(STEP_GROWTH), '-': () => zoom.by(1 / STEP_GROWTH),
    i: does.facts, I: does.facts, '?': does.help,
  };
}

function lookBy(key, zoom) {
  const [right, down] = {
    ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1],
  }[key];
  return () => zoom.pan(right * LOOK_PIXELS, down * LOOK_PIXELS);
}

/** The space bar presses a button that has the focus. */
function holdBy(event, does) {
  if (event.key === ' ' && isControl(event.target)) return;
  event.preventDefault();
  if (!event.repeat) does.hold(true);
}
