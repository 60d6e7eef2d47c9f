// Screenshots of every state, to be looked at: node shots.mjs FOLDER
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { answered, ask, launch, open, ready, sizes } from './browser.mjs';
import { scan, tiff } from './medical.mjs';
import { picture, serve } from './server.mjs';

const folder = process.argv[2] ?? 'shots';
await mkdir(folder, { recursive: true });
const [server, locked, browser] = [await serve(), await serve('--api-key', 'secret'), await launch()];
for (const size of Object.keys(sizes)) {
  for (const scheme of ['light', 'dark']) {
    const shot = (page, name) => page.screenshot({ path: path.join(folder, `${name}-${size}-${scheme}.png`) });
    const { page, close } = await open(browser, server.url, { size, scheme });
    await ready(page);
    await shot(page, '1-empty');
    await page.getByRole('button', { name: 'Settings' }).click();
    await shot(page, '2-settings');
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByLabel('Temperature').evaluate(input => input.value = '0');
    await page.locator('#file').setInputFiles([picture('Xray', 'phantom_chest_0000.jpg'), picture('Endoscopy', 'phantom_colon_0000.jpg')]);
    await page.getByLabel('Question', { exact: true }).fill('Compare them.');
    await page.waitForFunction(() => document.querySelectorAll('#pictures img').length === 2);
    await shot(page, '3-waiting');
    await page.getByRole('button', { name: 'Remove phantom_colon_0000.jpg' }).click();
    await ask(page, 'Detect the nodule.');
    await answered(page);
    await page.waitForTimeout(200);
    await shot(page, '4-boxes');
    await page.route('**/v1/chat/completions', async route => {
      await new Promise(resolve => setTimeout(resolve, 1500));
      await route.abort();
    });
    await page.getByLabel('Question', { exact: true }).fill('How large is it?');
    await page.keyboard.press('Enter');
    await page.waitForTimeout(300);
    await shot(page, '5-loading');
    await page.waitForFunction(() => !document.getElementById('notice').hidden);
    await shot(page, '6-error');
    await page.unroute('**/v1/chat/completions');
    await page.getByLabel('Question', { exact: true }).fill('Describe the findings in a few sentences, with anything that a colleague should know.\nAnd how sure are you?');
    await page.keyboard.press('Enter');
    await answered(page, 2);
    await page.waitForTimeout(200);
    await shot(page, '7-conversation');
    await page.locator('#file').setInputFiles([
      { name: 'slide.tif', mimeType: 'image/tiff', buffer: Buffer.from(tiff()) }, { name: 'chest.dcm', mimeType: 'application/dicom', buffer: Buffer.from(scan()) },
    ]);
    await page.locator('#view').waitFor();
    await page.getByRole('slider', { name: 'Frame' }).focus();
    for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowRight');
    await page.getByLabel('Window', { exact: true }).selectOption('Lung');
    await page.waitForTimeout(600);
    await shot(page, '9-medical');
    await page.getByLabel('Width').fill('0');
    await shot(page, '9-wrong');
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByLabel('Question', { exact: true }).fill('What is seen?');
    await page.keyboard.press('Enter');
    await answered(page, 3);
    await page.waitForTimeout(200);
    await shot(page, '9-sent');
    await close();
    const other = await open(browser, locked.url, { size, scheme });
    await other.page.waitForFunction(() => !document.getElementById('notice').hidden);
    await shot(other.page, '8-key');
    await other.close();
  }
}
await browser.close();
await Promise.all([server.stop(), locked.stop()]);
