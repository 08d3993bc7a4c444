// A view is shown when its first figures are there, or soon after: nothing jumps into place in the
// usual case, and a slow service does not keep the page empty.

const PATIENCE_MS = 400;

/** Resolves with `work`, or after a moment without it. Never rejects. */
export const briefly = (work) =>
  Promise.race([work.catch(() => null), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);

/** Calls `work` every `ms` while the page can be seen, and at once when it is seen again. Returns a function that ends it. */
export function whileSeen(work, ms) {
  let timer = null;
  const run = () => {
    clearInterval(timer);
    if (document.hidden) return;
    timer = setInterval(work, ms);
  };
  const turned = () => {
    run();
    if (!document.hidden) work();
  };
  document.addEventListener('visibilitychange', turned);
  run();
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', turned);
  };
}
