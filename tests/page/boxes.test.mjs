// What counts as a box in an answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findBoxes } from '../../src/GemmaCore.Server/Page/boxes.js';

const sides = boxes => boxes.map(({ left, top, right, bottom }) => [left, top, right, bottom]);

test('Lists of four numbers are pixels: left, top, right, bottom', () => {
  assert.deepEqual(sides(findBoxes('[17, 52, 36, 70]', 112, 112)), [[17, 52, 36, 70]]);
  assert.deepEqual(sides(findBoxes('Two: [1,2,3,4] and [ 5.5 , 6, 7.25, 8 ].', 112, 112)), [[1, 2, 3, 4], [5.5, 6, 7.25, 8]]);
});

test('box_2d is top, left, bottom, right in thousandths of the picture, with the label of its object', () => {
  const text = '```json\n[{"box_2d": [100, 200, 300, 400], "label": "nodule"}, {"label": "heart", "box_2d": [500,0,1000,500]}, {"box_2d": [0, 0, 10, 10]}]\n```';
  const boxes = findBoxes(text, 2000, 1000);
  assert.deepEqual(sides(boxes), [[400, 100, 800, 300], [0, 500, 1000, 1000], [0, 0, 20, 10]]);
  assert.deepEqual(boxes.map(box => box.label), ['nodule', 'heart', '']);
});

test('Thousandths of a padded picture are of the square it stood in the middle of', () => {
  assert.deepEqual(sides(findBoxes('{"box_2d": [250, 500, 750, 1000]}', 400, 200, true)), [[200, 0, 400, 200]]);
  assert.deepEqual(sides(findBoxes('{"box_2d": [0, 500, 500, 1000]}', 101, 200, true)), [[51, 0, 101, 100]]);
  assert.deepEqual(findBoxes('{"box_2d": [0, 0, 250, 1000]}', 400, 200, true), []);
  assert.deepEqual(sides(findBoxes('[10, 20, 30, 40]', 400, 200, true)), [[10, 20, 30, 40]]);
});

test('A box is cut to the picture; one outside it or without an extent is none', () => {
  assert.deepEqual(sides(findBoxes('[-5, 100, 50, 900]', 112, 112)), [[0, 100, 50, 112]]);
  assert.deepEqual(findBoxes('[200, 200, 300, 300] [5, 5, 5, 9] [9, 9, 1, 1] {"box_2d": [5, 5, 5, 5]}', 112, 112), []);
});

test('Other lists are no boxes', () => {
  assert.deepEqual(findBoxes('[1, 2, 3] [1, 2, 3, 4, 5] [1, 2, 3, x] (1, 2, 3, 4) 1, 2, 3, 4 [[1, 2], [3, 4]]', 112, 112), []);
});
