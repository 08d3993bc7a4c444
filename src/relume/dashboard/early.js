// Before anything is drawn, so that a dark page does not flash white: the theme that was chosen.
try {
  document.documentElement.dataset.theme = localStorage.getItem('relume.theme') ?? 'auto';
} catch {
  document.documentElement.dataset.theme = 'auto'; // Storage is blocked.
}
