// The system's Chromium, and a page in one of the sizes and schemes that are tested. Whatever a page complains about fails its test.
import { chromium } from 'playwright-core';

export const sizes = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } };

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

// `expected` are complaints that a test provokes: Chromium reports every answer of 400 and above in the console.
export async function open(browser, url, { size = 'desktop', scheme = 'light', expected = [], ...rest } = {}) {
  const context = await browser.newContext({ viewport: sizes[size], colorScheme: scheme, hasTouch: size === 'phone', permissions: ['clipboard-read', 'clipboard-write'], ...rest });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', error => complaints.push(String(error)));
  await page.addInitScript(() => {
    globalThis.violations = [];
    addEventListener('securitypolicyviolation', event => globalThis.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(url);
  return {
    page,
    async close() {
      const violations = await page.evaluate(() => globalThis.violations);
      await context.close();
      return [...violations, ...complaints.filter(text => !expected.some(part => text.includes(part)))];
    },
  };
}

// Model list loaded, question box in use.
export async function ready(page) {
  await page.waitForFunction(() => !document.getElementById('model').disabled);
}

export async function ask(page, question) {
  await page.getByLabel('Question', { exact: true }).fill(question);
  await page.keyboard.press('Enter');
}

export async function answered(page, count = 1) {
  await page.waitForFunction(count => document.querySelectorAll('#log .turn:not(.you)[aria-busy="false"]').length === count, count);
  return page.locator('#log .turn:not(.you) .text').last().textContent();
}

// Drops a file on the page, as the desktop does it.
export async function drop(page, name, bytes, type = '') {
  await page.evaluate(([name, bytes, type]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], name, { type }));
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
  }, [name, [...bytes], type]);
}
