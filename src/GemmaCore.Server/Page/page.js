// The page: a conversation, a question, and what becomes of it.
import { annotated, findBoxes, make } from './boxes.js';
import { part, read, receive, showWaiting } from './pictures.js';
import { ask, listModels } from './server.js';
import { choices, chosen, hasChoices } from './views.js';

const at = id => document.getElementById(id);
const [model, log, question, send, stop, key, notice] = ['model', 'log', 'question', 'send', 'stop', 'key', 'notice'].map(at);

let conversation = []; // messages as the server takes them
let waiting = []; // pictures to go with the next question
let shown = []; // pictures of the last message that had any
let running = null; // the answer's AbortController

const panel = choices(() => key.value.trim(), error => {
  if (error) refuse(error);
  else complain(null);
  showChosen();
});

// Models and the key
async function connect() {
  try {
    const models = await listModels(key.value.trim());
    const chosen = model.value;
    model.replaceChildren(...models.map(({ id, parent }) => new Option(parent ? `${id} · adapter of ${parent}` : id, id)));
    if (models.some(({ id }) => id === chosen)) model.value = chosen;
    model.disabled = false;
    document.title = `${models[0].id} · GemmaCore`;
    complain(null);
  } catch (error) {
    model.replaceChildren(new Option('Not connected'));
    model.disabled = true;
    refuse(error);
  }
  ready();
}

function refuse(error) {
  if (error.status === 401) {
    openSettings(true);
    key.focus();
  }
  complain(error instanceof TypeError ? 'The server cannot be reached. Is it still running?' : error.message);
}

function complain(text) {
  notice.textContent = text ?? '';
  notice.hidden = !text;
}

function openSettings(open) {
  at('settings').hidden = !open;
  at('toggle').setAttribute('aria-expanded', open);
}

// The question
function ready() {
  send.disabled = model.disabled || running !== null || waiting.some(({ isBusy }) => isBusy) || (question.value.trim() === '' && waiting.length === 0);
  question.style.height = 'auto';
  question.style.height = `${question.scrollHeight}px`;
}

async function add(files) {
  complain(null);
  let opened = null;
  for (const file of files) {
    try {
      const picture = await read(file, key.value.trim());
      waiting.push(picture);
      if (hasChoices(picture)) opened = picture;
    } catch (error) {
      refuse(error);
    }
  }
  showWaiting(at('pictures'), waiting, remove, index => hasChoices(waiting[index]) && (() => choose(waiting[index] === panel.picture ? null : waiting[index])));
  if (opened || !waiting.includes(panel.picture)) panel.open(opened);
  showChosen();
}

function remove(index) {
  const [gone] = waiting.splice(index, 1);
  gone.isGone = true;
  URL.revokeObjectURL(gone.url);
  add([]);
  question.focus();
}

// Opens the panel for a picture, or closes it and goes back to where it was opened.
function choose(picture) {
  const before = panel.picture;
  panel.open(picture);
  showChosen();
  if (picture) at('view').querySelector('#frames:not([hidden]) input, #windows:not([hidden]) select')?.focus();
  else at('pictures').children[waiting.indexOf(before)]?.querySelector('.choose').focus();
}

function showChosen() {
  waiting.forEach((picture, index) => {
    const item = at('pictures').children[index], image = item?.querySelector('img');
    if (!image) return; // not shown yet
    if (image.src !== picture.url) image.src = picture.url;
    image.alt = [picture.name, chosen(picture)].filter(Boolean).join(', ');
    item.querySelector('.choose')?.setAttribute('aria-expanded', picture === panel.picture);
  });
  ready();
}

function showQuestion(text, pictures) {
  const turn = log.appendChild(make('article', 'turn you'));
  turn.appendChild(make('p', 'hidden', 'You'));
  if (pictures.length > 0) {
    const row = turn.appendChild(make('div', 'shown'));
    for (const picture of pictures) {
      const item = row.appendChild(make('div'));
      const image = item.appendChild(document.createElement('img'));
      image.src = picture.url;
      image.alt = picture.name;
      if (chosen(picture)) item.appendChild(make('p', 'which', chosen(picture)));
    }
  }
  if (text) turn.appendChild(make('p', 'said', text));
  return turn;
}

function body(message) {
  const instructions = at('instructions').value.trim();
  const request = { model: model.value, messages: [...instructions ? [{ role: 'system', content: instructions }] : [], ...conversation, message] };
  if (at('temperature').value !== '') request.temperature = Number(at('temperature').value);
  if (at('longest').value !== '') request.max_tokens = Number(at('longest').value);
  return request;
}

async function submit() {
  if (send.disabled) return;
  const text = question.value.trim(), pictures = waiting;
  const message = { role: 'user', content: [...pictures.map(part), ...text ? [{ type: 'text', text }] : []] };
  complain(null);
  at('empty').hidden = true;
  const asked = showQuestion(text, pictures);
  const answer = showAnswer(pictures.length > 0);
  if (pictures.length > 0) shown = pictures;
  [waiting, question.value] = [[], ''];
  running = new AbortController();
  [send.hidden, stop.hidden] = [true, false];
  await add([]);
  const { said, error } = await stream(body(message), answer);
  running = null;
  [send.hidden, stop.hidden] = [false, true];
  if (said) conversation.push(message, { role: 'assistant', content: said });
  else if (error) {
    // Nothing came of it: the question goes back to where it can be changed and asked again.
    asked.remove();
    answer.turn.remove();
    at('empty').hidden = log.childElementCount > 0;
    [waiting, question.value] = [pictures, text];
    await add([]);
    refuse(error);
  }
  ready();
  if (document.activeElement === document.body || document.activeElement === stop) question.focus();
}

