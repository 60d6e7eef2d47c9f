// Boxes in an answer, and a picture with them drawn over it.
const number = String.raw`\s*(-?\d+(?:\.\d+)?)\s*`;
const four = String.raw`\[${number},${number},${number},${number}\]`;

// Two spellings: [x1, y1, x2, y2] in the picture's own pixels, and Gemma's "box_2d": [y0, x0, y1, x1] in thousandths of its height and width, or of the
// square that it was padded to. Boxes without an extent, and those that lie outside the picture, are no boxes.
export function findBoxes(text, width, height, padded = false) {
  const side = Math.max(width, height), [across, down] = padded ? [side, side] : [width, height];
  const [x, y] = padded ? [Math.floor((side - width) / 2), Math.floor((side - height) / 2)] : [0, 0];
  const boxes = [];
  for (const found of text.matchAll(new RegExp(String.raw`(?:"?box_2d"?\s*:\s*)?${four}`, 'g'))) {
    const [a, b, c, d] = found.slice(1, 5).map(Number);
    const scaled = found[0][0] !== '[';
    const [left, top, right, bottom] = scaled ? [b / 1000 * across - x, a / 1000 * down - y, d / 1000 * across - x, c / 1000 * down - y] : [a, b, c, d];
    const box = { left: Math.max(0, left), top: Math.max(0, top), right: Math.min(width, right), bottom: Math.min(height, bottom) };
    if (box.right > box.left && box.bottom > box.top) boxes.push({ ...box, label: scaled ? labelOf(text, found.index, found[0].length) : '' });
  }
  return boxes;
}

// The label stands in the same object, before the box or behind it.
function labelOf(text, at, length) {
  const opens = text.lastIndexOf('{', at), closes = text.indexOf('}', at + length);
  const object = text.slice(opens < 0 ? 0 : opens, closes < 0 ? text.length : closes);
  return /"label"\s*:\s*"([^"]*)"/.exec(object)?.[1] ?? '';
}

// A figure: the picture, its boxes, and the same in words.
export function annotated(picture, boxes) {
  const figure = document.createElement('figure');
  const frame = figure.appendChild(make('div', 'picture'));
  const image = frame.appendChild(document.createElement('img'));
  image.src = picture.url;
  image.alt = `${picture.name} with ${boxes.length === 1 ? 'a box' : `${boxes.length} boxes`} drawn on it`;
  const drawing = frame.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'svg'));
  drawing.setAttribute('viewBox', `0 0 ${picture.width} ${picture.height}`);
  drawing.setAttribute('preserveAspectRatio', 'none');
  drawing.setAttribute('aria-hidden', 'true');
  const words = figure.appendChild(document.createElement('figcaption')).appendChild(document.createElement('ul'));
  boxes.forEach((box, index) => {
    for (const kind of ['edge', 'box']) drawing.appendChild(rectangle(box, kind));
    if (boxes.length > 1) {
      const tag = frame.appendChild(make('span', 'number', index + 1));
      tag.setAttribute('aria-hidden', 'true');
      tag.style.left = `${Math.min(box.left / picture.width * 100, 94)}%`;
      tag.style.top = `${Math.min(box.top / picture.height * 100, 94)}%`;
    }
    words.appendChild(caption(box, boxes.length > 1 ? index + 1 : null));
  });
  return figure;
}

function rectangle(box, kind) {
  const rect = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  for (const [name, value] of Object.entries({ x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top, class: kind })) rect.setAttribute(name, value);
  return rect;
}

function caption(box, index) {
  const item = document.createElement('li');
  if (index) item.appendChild(make('span', 'number', index));
  const words = item.appendChild(document.createElement('span'));
  if (box.label) words.append(make('b', '', box.label), ' ');
  const [left, top, right, bottom] = [box.left, box.top, box.right, box.bottom].map(Math.round);
  words.append(`${box.label ? '' : 'Box '}${left}, ${top} to ${right}, ${bottom} px`);
  return item;
}

export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}
