// The page when something is in the way: keys, errors, other ways in, and what its policy forbids.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { checkContrast } from './access.mjs';
import { answered, ask, launch, open, ready } from './browser.mjs';
import { isTurned } from '../../src/GemmaCore.Server/Page/pictures.js';
import { picture, serve } from './server.mjs';

let server, locked, browser;
before(async () => [server, locked, browser] = await Promise.all([serve(), serve('--api-key', 'secret', '--no-page'), launch()]));
after(() => Promise.all([server.stop(), locked.stop(), browser.close()]));

const notice = page => page.locator('#notice:not([hidden])').textContent();

test('Without the key the page says what the server says; the key is kept for the tab alone', async () => {
  const guarded = await serve('--api-key', 'secret');
  const { page, close } = await open(browser, guarded.url, { size: 'phone', expected: ['401'] });
  assert.equal(await notice(page), "You didn't provide an API key; send it as Authorization: Bearer KEY");
  await checkContrast(page);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'key');
  await page.keyboard.type('wrong');
  await page.keyboard.press('Tab');
  await page.getByText('Incorrect API key provided').waitFor();
  await page.getByLabel('API key').fill('secret');
  await page.keyboard.press('Tab');
  await ready(page);
  assert.equal(await page.locator('#notice:not([hidden])').count(), 0);
  await ask(page, 'What is a lesion?');
  await answered(page);
  await page.reload();
  await ready(page);
  assert.deepEqual(await page.evaluate(() => [Object.values({ ...sessionStorage }), { ...localStorage }, document.cookie]), [['secret'], {}, '']);
  assert.ok(!guarded.log().includes('secret'));
  assert.deepEqual(await close(), []);
  const other = await open(browser, guarded.url, { expected: ['401'] });
  await notice(other.page);
  await other.close();
  await guarded.stop();
});

test('A refused question goes back to where it can be changed, with the server\'s own words', async () => {
  const { page, close } = await open(browser, server.url, { expected: ['400'] });
  await ready(page);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('Longest answer').fill('100000');
  await page.locator('#file').setInputFiles(picture('Xray', 'phantom_chest_0000.jpg'));
  await page.locator('#pictures img').waitFor();
  await ask(page, 'Detect the nodule.');
  assert.match(await notice(page), /'max_tokens'|context length/);
  assert.deepEqual([await page.locator('.turn').count(), await page.getByLabel('Question', { exact: true }).inputValue(), await page.locator('#pictures img').count()], [0, 'Detect the nodule.', 1]);
  await page.getByLabel('Longest answer').fill('20');
  await page.getByRole('button', { name: 'Send' }).click();
  await answered(page);
  assert.equal(await page.locator('#notice:not([hidden])').count(), 0);
  assert.deepEqual(await close(), []);
});

test('An error in the middle of an answer keeps what was said', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  const events = [{ choices: [{ index: 0, delta: { content: 'A small' } }] }, { error: { message: 'The server is shutting down', type: 'unavailable_error' } }];
  await page.route('**/v1/chat/completions', route => route.fulfill({ contentType: 'text/event-stream', body: events.map(event => `data: ${JSON.stringify(event)}\n\n`).join('') }));
  await ask(page, 'Describe it.');
  assert.equal(await answered(page), 'A small');
  assert.equal(await page.locator('.turn [role=alert]').textContent(), 'The server is shutting down');
  await checkContrast(page);
  assert.deepEqual(await close(), []);
});

test('A server that has gone is named as that', async () => {
  const { page, close } = await open(browser, server.url, { expected: ['ERR_FAILED'] });
  await ready(page);
  await page.route('**/v1/chat/completions', route => route.abort());
  await ask(page, 'Describe it.');
  assert.equal(await notice(page), 'The server cannot be reached. Is it still running?');
  assert.deepEqual(await close(), []);
});