// The answer
function showAnswer(seesPicture) {
  const turn = log.appendChild(make('article', 'turn busy waiting'));
  turn.setAttribute('aria-busy', 'true'); // read out once, when it is whole
  turn.appendChild(make('p', 'name', model.value));
  const text = turn.appendChild(make('p', 'text', seesPicture ? 'Looking at the picture' : 'Reading the question'));
  follow(true);
  return { turn, text };
}

async function stream(request, { turn, text }) {
  const start = performance.now();
  let [said, thought, reason, error, first, last, tokens] = ['', null, '', null, 0, 0, 0];
  try {
    for await (const event of ask(request, key.value.trim(), running.signal)) {
      if (event.thought || event.text) {
        last = performance.now();
        if (!first) {
          first = last;
          turn.classList.remove('waiting');
          text.textContent = '';
        }
        if (event.thought) thought = think(thought, event.thought, text);
        else text.textContent = said += event.text;
        if (thought && said) thought.firstChild.textContent = 'Thought';
        follow(false);
      }
      reason ||= event.reason ?? '';
      tokens = event.tokens ?? tokens;
    }
  } catch (problem) {
    if (problem.name === 'AbortError') reason = 'stopped';
    else error = problem;
  }
  turn.classList.remove('busy', 'waiting');
  turn.setAttribute('aria-busy', 'false');
  turn.classList.toggle('none', !said);
  if (thought) thought.firstChild.textContent = 'Thought';
  if (!said) text.textContent = reason === 'stopped' ? 'Stopped before the first word.' : thought ? 'The answer ended in its thought.' : 'The answer is empty.';
  const picture = shown.at(-1);
  const boxes = picture && said ? findBoxes(said, picture.width, picture.height, 'padded' in document.documentElement.dataset) : [];
  if (boxes.length > 0) turn.appendChild(annotated(picture, boxes));
  showTiming(turn, { wait: first - start, decode: last - first, tokens, reason, said });
  if (error && said) turn.appendChild(make('p', 'failed', error.message)).setAttribute('role', 'alert');
  at('status').textContent = reason === 'stopped' ? 'Stopped' : '';
  follow(false);
  return { said, error };
}

// What the model thinks before it answers, folded away above the answer.
function think(thought, more, text) {
  if (!thought) {
    thought = document.createElement('details');
    thought.className = 'thought';
    thought.append(make('summary', '', 'Thinking'), make('p', '', ''));
    text.before(thought);
  }
  thought.lastChild.textContent += more;
  return thought;
}

function showTiming(turn, { wait, decode, tokens, reason, said }) {
  const facts = [];
  if (said) facts.push(`First token ${wait < 1000 ? `${Math.round(wait)} ms` : `${(wait / 1000).toFixed(1)} s`}`);
  if (tokens > 0) facts.push(`${tokens} token${tokens === 1 ? '' : 's'}`);
  if (tokens > 2 && decode > 0) facts.push(`${((tokens - 1) / decode * 1000).toFixed(decode > (tokens - 1) * 100 ? 1 : 0)} tokens/s`);
  if (reason === 'length') facts.push('Cut off at the longest answer');
  if (reason === 'stopped' && said) facts.push('Stopped');
  if (facts.length === 0) return;
  const row = turn.appendChild(make('p', 'timing'));
  for (const fact of facts) row.appendChild(make('span', '', fact));
}

// Keeps the end in view, unless the reader has scrolled away from it. Only a scroll decides that: a long piece of text, or a composer that grows over the end, is nobody's wish.
const page = document.documentElement;
let [follows, lastTop] = [true, 0];

function follow(always) {
  follows ||= always;
  if (follows) page.scrollTop = page.scrollHeight;
}

function heedScroll() {
  const isNear = page.scrollHeight - page.scrollTop - page.clientHeight < 160;
  if (isNear || page.scrollTop < lastTop) follows = isNear;
  lastTop = page.scrollTop;
}

function startAgain() {
  running?.abort();
  conversation = [];
  shown = [];
  for (const image of log.querySelectorAll('img')) URL.revokeObjectURL(image.src);
  log.replaceChildren();
  complain(null);
  at('empty').hidden = false;
  question.focus();
  connect(); // adapters come and go, and so do servers
}

// Everything that can be done
at('composer').addEventListener('submit', event => {
  event.preventDefault();
  submit();
});
question.addEventListener('input', ready);
question.addEventListener('keydown', event => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
addEventListener('keydown', event => {
  if (event.key !== 'Escape') return;
  if (at('view').contains(document.activeElement)) choose(null);
  else running?.abort();
});
at('done').addEventListener('click', () => choose(null));
stop.addEventListener('click', () => running?.abort());
at('attach').addEventListener('click', () => at('file').click());
at('file').addEventListener('change', event => {
  add([...event.target.files]);
  event.target.value = '';
  question.focus();
});
at('fresh').addEventListener('click', startAgain);
at('toggle').addEventListener('click', () => openSettings(at('settings').hidden));
for (const opener of at('openers').querySelectorAll('button')) {
  opener.addEventListener('click', () => {
    question.value = opener.textContent;
    ready();
    question.focus();
  });
}
receive(add);
addEventListener('scroll', heedScroll, { passive: true });
new ResizeObserver(() => follow(false)).observe(document.querySelector('footer'));
key.value = sessionStorage.getItem('gemmacore.key') ?? '';
key.addEventListener('change', () => {
  sessionStorage.setItem('gemmacore.key', key.value.trim());
  connect();
});
connect();
