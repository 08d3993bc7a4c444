// Small pictures of the originals. A card shows at most 800 pixels; keeping hundreds of full photos
// decoded would take gigabytes. One photo is decoded at a time.

const CARD_PIXELS = 800;

let last = Promise.resolve();

/** Sets `previewUrl`, `width` and `height`, or leaves them where this browser cannot read the file. */
export function makePreview(photo) {
  last = last.then(() => preview(photo)).catch(() => {
    // HEIC in most browsers, or no image at all: the card keeps its placeholder.
  });
  return last;
}

async function preview(photo) {
  const full = await createImageBitmap(photo.file);
  const { width, height } = full;
  try {
    photo.update({ width, height, previewUrl: URL.createObjectURL(await shrink(full, photo.file)) });
  } finally {
    full.close();
  }
}

async function shrink(image, file) {
  const scale = CARD_PIXELS / Math.max(image.width, image.height);
  if (scale >= 1) return file;
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/webp', 0.85));
}
