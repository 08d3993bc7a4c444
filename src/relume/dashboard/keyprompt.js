// Asks for the API key. However many requests want one, there is one question.

const dialog = document.getElementById('key-dialog');
const field = dialog.querySelector('input');
let question = null;

dialog.querySelector('[data-part=decline]').addEventListener('click', () => dialog.close());

/** @returns {Promise<string|null>} the key, or null if the person declined */
export function askForKey(wasRefused) {
  question ??= ask(wasRefused).finally(() => (question = null));
  return question;
}

function ask(wasRefused) {
  dialog.querySelector('[data-part=wrong]').hidden = !wasRefused;
  field.setAttribute('aria-invalid', String(wasRefused));
  field.value = '';
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    const answered = () => resolve(dialog.returnValue === 'key' ? field.value.trim() || null : null);
    dialog.addEventListener('close', answered, { once: true });
  });
}
