// What becomes of finished results, told to every part of the page that shows them: `document` hears
// `relume:saved` when one was made at another strength, and `relume:deleted` when its files are gone.

/** @param item `{name, jobId, jobs}`, `jobs` all ids that it ever had here; once saved a ViewerItem. `given`: what it was opened from. */
export const tellChange = (what, item, given = null) =>
  document.dispatchEvent(new CustomEvent(`relume:${what}`, { detail: { item, given } }));

/** Calls `hear(item)` each time. Gives a function that ends it. */
export function onChange(what, hear) {
  const listener = ({ detail }) => hear(detail.item);
  document.addEventListener(`relume:${what}`, listener);
  return () => document.removeEventListener(`relume:${what}`, listener);
}
