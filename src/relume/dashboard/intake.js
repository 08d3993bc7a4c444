// How photos come in: chosen, as a folder, dropped or pasted.

import { filesOf } from './dropped.js';
import { isPhotoName } from './photo.js';

const byId = (id) => document.getElementById(id);

/** @param onFiles called with a list of files, and whether they are those of a folder */
export function startIntake(onFiles) {
  startChoosing(byId('choose'), byId('file-input'), (files) => onFiles(files, false));
  startChoosing(byId('choose-folder'), byId('folder-input'), (files) =>
    onFiles(files.filter(({ name }) => isPhotoName(name)), true),
  );
  byId('choose-folder').hidden = !('webkitdirectory' in byId('folder-input'));
  document.addEventListener('paste', async (event) => {
    const files = await filesOf(event.clipboardData);
    if (files.length) onFiles(files, false);
  });
  startDrop(onFiles);
}

function startChoosing(button, input, onChosen) {
  button.addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    const files = [...input.files];
    input.value = ''; // So that the same file can be chosen again.
    if (files.length) onChosen(files);
  });
}

function startDrop(onFiles) {
  const bringsFiles = (event) => event.dataTransfer?.types.includes('Files');
  const over = (isOver) => document.body.classList.toggle('is-dragged-over', isOver);
  document.addEventListener('dragover', (event) => {
    if (!bringsFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    over(true);
  });
  document.addEventListener('dragleave', (event) => event.relatedTarget ?? over(false));
  document.addEventListener('drop', async (event) => {
    over(false);
    if (!bringsFiles(event)) return;
    event.preventDefault();
    const hasFolder = [...event.dataTransfer.items].some((item) => item.webkitGetAsEntry?.()?.isDirectory);
    onFiles(await filesOf(event.dataTransfer), hasFolder);
  });
}