test('Pictures are taken by drop and by paste, and anything else is named', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  const bytes = [...await readFile(picture('Xray', 'phantom_chest_0000.jpg'))];
  for (const [count, kind] of ['drop', 'paste'].entries()) {
    await page.evaluate(([kind, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], `${kind}ped.jpg`, { type: 'image/jpeg' }));
      if (kind === 'drop') document.body.dispatchEvent(new DragEvent('dragover', { dataTransfer: data, bubbles: true, cancelable: true }));
      document.body.dispatchEvent(kind === 'drop' ? new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }) : new ClipboardEvent('paste', { clipboardData: data, bubbles: true }));
    }, [kind, bytes]);
    await page.waitForFunction(count => document.querySelectorAll('#pictures img').length === count, count + 1);
  }
  assert.equal(await page.locator('.dropping').count(), 0);
  await page.getByRole('button', { name: 'Remove dropped.jpg' }).click();
  assert.deepEqual(await page.locator('#pictures img').evaluateAll(all => all.map(image => image.alt)), ['pasteped.jpg']);
  await page.locator('#file').setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('x') });
  assert.equal(await notice(page), 'notes.txt is not a PNG, JPEG, WebP, BMP, GIF, TIFF or DICOM picture');
  await page.locator('#file').setInputFiles({ name: 'broken.png', mimeType: 'image/png', buffer: Buffer.from('x') });
  await page.getByText('broken.png cannot be read as a picture').waitFor();
  assert.deepEqual(await close(), []);
});

test('A picture that a camera laid on its side is sent as it is shown', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  // 40 x 20 pixels, red on the left, with orientation 6: to be turned clockwise, so that red is on top.
  const bytes = await page.evaluate(async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 40, height: 20 });
    const drawing = canvas.getContext('2d');
    [['#f00', 0], ['#00f', 20]].forEach(([colour, x]) => Object.assign(drawing, { fillStyle: colour }).fillRect(x, 0, 20, 20));
    const jpeg = new Uint8Array(await (await new Promise(resolve => canvas.toBlob(resolve, 'image/jpeg'))).arrayBuffer());
    const exif = [0xff, 0xe1, 0, 34, 0x45, 0x78, 0x69, 0x66, 0, 0, 0x4d, 0x4d, 0, 0x2a, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0];
    return [...jpeg.slice(0, 2), ...exif, ...jpeg.slice(2)];
  });
  assert.deepEqual([isTurned(new Uint8Array(bytes)), isTurned(new Uint8Array([...bytes.slice(0, 2), ...bytes.slice(38)])), isTurned(new Uint8Array(bytes.slice(0, 20))), isTurned(new Uint8Array(0))], [true, false, false, false]);
  await page.locator('#file').setInputFiles({ name: 'phone.jpg', mimeType: 'image/jpeg', buffer: Buffer.from(bytes) });
  await page.locator('#pictures img').waitFor();
  const request = page.waitForRequest('**/v1/chat/completions');
  await ask(page, 'What is it?');
  const { url } = (await request).postDataJSON().messages[0].content[0].image_url;
  await answered(page);
  const sent = await page.evaluate(async url => {
    const bytes = Uint8Array.from(atob(url.split(',')[1]), letter => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/jpeg' }));
    const drawing = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: bitmap.height }).getContext('2d');
    drawing.drawImage(bitmap, 0, 0);
    const { data } = drawing.getImageData(0, 0, bitmap.width, bitmap.height), at = (x, y) => 4 * (y * bitmap.width + x);
    return [bitmap.width, bitmap.height, data[at(10, 5)] > 200, data[at(10, 35) + 2] > 200];
  }, url);
  assert.deepEqual(sent, [20, 40, true, true]);
  assert.equal(isTurned(new Uint8Array(Buffer.from(url.split(',')[1], 'base64'))), false);
  assert.deepEqual(await close(), []);
});

