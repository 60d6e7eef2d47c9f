// Makes a DICOM and a TIFF file: synthetic numbers, an invented name.
function element(group, number, vr, value) {
  const bytes = typeof value === 'string' ? Buffer.from(value.length % 2 ? value + (vr === 'UI' ? '\0' : ' ') : value, 'latin1') : value;
  const long = ['OB', 'OW'].includes(vr), head = Buffer.alloc(long ? 12 : 8);
  head.writeUInt16LE(group, 0);
  head.writeUInt16LE(number, 2);
  head.write(vr, 4, 'latin1');
  if (long) head.writeUInt32LE(bytes.length, 8);
  else head.writeUInt16LE(bytes.length, 6);
  return Buffer.concat([head, bytes]);
}

function words(...values) {
  const bytes = Buffer.alloc(2 * values.length);
  values.forEach((value, index) => bytes.writeUInt16LE(value, 2 * index));
  return bytes;
}

// 64 x 48 pixels of 12 bits whose columns hold 0, 16, 32, …, with a window from 256 to 768.
export function radiograph({ syntax = '1.2.840.10008.1.2.1' } = {}) {
  const pixels = words(...Array.from({ length: 64 * 48 }, (_, index) => 16 * (index % 64)));
  return Buffer.concat([
    Buffer.alloc(128), Buffer.from('DICM'), element(2, 0x10, 'UI', syntax), element(8, 0x60, 'CS', 'DX'), element(0x10, 0x10, 'PN', 'INVENTED^NAME'), element(0x10, 0x30, 'DA', '19700101'),
    element(0x28, 2, 'US', words(1)), element(0x28, 4, 'CS', 'MONOCHROME2'), element(0x28, 0x10, 'US', words(48)), element(0x28, 0x11, 'US', words(64)), element(0x28, 0x100, 'US', words(16)),
    element(0x28, 0x101, 'US', words(12)), element(0x28, 0x102, 'US', words(11)), element(0x28, 0x103, 'US', words(0)), element(0x28, 0x1050, 'DS', '512'), element(0x28, 0x1051, 'DS', '512'),
    element(0x7fe0, 0x10, 'OW', pixels),
  ]);
}

// 8 frames of a CT of 32 x 24 pixels, invented: rows hold 0, 100, 200, … HU, and every frame 10 more than the one before. Two windows of its own: LUNG and MED.
export function scan({ frames = 8, says = frames } = {}) {
  const pixels = words(...Array.from({ length: frames * 32 * 24 }, (_, index) => 1024 + 100 * (Math.floor(index / 32) % 24) - 800 + 10 * Math.floor(index / 768)));
  return Buffer.concat([
    Buffer.alloc(128), Buffer.from('DICM'), element(2, 0x10, 'UI', '1.2.840.10008.1.2.1'), element(8, 0x60, 'CS', 'CT'), element(0x10, 0x10, 'PN', 'INVENTED^NAME'),
    element(0x28, 2, 'US', words(1)), element(0x28, 4, 'CS', 'MONOCHROME2'), element(0x28, 8, 'IS', `${says}`), element(0x28, 0x10, 'US', words(24)), element(0x28, 0x11, 'US', words(32)),
    element(0x28, 0x100, 'US', words(16)), element(0x28, 0x101, 'US', words(12)), element(0x28, 0x102, 'US', words(11)), element(0x28, 0x103, 'US', words(0)), element(0x28, 0x1050, 'DS', '-600\\50'),
    element(0x28, 0x1051, 'DS', '1500\\350'), element(0x28, 0x1052, 'DS', '-1024'), element(0x28, 0x1053, 'DS', '1'), element(0x28, 0x1055, 'LO', 'LUNG\\MED'), element(0x7fe0, 0x10, 'OW', pixels),
  ]);
}

// 8 x 6 pixels in one strip, red rising to the right, green downwards.
export function tiff({ pages = 1 } = {}) {
  const bytes = Buffer.concat(Array.from({ length: pages }, (_, page) => directory(page, pages)));
  return Buffer.concat([Buffer.from([0x49, 0x49, 42, 0, 8, 0, 0, 0]), bytes]);
}

// A page's directory and, behind it, its pixels; red is 50 less on every further page.
function directory(page, pages) {
  const [width, height] = [8, 6], entries = [[256, 3, 1, width], [257, 3, 1, height], [258, 3, 1, 8], [259, 3, 1, 1], [262, 3, 1, 2], [273, 4, 1, 0], [277, 3, 1, 3], [278, 3, 1, height], [279, 4, 1, 3 * width * height], [284, 3, 1, 1]];
  const head = Buffer.alloc(2 + 12 * entries.length + 4), size = head.length + 3 * width * height;
  entries[5][3] = 8 + page * size + head.length;
  head.writeUInt16LE(entries.length, 0);
  entries.forEach(([tag, type, count, value], index) => {
    head.writeUInt16LE(tag, 2 + 12 * index);
    head.writeUInt16LE(type, 4 + 12 * index);
    head.writeUInt32LE(count, 6 + 12 * index);
    head.writeUInt32LE(value, 10 + 12 * index);
  });
  if (page + 1 < pages) head.writeUInt32LE(8 + (page + 1) * size, head.length - 4);
  return Buffer.concat([head, Buffer.from(Array.from({ length: width * height }, (_, index) => [200 - 50 * page + index % width, 120 + Math.floor(index / width), 180]).flat())]);
}
