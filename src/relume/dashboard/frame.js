// Drawing once a frame, however often something changes in it.

const wanted = new Set();

/** `draw` is called in the next frame, once. */
export function nextFrame(draw) {
  if (!wanted.size) requestAnimationFrame(drawAll);
  wanted.add(draw);
}

function drawAll() {
  const now = [...wanted];
  wanted.clear();
  for (const draw of now) draw();
}
