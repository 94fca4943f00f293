// Images and planes, and what Pillow does with them in Python: crop, reduce, resize.
//
// An image is {width, height, data}: RGBA bytes, of which only RGB count. Planes are {width, height, count, data}:
// Float32Array, pixel by pixel with `count` values each.

export const BILINEAR = { reach: 1, weight: (x) => Math.max(1 - Math.abs(x), 0) };
export const BICUBIC = { reach: 2, weight: bicubic };
export const HAMMING = { reach: 1, weight: hamming };

function bicubic(x) {
  const at = Math.abs(x);
  if (at < 1) return (1.5 * at - 2.5) * at * at + 1;
  return at < 2 ? -0.5 * (((at - 5) * at + 8) * at - 4) : 0;
}

function hamming(x) {
  if (x === 0) return 1;
  const at = Math.abs(x) * Math.PI;
  return at >= Math.PI ? 0 : (Math.sin(at) / at) * (0.54 + 0.46 * Math.cos(at));
}

export const newImage = (width, height) => ({ width, height, data: new Uint8ClampedArray(4 * width * height) });

export const newPlanes = (width, height, count) => ({ width, height, count, data: new Float32Array(width * height * count) });

// As Python's `round`: halves go to the even number.
export function round(value) {
  const below = Math.floor(value);
  const rest = value - below;
  return rest === 0.5 ? below + (below % 2 ? 1 : 0) : Math.round(value);
}

export const clip = (value, low, high) => Math.min(Math.max(value, low), high);

export function crop(image, [left, top, right, bottom]) {
  const made = newImage(right - left, bottom - top);
  for (let y = top; y < bottom; y++) {
    const start = 4 * (y * image.width + left);
    made.data.set(image.data.subarray(start, start + 4 * made.width), 4 * (y - top) * made.width);
  }
  return made;
}

// Averages over squares, from the left upper corner of a box on; those at its end may be smaller.
export function reduce(image, [across, down], [left, top, right, bottom] = [0, 0, image.width, image.height]) {
  if (across === 1 && down === 1) return crop(image, [left, top, right, bottom]);
  const made = newImage(Math.ceil((right - left) / across), Math.ceil((bottom - top) / down));
  for (let y = 0; y < made.height; y++) {
    const [first, end] = [top + y * down, Math.min(top + (y + 1) * down, bottom)];
    for (let x = 0; x < made.width; x++) {
      const [start, stop] = [left + x * across, Math.min(left + (x + 1) * across, right)];
      let [red, green, blue] = [0, 0, 0];
      for (let row = first; row < end; row++) {
        for (let at = 4 * (row * image.width + start); at < 4 * (row * image.width + stop); at += 4) {
          red += image.data[at];
          green += image.data[at + 1];
          blue += image.data[at + 2];
        }
      }
      const count = (end - first) * (stop - start);
      made.data.set([red, green, blue].map((sum) => Math.floor(sum / count + 0.5)), 4 * (y * made.width + x));
    }
  }
  return made;
}

// Resizes a box of an image with antialiasing. With a `gap`, an image that becomes much smaller is reduced first.
export function resize(image, [width, height], kernel, box = [0, 0, image.width, image.height], gap = 0) {
  const [across, down] = [box[2] - box[0], box[3] - box[1]];
  const factors = gap ? [Math.floor(across / width / gap) || 1, Math.floor(down / height / gap) || 1] : [1, 1];
  if (Math.max(...factors) > 1) {
    const aside = [((kernel.reach - 0.5) * across) / width, ((kernel.reach - 0.5) * down) / height];
    const [left, top] = [0, 1].map((side) => Math.max(0, Math.trunc(box[side] - aside[side])));
    const right = Math.min(image.width, Math.ceil(box[2] + aside[0]));
    const bottom = Math.min(image.height, Math.ceil(box[3] + aside[1]));
    const small = reduce(image, factors, [left, top, right, bottom]);
    const inside = [(box[0] - left) / factors[0], (box[1] - top) / factors[1], (box[2] - left) / factors[0], (box[3] - top) / factors[1]];
    return resize(small, [width, height], kernel, inside);
  }
  const columns = weights(image.width, box[0], box[2], width, kernel);
  const rows = weights(image.height, box[1], box[3], height, kernel);
  const make = (count) => new Uint8ClampedArray(count);
  return { width, height, data: twice(image.data, 4, 3, image, columns, rows, make) };
}

export function resizePlanes(planes, [width, height], kernel) {
  const columns = weights(planes.width, 0, planes.width, width, kernel);
  const rows = weights(planes.height, 0, planes.height, height, kernel);
  const make = (count) => new Float32Array(count);
  return { width, height, count: planes.count, data: twice(planes.data, planes.count, planes.count, planes, columns, rows, make) };
}

// For each place of the result: the first value that it is made of, and their weights.
function weights(length, start, end, size, { reach, weight }) {
  const scale = (end - start) / size;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: size }, (_, place) => {
    const middle = start + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - reach * stretch + 0.5));
    const last = Math.min(length, Math.trunc(middle + reach * stretch + 0.5));
    const found = new Float64Array(last - first).map((_, index) => weight((first + index - middle + 0.5) / stretch));
    const sum = found.reduce((one, other) => one + other, 0);
    return { first, found: sum ? found.map((one) => one / sum) : found };
  });
}

// First along the rows, then along the columns; `bands` of `stride` values.
function twice(data, stride, bands, { width, height }, columns, rows, make) {
  const top = Math.min(...rows.map((row) => row.first));
  const bottom = Math.max(...rows.map((row) => row.first + row.found.length));
  const across = columns.length;
  const half = make((bottom - top) * across * stride);
  for (let y = top; y < bottom; y++) {
    for (let x = 0; x < across; x++) {
      const { first, found } = columns[x];
      for (let band = 0; band < bands; band++) {
        let sum = 0;
        for (let index = 0, at = (y * width + first) * stride + band; index < found.length; index++, at += stride) sum += found[index] * data[at];
        half[((y - top) * across + x) * stride + band] = sum;
      }
    }
  }
  const made = make(rows.length * across * stride);
  for (let y = 0; y < rows.length; y++) {
    const { first, found } = rows[y];
    for (let at = 0; at < across * stride; at++) {
      if (at % stride >= bands) continue;
      let sum = 0;
      for (let index = 0, from = (first - top) * across * stride + at; index < found.length; index++, from += across * stride) sum += found[index] * half[from];
      made[y * across * stride + at] = sum;
    }
  }
  return made;
}

// (3, height, width) float32 in [-1, 1], as the networks take images.
export function toArray({ width, height, data }) {
  const size = width * height;
  const made = new Float32Array(3 * size);
  for (let at = 0; at < size; at++) for (let band = 0; band < 3; band++) made[band * size + at] = data[4 * at + band] / 127.5 - 1;
  return made;
}
