// Pictures that wait to be sent: from the file button, dropped, or pasted.
import { make } from './boxes.js';

const types = ['image/png', 'image/jpeg', 'image/webp', 'image/bmp', 'image/gif'];

// A picture as the page needs it: to show (url), to send (data), and its size, for boxes.
export async function read(file) {
  if (!types.includes(file.type)) throw new Error(`${file.name || 'That'} is not a PNG, JPEG, WebP, BMP or GIF picture`);
  const url = URL.createObjectURL(file);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(url);
    throw new Error(`${file.name} cannot be read as a picture`);
  }
  const data = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error(`${file.name} cannot be read`));
    reader.readAsDataURL(file);
  });
  return { url, data, name: file.name || 'Picture', width: image.naturalWidth, height: image.naturalHeight };
}

// Shows them above the question, each with a button that takes it away again.
export function showWaiting(list, pictures, remove) {
  list.replaceChildren(...pictures.map((picture, index) => {
    const item = document.createElement('li');
    const image = item.appendChild(document.createElement('img'));
    image.src = picture.url;
    image.alt = picture.name;
    const button = item.appendChild(make('button'));
    button.type = 'button';
    button.setAttribute('aria-label', `Remove ${picture.name}`);
    button.innerHTML = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M6 6l12 12M18 6L6 18"/></svg>';
    button.addEventListener('click', () => remove(index));
    return item;
  }));
  list.hidden = pictures.length === 0;
}

// Takes pictures dropped anywhere on the page, and pasted ones; text is left to the browser.
export function receive(add) {
  const holdsFiles = event => [...event.dataTransfer?.types ?? []].includes('Files');
  addEventListener('dragover', event => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    document.body.classList.add('dropping');
  });
  addEventListener('dragleave', event => {
    if (!event.relatedTarget) document.body.classList.remove('dropping');
  });
  addEventListener('drop', event => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    document.body.classList.remove('dropping');
    add([...event.dataTransfer.files]);
  });
  addEventListener('paste', event => {
    const files = [...event.clipboardData?.files ?? []];
    if (files.length === 0) return;
    event.preventDefault();
    add(files);
  });
}