test('The keyboard reaches everything in order and sees where it is', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  const stops = [];
  for (let i = 0; i < 9; i++) {
    await page.keyboard.press('Tab');
    stops.push(await page.evaluate(() => {
      const at = document.activeElement, [style, composer] = [getComputedStyle(at), getComputedStyle(document.getElementById('composer'))];
      const seen = at.id === 'question' ? composer.boxShadow.includes('1px') : style.outlineStyle === 'solid' && parseFloat(style.outlineWidth) >= 2;
      return `${at.id || at.textContent}${seen ? '' : ' unseen'}`;
    }));
  }
  assert.deepEqual(stops, ['Skip to the question', 'model', 'fresh', 'toggle', 'Describe the findings.', 'Is there anything abnormal?', 'Detect the nodule.', 'attach', 'question']);
  await page.keyboard.type('One');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('two');
  assert.equal(await page.getByLabel('Question', { exact: true }).inputValue(), 'One\ntwo');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'send');
  await page.keyboard.press('Enter');
  await answered(page);
  const log = page.getByRole('log', { name: 'Conversation' });
  assert.deepEqual([await log.getAttribute('aria-live'), await page.locator('.turn').last().getAttribute('aria-busy')], ['polite', 'false']);
  assert.deepEqual(await close(), []);
});

test('A composer that grows covers no last line, and moves nobody who reads further up', async () => {
  const { page, close } = await open(browser, server.url, { size: 'phone' });
  await ready(page);
  const said = Array.from({ length: 60 }, (_, index) => `Line ${index + 1}.`).join('\n');
  await page.route('**/v1/chat/completions', route => route.fulfill({
    contentType: 'text/event-stream', body: [{ choices: [{ index: 0, delta: { content: said } }] }, { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }].map(event => `data: ${JSON.stringify(event)}\n\n`).join('') + 'data: [DONE]\n\n',
  }));
  await ask(page, 'Describe it.');
  await answered(page);
  // The end of the conversation lies above the composer, not below it.
  const isSeen = () => page.waitForFunction(() => document.getElementById('composer').getBoundingClientRect().top >= document.querySelector('.turn:last-child .timing').getBoundingClientRect().bottom);
  await isSeen();
  const chest = picture('Xray', 'phantom_chest_0000.jpg');
  await page.locator('#file').setInputFiles([chest, chest, chest, chest, chest]);
  await page.waitForFunction(() => document.querySelectorAll('#pictures img').length === 5);
  await isSeen();
  await page.getByLabel('Question', { exact: true }).fill('One\ntwo\nthree\nfour\nfive\nsix');
  await isSeen();

  await page.evaluate(() => scrollTo(0, 100));
  await page.locator('#file').setInputFiles([chest, chest, chest, chest]);
  await page.waitForFunction(() => document.querySelectorAll('#pictures img').length === 9);
  await page.evaluate(() => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  assert.equal(await page.evaluate(() => scrollY), 100);
  assert.deepEqual(await close(), []);
});

test('Nothing moves for those who asked for that', async () => {
  const { page, close } = await open(browser, server.url, { reducedMotion: 'reduce' });
  await ready(page);
  await page.route('**/v1/chat/completions', () => {});
  await ask(page, 'Describe it.');
  await page.locator('.busy').waitFor();
  assert.deepEqual(await page.evaluate(() => document.getAnimations().length), 0);
  assert.deepEqual(await close(), []);
});

test('The policy runs the page\'s own script and no other, and nothing is loaded from elsewhere', async () => {
  const { page, close } = await open(browser, server.url, { expected: ['Content Security Policy'] });
  const requests = [];
  page.on('request', request => requests.push(request.url()));
  await page.reload();
  await ready(page);
  assert.deepEqual([...new Set(requests.filter(url => !url.startsWith('data:')).map(url => new URL(url).origin))], [server.url]);
  const ran = await page.evaluate(async () => {
    document.body.appendChild(document.createElement('script')).textContent = 'globalThis.injected = true';
    document.body.insertAdjacentHTML('beforeend', '<img src="https://example.org/a.png" onerror="globalThis.injected = true">');
    await fetch('https://example.org/').catch(() => {});
    return globalThis.injected;
  });
  assert.equal(ran, undefined);
  assert.deepEqual((await close()).map(violation => violation.split(' ')[0]).sort(), ['connect-src', 'img-src', 'script-src-attr', 'script-src-elem']);
});

test('--no-page leaves the API alone', async () => {
  const response = await fetch(locked.url, { headers: { Authorization: 'Bearer secret' } });
  assert.deepEqual([response.status, (await response.json()).error.code], [404, 'unknown_url']);
});
