// What of a DICOM or TIFF file goes to the model: its frame, and the window that its values are seen through.
import { look } from './pictures.js';

const names = {
  ct: 'MedGemma’s three windows', 'ct-serving': 'Three windows of Google’s server', full: 'Smallest to largest value', file: 'The file’s own', lut: 'The file’s table of greys', lung: 'Lung',
  mediastinum: 'Soft tissue, chest', abdomen: 'Soft tissue, abdomen', liver: 'Liver', bone: 'Bone', brain: 'Brain', subdural: 'Subdural',
};

function nameOf(window, label) {
  if (window === null) return 'As stored';
  const own = /^file(?::(\d+))?$/.exec(window);
  if (own && label) return `${label} (the file’s own)`;
  return own?.[1] ? `The file’s own, ${own[1]}` : names[window] ?? window;
}

export function hasChoices({ view }) {
  return view !== undefined && (view.frames > 1 || view.windows.length > 0);
}

// What was chosen of a picture, in words; empty where nothing was, and there is one frame.
export function chosen({ data, choice, view }) {
  if (!view) return '';
  const facts = view.frames > 1 ? [`${kind(data)} ${choice.frame} of ${view.frames}`] : [];
  if (choice.window) facts.push(`window ${nameOf(view.window, view.windows.find(({ window }) => window === view.window)?.label)}`);
  return facts.join(', ');
}

function kind(data) {
  return data.startsWith('data:image/tiff') ? 'Page' : 'Frame';
}

function rounded(number) {
  return Number(number.toFixed(2)).toLocaleString('en', { useGrouping: false }).replace('-', '−');
}

// What a window shows, in the numbers of the file.
function about({ window, range, unit }) {
  const values = (low, high) => `${rounded(low)} to ${rounded(high)}${unit ? ` ${unit}` : ''}`;
  if (range) return `Shows ${values(range.centre - range.width / 2, range.centre + range.width / 2)}`;
  if (window === 'ct') return 'Red −1024 to 1024, green −135 to 215, blue 0 to 80 HU';
  if (window === 'ct-serving') return 'Red −1024 to 1024, green 135 to 215, blue 0 to 80 HU';
  return '';
}

// The panel. `changed` is told whenever a picture becomes another, or begins or ends to wait for that; with an error where it stays what it is.
export function choices(key, changed) {
  const at = id => document.getElementById(id);
  const [panel, frame, select, centre, width] = ['view', 'frame', 'window', 'centre', 'width'].map(at);
  let picture = null;

  function open(next) {
    picture = next;
    panel.hidden = picture === null;
    if (picture) draw();
  }

  function draw() {
    const { data, name, url, view, wish = picture.choice } = picture;
    Object.assign(at('seen'), { src: url, alt: chosen(picture) || 'Preview' });
    panel.setAttribute('aria-label', `Frame and window of ${name}`);
    panel.setAttribute('aria-busy', picture.isBusy === true);
    at('frames').hidden = view.frames === 1;
    at('frames').querySelector('label').textContent = kind(data);
    [frame.max, frame.value] = [view.frames, wish.frame];
    at('place').textContent = `${wish.frame} of ${view.frames}`;
    frame.setAttribute('aria-valuetext', at('place').textContent);
    for (const field of panel.querySelectorAll('#windows, .ranged')) field.hidden = view.windows.length === 0;
    const isListed = view.windows.some(({ window }) => window === view.window);
    select.replaceChildren(...view.windows.map(({ window, label }) => new Option(nameOf(window, label), window ?? '')), ...isListed ? [] : [new Option('Centre and width', view.window)]);
    select.value = view.window ?? '';
    if (document.activeElement === centre || document.activeElement === width) return; // nobody's numbers change while they are typed
    [centre.value, width.value] = view.range ? [view.range.centre, view.range.width].map(number => Number(number.toFixed(2))) : ['', ''];
    explain(about(view));
  }

  function explain(text, isWrong = false) {
    at('window-about').textContent = text;
    at('window-about').classList.toggle('wrong', isWrong);
    for (const field of [centre, width]) field.setAttribute('aria-invalid', isWrong);
  }

  // One picture is asked for at a time, and of what is wished meanwhile the last alone: a slider that is dragged sends no queue.
  async function wish(change) {
    const asking = picture;
    asking.wish = { ...asking.wish ?? asking.choice, ...change };
    if (asking.isBusy) return;
    asking.isBusy = true;
    changed(null);
    let problem = null;
    while (asking.wish !== asking.choice) {
      const [asked, before] = [asking.wish, asking.url];
      if (asking === picture) panel.setAttribute('aria-busy', 'true');
      problem = null;
      try {
        Object.assign(asking, await look(asking, asked, key()));
        if (asking.isGone) URL.revokeObjectURL(asking.url); // nobody will see it
        if (asking === picture) draw();
        changed(null);
        URL.revokeObjectURL(before);
      } catch (error) {
        problem = error;
        if (asking.wish === asked) asking.wish = asking.choice;
      }
    }
    asking.isBusy = false;
    if (asking === picture) draw();
    changed(problem);
  }

  function wishRange() {
    const [from, wide] = [centre.valueAsNumber, width.valueAsNumber];
    if (Number.isNaN(from) || Number.isNaN(wide)) return explain('Both are numbers.', true);
    if (wide < 1) return explain('The width is at least 1.', true);
    explain(about({ range: { centre: from, width: wide }, unit: picture.view.unit }));
    wish({ window: `${from}/${wide}` });
  }

  frame.addEventListener('input', () => {
    at('place').textContent = `${frame.value} of ${picture.view.frames}`;
    frame.setAttribute('aria-valuetext', at('place').textContent);
    wish({ frame: frame.valueAsNumber });
  });
  // The first is what the file asks for, frame by frame.
  select.addEventListener('change', () => wish({ window: select.selectedIndex === 0 ? null : select.value }));
  for (const field of [centre, width]) {
    field.addEventListener('input', wishRange);
    field.addEventListener('blur', () => picture && draw());
  }
  panel.addEventListener('keydown', event => {
    if (event.key === 'Enter' && event.target !== at('done')) event.preventDefault(); // it would send the question
  });
  return { open, get picture() { return picture; } };
}
