// Files out of a drop or a paste; folders opened, and what is no photo left in them.

import { isPhotoName } from './photo.js';

/** @returns {Promise<File[]>} */
export async function filesOf(transfer) {
  // Entries must be taken before the first await: the list is emptied when the event is over.
  const entries = [...transfer.items]
    .filter((item) => item.kind === 'file')
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  return (await Promise.all(entries.map(open))).flat();
}

async function open(entry) {
  if (!entry) return [];
  if (entry instanceof File) return [entry];
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const children = await childrenOf(entry);
  return (await Promise.all(children.filter(({ name, isFile }) => (isFile ? isPhotoName(name) : !name.startsWith('.'))).map(open))).flat();
}

/** A folder gives its entries in parts of at most 100, until an empty part. */
async function childrenOf(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return all;
    all.push(...part);
  }
}
