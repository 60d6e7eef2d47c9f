// Pictures that wait to be sent: from the file button, dropped, or pasted.
import { make } from './boxes.js';
import { preview } from './server.js';

const types = ['image/png', 'image/jpeg', 'image/webp', 'image/bmp', 'image/gif'];

// A picture as the page needs it: to show (url), to send (data), and its size, for boxes. Of a DICOM or TIFF file also what was chosen, and what the server says of it (view).
// What browsers cannot show goes to the server twice: for a picture to look at, and, whole, with the question.
export async function read(file, key) {
  const type = medicalType(new Uint8Array(await file.slice(0, 132).arrayBuffer()), file.name ?? '');
  if (type) {
    const data = await dataUrl(new Blob([file], { type }));
    return await look({ data, name: file.name }, { frame: 1, window: null }, key);
  }
  if (!types.includes(file.type)) throw new Error(`${file.name || 'That'} is not a PNG, JPEG, WebP, BMP, GIF, TIFF or DICOM picture`);
  const { image, ...shown } = await show(file, file.name);
  // Cameras lay pictures on their side and say so in the file. A browser turns them up; the model would see, and measure, the side.
  const sent = isTurned(new Uint8Array(await file.slice(0, 1 << 16).arrayBuffer())) ? await upright(image) : file;
  return { ...shown, data: await dataUrl(sent) };
}

// The frame of a file that was chosen, through the window that was chosen; null for what the file asks for.
export async function look({ data, name }, choice, key) {
  const { picture, ...view } = await preview(data, choice, key);
  const png = Uint8Array.from(atob(picture.slice(picture.indexOf(',') + 1)), letter => letter.charCodeAt(0));
  return { ...await show(new Blob([png], { type: 'image/png' }), name), data, choice, view };
}

// What goes to the model: what is seen, never a choice whose picture has not come yet.
export function part({ data, choice, view }) {
  if (!view || (choice.frame === 1 && view.window === null)) return { type: 'image_url', image_url: { url: data } };
  return { type: 'image_dicom', image_dicom: { url: data, frame: choice.frame, ...view.window === null ? {} : { window: view.window } } };
}

// The media type of a DICOM or TIFF file by its first bytes, or by its name where old devices write DICOM without a preamble; null for anything else.
export function medicalType(bytes, name) {
  const text = (from, to) => String.fromCharCode(...bytes.slice(from, to));
  if (text(128, 132) === 'DICM' || /\.(dcm|dicom)$/i.test(name)) return 'application/dicom';
  return ['II*\0', 'MM\0*'].includes(text(0, 4)) ? 'image/tiff' : null;
}

async function show(blob, name) {
  const url = URL.createObjectURL(blob);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(url);
    throw new Error(`${name} cannot be read as a picture`);
  }
  return { image, url, name: name || 'Picture', width: image.naturalWidth, height: image.naturalHeight };
}

// Whether a JPEG's EXIF data has an orientation (tag 0x0112) other than 1, in either order of bytes.
export function isTurned(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint16(0) !== 0xffd8) return false;
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; at += 2 + view.getUint16(at + 2)) {
    if (bytes[at + 1] !== 0xe1 || at + 18 > bytes.length || view.getUint32(at + 4) !== 0x45786966) continue;
    const tiff = at + 10, little = view.getUint16(tiff) === 0x4949;
    const directory = tiff + view.getUint32(tiff + 4, little);
    if (directory + 2 > bytes.length) return false;
    const end = directory + 2 + 12 * view.getUint16(directory, little);
    for (let entry = directory + 2; entry + 12 <= Math.min(end, bytes.length); entry += 12) if (view.getUint16(entry, little) === 0x0112) return view.getUint16(entry + 8, little) > 1;
    return false;
  }
  return false;
}

async function upright(image) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  canvas.getContext('2d').drawImage(image, 0, 0);
  return await new Promise(resolve => canvas.toBlob(resolve, 'image/jpeg', .95));
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error('The picture cannot be read'));
    reader.readAsDataURL(blob);
  });
}

// Shows them above the question, each with a button that takes it away again, and one to choose what of it is sent where that can be.
export function showWaiting(list, pictures, remove, choose) {
  list.replaceChildren(...pictures.map((picture, index) => {
    const item = document.createElement('li');
    const image = item.appendChild(document.createElement('img'));
    image.src = picture.url;
    image.alt = picture.name;
    if (choose(index)) {
      const chooser = item.appendChild(iconButton('choose', `Frame and window of ${picture.name}`, 'M4 8h9M19 8h1M4 16h1M11 16h9M13 8a3 3 0 1 0 6 0a3 3 0 1 0-6 0M5 16a3 3 0 1 0 6 0a3 3 0 1 0-6 0'));
      chooser.setAttribute('aria-controls', 'view');
      chooser.setAttribute('aria-expanded', 'false');
      chooser.addEventListener('click', choose(index));
    }
    item.appendChild(iconButton('remove', `Remove ${picture.name}`, 'M6 6l12 12M18 6L6 18')).addEventListener('click', () => remove(index));
    return item;
  }));
  list.hidden = pictures.length === 0;
}

function iconButton(className, label, path) {
  const button = make('button', className);
  button.type = 'button';
  button.setAttribute('aria-label', label);
  button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
  return button;
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
