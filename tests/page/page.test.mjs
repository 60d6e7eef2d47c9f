// The page in Chromium, at phone and desktop width, light and dark, against `gemmacore serve demo`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkContrast, checkNames } from './access.mjs';
import { answered, ask, launch, open, ready, sizes } from './browser.mjs';
import { picture, serve } from './server.mjs';

const chest = picture('Xray', 'phantom_chest_0000.jpg');
let server, browser;
before(async () => [server, browser] = await Promise.all([serve(), launch()]));
after(() => Promise.all([server.stop(), browser.close()]));

async function greedy(page) {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('Temperature').fill('0');
  await page.getByRole('button', { name: 'Settings' }).click();
}

// What the API answers to the same, whole.
async function direct(body) {
  const response = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  return await response.json();
}

for (const size of Object.keys(sizes)) {
  for (const scheme of ['light', 'dark']) {
    test(`A conversation about a picture: ${size}, ${scheme}`, async () => {
      const { page, close } = await open(browser, server.url, { size, scheme });
      await ready(page);
      await checkNames(page);
      await checkContrast(page);
      await greedy(page);

      const chooser = page.waitForEvent('filechooser');
      await page.getByRole('button', { name: 'Add a picture' }).click();
      await (await chooser).setFiles(chest);
      await page.getByAltText('phantom_chest_0000.jpg').waitFor();
      const request = page.waitForRequest('**/v1/chat/completions');
      await ask(page, 'Detect the nodule.');
      const sent = (await request).postDataJSON();
      const text = await answered(page);
      const whole = await direct({ ...sent, stream: false, stream_options: undefined });
      assert.equal(text, whole.choices[0].message.content);
      assert.match(await page.locator('.timing').textContent(), new RegExp(`^First token [\\d.]+ m?s${whole.usage.completion_tokens} tokens[\\d.]+ tokens/s$`));

      // The box lies over the picture where the answer says.
      const [left, top, right, bottom] = JSON.parse(text);
      const [image, box] = [await page.locator('.picture img').boundingBox(), await page.locator('.picture rect.box').boundingBox()];
      const scale = image.width / 112;
      for (const [actual, expected] of [[box.x - image.x, left], [box.y - image.y, top], [box.width, right - left], [box.height, bottom - top]]) assert.ok(Math.abs(actual / scale - expected) < 2, `${actual / scale} for ${expected}`);
      await page.getByText(`Box ${left}, ${top} to ${right}, ${bottom} px`).waitFor();

      await page.getByRole('button', { name: 'Describe the findings.' }).waitFor({ state: 'hidden' });
      await ask(page, 'Is there a nodule?');
      await answered(page, 2);
      await checkNames(page);
      await checkContrast(page);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than the screen');
      await page.getByRole('button', { name: 'New chat' }).click();
      assert.equal(await page.locator('.turn').count(), 0);
      await page.getByRole('heading', { name: 'Ask about a picture.' }).waitFor();
      assert.deepEqual(await close(), []);
    });
  }
}

test('Text arrives piece by piece, and the next question carries the conversation', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  await greedy(page);
  await page.evaluate(() => {
    globalThis.lengths = new Set();
    new MutationObserver(() => globalThis.lengths.add(document.querySelector('.turn:last-child .text')?.textContent.length)).observe(document.getElementById('log'), { subtree: true, childList: true, characterData: true });
  });
  await page.locator('#file').setInputFiles(picture('Endoscopy', 'phantom_colon_0000.jpg'));
  await page.locator('#pictures img').waitFor();
  await ask(page, 'Describe the endoscopic finding.');
  const first = await answered(page);
  assert.ok(await page.evaluate(() => globalThis.lengths.size) > 5);
  const request = page.waitForRequest('**/v1/chat/completions');
  await ask(page, 'How large is it?');
  const { messages } = (await request).postDataJSON();
  assert.deepEqual(messages.map(({ role }) => role), ['user', 'assistant', 'user']);
  assert.equal(messages[1].content, first);
  assert.match(messages[0].content[0].image_url.url, /^data:image\/jpeg;base64,/);
  await answered(page, 2);
  assert.deepEqual(await close(), []);
});

