// DICOM and TIFF on the page, from the drop to the answer: what is shown is what the model sees, and nothing of the patient comes back.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { medicalType } from '../../src/GemmaCore.Server/Page/pictures.js';
import { checkContrast, checkNames } from './access.mjs';
import { answered, ask, drop, launch, open, ready, sizes } from './browser.mjs';
import { radiograph, tiff } from './medical.mjs';
import { serve } from './server.mjs';

let server, locked, browser;
before(async () => [server, locked, browser] = await Promise.all([serve(), serve('--api-key', 'secret'), launch()]));
after(() => Promise.all([server.stop(), locked.stop(), browser.close()]));

function post(path, body) {
  return fetch(`${server.url}/${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
}

// Red, green and blue of some pixels of the picture that waits.
async function seen(page, places) {
  return await page.locator('#pictures img').first().evaluate((image, places) => {
    const drawing = Object.assign(document.createElement('canvas'), { width: image.naturalWidth, height: image.naturalHeight }).getContext('2d', { willReadFrequently: true });
    drawing.drawImage(image, 0, 0);
    return [image.naturalWidth, image.naturalHeight, ...places.map(([x, y]) => [...drawing.getImageData(x, y, 1, 1).data.slice(0, 3)])];
  }, places);
}

for (const size of Object.keys(sizes)) {
  test(`A radiograph is dropped, shown through the window of its file, and answered: ${size}`, async () => {
    const { page, close } = await open(browser, server.url, { size });
    await ready(page);
    const preview = page.waitForRequest('**/preview');
    await drop(page, 'chest.dcm', radiograph());
    await page.getByAltText('chest.dcm').waitFor();
    // Columns hold 0, 16, 32, … and the window reaches from 256 to 768: black, middle grey, white.
    assert.deepEqual(await seen(page, [[10, 3], [32, 3], [60, 3]]), [64, 48, [0, 0, 0], [128, 128, 128], [255, 255, 255]]);
    const { url, ...more } = (await preview).postDataJSON();
    assert.deepEqual(more, { frame: 1, window: null, choices: true });
    const shown = Buffer.from(await (await post('preview', { url })).arrayBuffer());
    for (const word of ['INVENTED', '19700101']) assert.ok(!shown.includes(word), word);
    await checkNames(page);
    await checkContrast(page);

    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByLabel('Temperature').fill('0');
    const request = page.waitForRequest('**/v1/chat/completions');
    await ask(page, 'Detect the nodule.');
    const sent = (await request).postDataJSON();
    assert.deepEqual(sent.messages[0].content[0], { type: 'image_dicom', image_dicom: { url, frame: 1, window: 'file' } });
    assert.match(url, /^data:application\/dicom;base64,/);
    const text = await answered(page);
    const picture = { type: 'image_url', image_url: { url: `data:image/png;base64,${shown.toString('base64')}` } };
    const whole = await (await post('v1/chat/completions', { ...sent, stream: false, stream_options: undefined, messages: [{ role: 'user', content: [picture, sent.messages[0].content[1]] }] })).json();
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(await page.locator('.turn.you img').getAttribute('alt'), 'chest.dcm');
    assert.ok(!server.log().includes('INVENTED') && !(await page.content()).includes('INVENTED'));
    assert.deepEqual(await close(), []);
  });
}

test('A TIFF file is shown and asked about, by the button too', async () => {
  const { page, close } = await open(browser, server.url);
  await ready(page);
  await page.locator('#file').setInputFiles({ name: 'slide.tif', mimeType: 'image/tiff', buffer: tiff() });
  await page.getByAltText('slide.tif').waitFor();
  assert.deepEqual(await seen(page, [[0, 0], [7, 5]]), [8, 6, [200, 120, 180], [207, 125, 180]]);
  const request = page.waitForRequest('**/v1/chat/completions');
  await ask(page, 'What is it?');
  assert.match((await request).postDataJSON().messages[0].content[0].image_url.url, /^data:image\/tiff;base64,/);
  await answered(page);
  assert.deepEqual(await close(), []);
});

test('A file that cannot be shown says why and nothing of the patient, and without the key nothing is shown', async () => {
  const { page, close } = await open(browser, server.url, { expected: ['400'] });
  await ready(page);
  await drop(page, 'INVENTED.dcm', radiograph({ syntax: '1.2.840.10008.1.2.4.201' }));
  const notice = page.locator('#notice:not([hidden])');
  await notice.getByText('High-Throughput JPEG 2000 Lossless').waitFor();
  assert.ok(!(await notice.textContent()).includes('INVENTED'));
  await drop(page, 'cut.dcm', radiograph().subarray(0, 400));
  await notice.getByText('damaged or cut off').waitFor();
  assert.equal(await page.locator('#pictures img').count(), 0);
  assert.deepEqual(await close(), []);

  const guarded = await open(browser, locked.url, { expected: ['401'] });
  await guarded.page.getByLabel('API key').fill('secret');
  await guarded.page.keyboard.press('Tab');
  await ready(guarded.page);
  await drop(guarded.page, 'chest.dcm', radiograph());
  await guarded.page.getByAltText('chest.dcm').waitFor();
  assert.deepEqual(await guarded.close(), []);
});

test('A file is known by its first bytes, and by its name only where DICOM has no preamble', () => {
  const bytes = text => Uint8Array.from([...text].map(letter => letter.charCodeAt(0)));
  assert.equal(medicalType(bytes('\0'.repeat(128) + 'DICM'), 'IM000001'), 'application/dicom');
  assert.equal(medicalType(bytes('\x08\0\x05\0'), 'a.DCM'), 'application/dicom');
  assert.equal(medicalType(bytes('II*\0'), 'a'), 'image/tiff');
  assert.equal(medicalType(bytes('MM\0*'), 'a.tif'), 'image/tiff');
  assert.equal(medicalType(bytes('\x89PNG'), 'a.png'), null);
  assert.equal(medicalType(bytes(''), 'a.tif'), null);
});
