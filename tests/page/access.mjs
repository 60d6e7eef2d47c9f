// Accessibility, checked on what Chromium itself tells assistive programs, and on the colours it has computed.
import assert from 'node:assert/strict';

const controls = ['button', 'textbox', 'combobox', 'spinbutton', 'link', 'image', 'img', 'list', 'log', 'form', 'region', 'searchbox', 'slider'];

// Every control, picture and landmark in the accessibility tree has a name.
export async function checkNames(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  const seen = nodes.filter(node => !node.ignored && controls.includes(node.role?.value));
  assert.ok(seen.length > 5, 'the accessibility tree is empty');
  assert.deepEqual(seen.filter(node => !node.name?.value && node.role.value !== 'list').map(node => node.role.value), [], 'controls without a name');
  await session.detach();
}

// Text has at least 4.5 times the luminance of its ground, or the other way round (WCAG 2.2, 1.4.3).
export async function checkContrast(page) {
  const weak = await page.evaluate(() => {
    const parse = colour => {
      const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
      return { rgb: [r, g, b], a };
    };
    const luminance = rgb => {
      const [r, g, b] = rgb.map(value => value / 255).map(value => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4);
      return .2126 * r + .7152 * g + .0722 * b;
    };
    const ground = element => {
      for (let at = element; at; at = at.parentElement) {
        const { rgb, a } = parse(getComputedStyle(at).backgroundColor);
        if (a === 1) return rgb;
      }
      return [255, 255, 255];
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || !element.checkVisibility() || ['STYLE', 'SCRIPT', 'OPTION'].includes(element.tagName) || element.closest('.hidden')) continue;
      const [one, other] = [luminance(parse(getComputedStyle(element).color).rgb), luminance(ground(element))].sort((a, b) => b - a);
      if ((one + .05) / (other + .05) < 4.5) found.push(`${element.tagName} "${walker.currentNode.data.trim()}" ${((one + .05) / (other + .05)).toFixed(2)}`);
    }
    return found;
  });
  assert.deepEqual(weak, [], 'text that is hard to read');
}