test('What the model thinks is folded away above its answer and is not sent back', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  await greedy(page);
  // A model of this size does not think by itself.
  const regex = '<unused94>thought\\nIs it round\\? Yes\\.<unused95>A cyst\\.';
  await page.route('**/v1/chat/completions', route => route.continue({ postData: JSON.stringify({ ...route.request().postDataJSON(), structured_outputs: { regex } }) }));
  await ask(page, 'What is it?');
  assert.equal(await answered(page), 'A cyst.');
  const thought = page.locator('.thought');
  assert.equal(await thought.locator('summary').textContent(), 'Thought');
  assert.equal(await thought.locator('p').isVisible(), false);
  await thought.locator('summary').focus();
  await page.keyboard.press('Enter');
  assert.deepEqual([await thought.locator('p').isVisible(), await thought.locator('p').textContent()], [true, 'Is it round? Yes.']);
  await checkContrast(page);
  const request = page.waitForRequest('**/v1/chat/completions');
  await ask(page, 'Sure?');
  assert.deepEqual((await request).postDataJSON().messages[1], { role: 'assistant', content: 'A cyst.' });
  await answered(page, 2);
  assert.deepEqual(await close(), []);
});

test('Stop and Escape end an answer on the server too', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  await greedy(page);
  // A model of this size ends by itself before anybody can stop it. Each question goes alone: after half an answer, cut at any moment, what comes next may be no text at all.
  await page.route('**/v1/chat/completions', route => {
    const request = route.request().postDataJSON();
    return route.continue({ postData: JSON.stringify({ ...request, messages: request.messages.slice(-1), ignore_eos: true, max_tokens: 8000 }) });
  });
  const running = async () => Number(/gemmacore_num_requests_running\{[^}]*\} (\d+)/.exec(await (await fetch(`${server.url}/metrics`)).text())[1]);
  for (const [count, how] of [() => page.getByRole('button', { name: 'Stop' }).click(), () => page.keyboard.press('Escape')].entries()) {
    await ask(page, 'What is a lesion?');
    await page.locator('.busy:not(.waiting)').waitFor();
    assert.equal(await running(), 1);
    await how();
    await answered(page, count + 1);
    assert.match(await page.locator('.timing').last().textContent(), /Stopped$/);
    for (let i = 0; i < 200 && await running() > 0; i++) await new Promise(resolve => setTimeout(resolve, 20));
    assert.equal(await running(), 0);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'question');
  }
  assert.deepEqual(await close(), []);
});

test('The picker lists the model and its adapters, and asks the chosen one', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  assert.deepEqual(await page.locator('#model option').allTextContents(), ['demo', 'few · adapter of demo']);
  await page.getByLabel('Model or adapter').selectOption('few');
  const request = page.waitForRequest('**/v1/chat/completions');
  await ask(page, 'What is a lesion?');
  assert.equal((await request).postDataJSON().model, 'few');
  await answered(page);
  assert.equal(await page.locator('.name').textContent(), 'few');
  assert.deepEqual(await close(), []);
});

test('Settings reach the request', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('Instructions').fill('Be short.');
  await page.getByLabel('Temperature').fill('0.5');
  await page.getByLabel('Longest answer').fill('2');
  const request = page.waitForRequest('**/v1/chat/completions');
  await ask(page, 'Describe a colon.');
  const { messages, temperature, max_tokens: longest } = (await request).postDataJSON();
  assert.deepEqual([messages[0], temperature, longest], [{ role: 'system', content: 'Be short.' }, 0.5, 2]);
  await answered(page);
  assert.deepEqual(await close(), []);
});

test('Boxes in thousandths are drawn with their labels, and an answer is text, never markup', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  const said = 'Found <img src=x onerror=alert(1)> [{"box_2d": [0, 250, 500, 750], "label": "nodule <b>one</b>"}, {"box_2d": [600, 100, 900, 300], "label": "two"}]';
  await page.route('**/v1/chat/completions', route => route.fulfill({
    contentType: 'text/event-stream',
    body: `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: said } }] })}\n\n: ping\n\ndata: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`,
  }));
  await page.locator('#file').setInputFiles(chest);
  await page.locator('#pictures img').waitFor();
  await ask(page, 'Detect all.');
  assert.equal(await answered(page), said);
  assert.equal(await page.locator('.text img').count(), 0);
  const boxes = await page.locator('.picture rect.box').evaluateAll(all => all.map(rect => ['x', 'y', 'width', 'height'].map(name => Number(rect.getAttribute(name)))));
  assert.deepEqual(boxes.map(box => box.map(side => Math.round(side))), [[28, 0, 56, 56], [11, 67, 22, 34]]);
  assert.deepEqual(await page.locator('figcaption li').allTextContents(), ['1nodule <b>one</b> 28, 0 to 84, 56 px', '2two 11, 67 to 34, 101 px']);
  assert.deepEqual(await close(), []);
});
