// Small pictures of the originals, for cards that are on the screen or near it. Keeping hundreds of
// full photos decoded would take gigabytes, so two are decoded at a time, and kept small.

const CARD_PIXELS = 800;
const AT_ONCE = 2;
const NEAR = '800px';

const photoOf = new WeakMap(); // element → photo
const waiting = [];
let working = 0;

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      waiting.push(photoOf.get(target));
    }
    pump();
  },
  { rootMargin: NEAR },
);

/** Sets the photo's `previewUrl`, `width` and `height` when `element` comes near the window. */
export function previewWhenNear(element, photo) {
  photoOf.set(element, photo);
  observer.observe(element);
}

export function forgetPreview(element) {
  observer.unobserve(element);
  const index = waiting.indexOf(photoOf.get(element));
  if (index >= 0) waiting.splice(index, 1);
}

function pump() {
  while (working < AT_ONCE && waiting.length) {
    working += 1;
    preview(waiting.shift())
      .catch(() => {
        // HEIC in most browsers, or no image at all: the card keeps its placeholder.
      })
      .finally(() => {
        working -= 1;
        pump();
      });
  }
}

async function preview(photo) {
  const { width, height } = await sizeOf(photo.file);
  const scale = Math.min(1, CARD_PIXELS / Math.max(width, height));
  const bitmap = await createImageBitmap(photo.file, {
    resizeWidth: Math.max(1, Math.round(width * scale)),
    resizeHeight: Math.max(1, Math.round(height * scale)),
    resizeQuality: 'high',
  });
  photo.update({ width, height, previewUrl: URL.createObjectURL(await encoded(bitmap)) });
}

/** Upright, in pixels. The browser reads the head of the file for it and decodes nothing yet. */
function sizeOf(file) {
  const image = new Image();
  const url = URL.createObjectURL(file);
  return new Promise((resolve, reject) => {
    image.onload = () => resolve({ width: image.naturalWidth, height: image.naturalHeight });
    image.onerror = () => reject(new Error('not an image that this browser reads'));
    image.src = url;
  }).finally(() => URL.revokeObjectURL(url));
}

function encoded(bitmap) {
  const canvas = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: bitmap.height });
  canvas.getContext('2d').drawImage(bitmap, 0, 0); // Transferred, Chromium would lose the EXIF orientation.
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/webp', 0.85));
}
