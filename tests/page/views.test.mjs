// Frame and window of what is dropped on the page: what is seen is what is sent.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkContrast, checkNames } from './access.mjs';
import { answered, ask, drop, launch, open, ready, sizes } from './browser.mjs';
import { radiograph, scan, tiff } from './medical.mjs';
import { serve } from './server.mjs';

let server, browser;
before(async () => [server, browser] = await Promise.all([serve(), launch()]));
after(() => Promise.all([server.stop(), browser.close()]));

async function post(path, body) {
  return await (await fetch(`${server.url}/${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })).json();
}

// The red, green and blue of a pixel in the panel, and of the same one in the list.
async function seen(page, x, y) {
  return await page.evaluate(async ([x, y]) => await Promise.all([...document.querySelectorAll('#seen, #pictures li:last-child img')].map(async image => {
    await image.decode();
    const drawing = Object.assign(document.createElement('canvas'), { width: image.naturalWidth, height: image.naturalHeight }).getContext('2d', { willReadFrequently: true });
    drawing.drawImage(image, 0, 0);
    return [...drawing.getImageData(x, y, 1, 1).data.slice(0, 3)].join();
  })), [x, y]);
}

async function settled(page) {
  await page.waitForFunction(() => document.getElementById('view').getAttribute('aria-busy') === 'false');
}

async function sent(page, question) {
  const request = page.waitForRequest('**/v1/chat/completions');
  await ask(page, question);
  return (await request).postDataJSON();
}

for (const [size, scheme] of Object.keys(sizes).flatMap(size => ['light', 'dark'].map(scheme => [size, scheme]))) {
  test(`A frame and a window are chosen by keyboard, seen, and sent: ${size}, ${scheme}`, async () => {
    const { page, close } = await open(browser, server.url, { size, scheme });
    await ready(page);
    await drop(page, 'chest.dcm', scan());
    const panel = page.getByRole('region', { name: 'Frame and window of chest.dcm' });
    await panel.waitFor();
    assert.deepEqual(await page.locator('#window option').allTextContents(), ['MedGemma’s three windows', 'LUNG (the file’s own)', 'MED (the file’s own)', 'Three windows of Google’s server', 'Lung', 'Soft tissue, chest',
      'Soft tissue, abdomen', 'Liver', 'Bone', 'Brain', 'Subdural', 'Smallest to largest value']);
    assert.equal(await page.locator('#window-about').textContent(), 'Red −1024 to 1024, green −135 to 215, blue 0 to 80 HU');
    // Row 8 is 0 HU in the first frame.
    assert.deepEqual(await seen(page, 3, 8), ['128,98,0', '128,98,0']);
    await checkNames(page);
    await checkContrast(page);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than the screen');
    assert.ok(await page.evaluate(() => document.getElementById('composer').getBoundingClientRect().top >= document.querySelector('header').getBoundingClientRect().bottom), 'the panel does not fit');

    // From the question backwards to the slider, as somebody without a mouse goes.
    await page.getByLabel('Question', { exact: true }).focus();
    for (const stop of ['attach', 'done', 'width', 'centre', 'window', 'frame']) {
      await page.keyboard.press('Shift+Tab');
      assert.equal(await page.evaluate(() => document.activeElement.id), stop);
    }
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowLeft');
    assert.equal(await page.getByRole('slider', { name: 'Frame' }).getAttribute('aria-valuetext'), '7 of 8');
    await page.keyboard.press('Tab');
    await page.keyboard.type('Bone');
    await settled(page);
    // 60 HU of -500 to 1300
    assert.deepEqual(await seen(page, 3, 8), ['79,79,79', '79,79,79']);
    assert.equal(await page.locator('#window-about').textContent(), 'Shows −500 to 1300 HU');
    assert.deepEqual([await page.getByLabel('Centre').inputValue(), await page.getByLabel('Width').inputValue()], ['400', '1800']);
    assert.equal(await page.locator('#pictures img').getAttribute('alt'), 'chest.dcm, Frame 7 of 8, window Bone');
    await checkContrast(page);

    await page.keyboard.press('Escape');
    assert.deepEqual([await panel.count(), await page.evaluate(() => document.activeElement.getAttribute('aria-label'))], [0, 'Frame and window of chest.dcm']);
    await page.keyboard.press('Enter');
    await panel.waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'frame');

    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByLabel('Temperature').fill('0');
    const asked = await sent(page, 'What is seen?');
    const { type, image_dicom: { url, frame, window } } = asked.messages[0].content[0];
    assert.deepEqual([type, frame, window, url.slice(0, 29)], ['image_dicom', 7, 'bone', 'data:application/dicom;base64']);
    const text = await answered(page);
    // The same answer as for the picture that was seen, as PNG.
    const { picture } = await post('preview', { url, frame, window, choices: true });
    const whole = await post('v1/chat/completions', { ...asked, stream: false, stream_options: undefined, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: picture } }, asked.messages[0].content[1]] }] });
    assert.equal(text, whole.choices[0].message.content);
    assert.deepEqual([await panel.count(), await page.locator('.turn.you .which').textContent()], [0, 'Frame 7 of 8, window Bone']);
    assert.ok(!server.log().includes('INVENTED') && !(await page.content()).includes('INVENTED'));
    assert.deepEqual(await close(), []);
  });
}

test('Centre and width are numbers of one\'s own, and what makes no sense is said and not sent', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  await drop(page, 'chest.dcm', scan());
  await page.getByLabel('Window', { exact: true }).selectOption('MED (the file’s own)');
  await settled(page);
  assert.deepEqual([await page.getByLabel('Centre').inputValue(), await page.getByLabel('Width').inputValue()], ['50', '350']);
  const asked = [];
  page.on('request', request => request.url().endsWith('/preview') && asked.push(request.postDataJSON().window));
  await page.getByLabel('Width').fill('0');
  assert.deepEqual([await page.locator('#window-about').textContent(), await page.getByLabel('Width').getAttribute('aria-invalid'), asked], ['The width is at least 1.', 'true', []]);
  await checkContrast(page);
  await page.getByLabel('Width').fill('');
  assert.equal(await page.locator('#window-about').textContent(), 'Both are numbers.');
  await page.keyboard.press('Enter'); // sends no question
  await page.getByLabel('Width').fill('200');
  await settled(page);
  // 0 HU of -50 to 150
  assert.deepEqual(await seen(page, 3, 8), ['64,64,64', '64,64,64']);
  assert.deepEqual([asked.at(-1), await page.locator('#window option:checked').textContent(), await page.locator('.turn').count()], ['50/200', 'Centre and width', 0]);
  assert.equal((await sent(page, 'What is seen?')).messages[0].content[0].image_dicom.window, '50/200');
  await answered(page);
  assert.deepEqual(await close(), []);
});

test('A slider that is dragged asks for one picture at a time, sends none that has not come, and ends at the last', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  await drop(page, 'chest.dcm', scan({ frames: 40 }));
  await page.locator('#view').waitFor();
  const frames = [];
  let atOnce = 0, most = 0;
  await page.route('**/preview', async route => {
    frames.push(route.request().postDataJSON().frame);
    most = Math.max(most, ++atOnce);
    await new Promise(resolve => setTimeout(resolve, 200));
    atOnce--;
    await route.continue();
  });
  await page.getByLabel('Question', { exact: true }).fill('What?');
  await page.getByRole('slider', { name: 'Frame' }).focus();
  for (let i = 0; i < 20; i++) await page.keyboard.press('ArrowRight');
  assert.equal(await page.getByRole('button', { name: 'Send' }).isDisabled(), true);
  await page.getByLabel('Window', { exact: true }).selectOption('Brain');
  await settled(page);
  assert.deepEqual([most, frames.length < 10, frames.at(-1)], [1, true, 21]);
  assert.equal(await page.locator('#pictures img').getAttribute('alt'), 'chest.dcm, Frame 21 of 40, window Brain');
  assert.equal(await page.getByRole('button', { name: 'Send' }).isDisabled(), false);
  assert.deepEqual(await close(), []);
});

test('A choice that is refused goes back to what is seen, with the server\'s own words', async () => {
  const { page, close } = await open(browser, server.url, { expected: ['400'] });
  await ready(page);
  // The last frame is not there.
  await drop(page, 'chest.dcm', scan({ says: 9 }));
  await page.getByRole('slider', { name: 'Frame' }).focus();
  await page.keyboard.press('ArrowRight');
  await settled(page);
  await page.keyboard.press('End');
  await page.locator('#notice:not([hidden])').getByText('frame 9 needs 1536 bytes').waitFor();
  await settled(page);
  assert.deepEqual([await page.getByRole('slider', { name: 'Frame' }).inputValue(), await page.locator('#place').textContent()], ['2', '2 of 9']);
  await page.keyboard.press('ArrowRight');
  await settled(page);
  assert.equal(await page.locator('#notice:not([hidden])').count(), 0);
  assert.equal((await sent(page, 'What?')).messages[0].content[0].image_dicom.frame, 3);
  await answered(page);
  assert.deepEqual(await close(), []);
});

test('Pages of a TIFF file are chosen alike, without windows where they have colours; a radiograph has windows and no slider', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  await drop(page, 'slides.tif', tiff({ pages: 3 }));
  await page.getByRole('slider', { name: 'Page' }).focus();
  assert.deepEqual([await page.getByLabel('Window', { exact: true }).isVisible(), await page.getByLabel('Centre').isVisible()], [false, false]);
  await page.keyboard.press('PageUp');
  await page.keyboard.press('End');
  await settled(page);
  assert.deepEqual(await seen(page, 0, 0), ['100,120,180', '100,120,180']);
  await drop(page, 'chest.dcm', radiograph());
  await page.getByRole('region', { name: 'Frame and window of chest.dcm' }).waitFor();
  assert.deepEqual([await page.locator('#frame').isVisible(), await page.locator('#window option').allTextContents()], [false, ['The file’s own', 'Smallest to largest value']]);
  await page.getByLabel('Window', { exact: true }).selectOption('Smallest to largest value');
  await settled(page);
  await page.getByRole('button', { name: 'Done' }).click();
  const { content } = (await sent(page, 'What?')).messages[0];
  assert.deepEqual(content.slice(0, 2).map(({ image_dicom: { url, ...more } }) => [url.slice(0, 15), more]), [['data:image/tiff', { frame: 3 }], ['data:applicatio', { frame: 1, window: 'full' }]]);
  await answered(page);
  assert.deepEqual(await page.locator('.turn.you .which').allTextContents(), ['Page 3 of 3', 'window Smallest to largest value']);
  assert.deepEqual(await close(), []);
});
