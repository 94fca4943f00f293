// Turned and scaled pieces of images. A matrix [a, b, c, d, e, f] leads from (x, y) to (a x + b y + c, d x + e y + f).

import { BILINEAR, clip, newImage, newPlanes, reduce, resize } from "./pixels.js";

export const FINE = 4;

export const scaleOf = ([a, b, , d, e]) => Math.sqrt(Math.abs(a * e - b * d));

export const map = ([a, b, c, d, e, f], [x, y]) => [a * x + b * y + c, d * x + e * y + f];

export function invert([a, b, c, d, e, f]) {
  const area = a * e - b * d;
  const linear = [e / area, -b / area, -d / area, a / area];
  return [linear[0], linear[1], -(linear[0] * c + linear[1] * f), linear[2], linear[3], -(linear[2] * c + linear[3] * f)];
}

// The turn, scale and shift that bring points nearest to others (Umeyama 1991, in two dimensions).
export function similarity(source, target) {
  const [from, to] = [middle(source), middle(target)];
  let [real, imaginary, square] = [0, 0, 0];
  source.forEach((point, index) => {
    const [x, y] = [point[0] - from[0], point[1] - from[1]];
    const [u, v] = [target[index][0] - to[0], target[index][1] - to[1]];
    real += x * u + y * v;
    imaginary += x * v - y * u;
    square += x * x + y * y;
  });
  const [a, b] = [real / square, imaginary / square];
  return [a, -b, to[0] - a * from[0] + b * from[1], b, a, to[1] - b * from[0] - a * from[1]];
}

export const middle = (points) => [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);

export function corners(matrix, [width, height]) {
  return [[0, 0], [width, 0], [width, height], [0, height]].map((corner) => map(matrix, corner));
}

// The upright box around a piece of an image, in whole pixels.
export function bounds(matrix, size) {
  const found = corners(matrix, size);
  const [xs, ys] = [0, 1].map((axis) => found.map((corner) => corner[axis]));
  return [Math.floor(Math.min(...xs)), Math.floor(Math.min(...ys)), Math.ceil(Math.max(...xs)), Math.ceil(Math.max(...ys))];
}

// Cuts out a piece of `size`; beyond its border, the photo is mirrored or black.
export function sample(photo, matrix, [width, height], { fine = FINE, black = false } = {}) {
  const scale = scaleOf(matrix);
  const shrink = Math.max(1, Math.trunc(scale / fine));
  const times = Math.max(1, Math.min(fine, Math.ceil(scale / shrink)));
  const [a, b, c, d, e, f] = matrix;
  const piece = samplePoints(photo, [a / times, b / times, c, d / times, e / times, f], [width * times, height * times], { shrink, black });
  return times === 1 ? piece : resize(piece, [width, height], BILINEAR);
}

// Samples the photo, averaged over `shrink` pixels, at one point for each pixel of the piece.
export function samplePoints(photo, matrix, size, { shrink = 1, black = false } = {}) {
  const { region, origin } = regionOf(photo, matrix, size, shrink, black);
  const [a, b, c, d, e, f] = matrix;
  return transform(region, [a, b, c - origin[0], d, e, f - origin[1]].map((value) => value / shrink), size);
}

function regionOf(photo, matrix, size, shrink, black) {
  const box = bounds(matrix, size);
  const limits = [photo.width, photo.height];
  const ways = limits.map((limit, axis) => {
    const [low, high] = [box[axis] - 3 * shrink, box[axis + 2] + 3 * shrink];
    const start = clip(Math.min(low, 2 * limit - high), 0, limit - 1);
    const stop = clip(Math.max(high, -low), 1, limit);
    return { start, stop, before: Math.max(Math.ceil((start - low) / shrink), 0), after: Math.max(Math.ceil((high - stop) / shrink), 0) };
  });
  const [across, down] = ways;
  const inside = reduce(photo, [shrink, shrink], [across.start, down.start, across.stop, down.stop]);
  const region = padded(inside, across, down, black);
  return { region, origin: ways.map(({ start, before }) => start - before * shrink) };
}

function padded(image, across, down, black) {
  if (!across.before && !across.after && !down.before && !down.after) return image;
  const made = newImage(across.before + image.width + across.after, down.before + image.height + down.after);
  for (let y = 0; y < made.height; y++) {
    for (let x = 0; x < made.width; x++) {
      const [column, row] = [x - across.before, y - down.before];
      if (black && (column < 0 || row < 0 || column >= image.width || row >= image.height)) continue;
      const from = 4 * (mirrored(row, image.height) * image.width + mirrored(column, image.width));
      for (let band = 0; band < 3; band++) made.data[4 * (y * made.width + x) + band] = image.data[from + band];
    }
  }
  return made;
}

// The place that is seen at a place beyond the border, in a mirror along it.
export function mirrored(place, length) {
  const turn = ((place % (2 * length)) + 2 * length) % (2 * length);
  return turn < length ? turn : 2 * length - 1 - turn;
}

// Bicubic interpolation, as in Pillow's `transform`; what lies outside is black.
function transform(image, matrix, [width, height]) {
  const made = newImage(width, height);
  const [a, b, c, d, e, f] = matrix;
  const [columns, rows, across, down] = [new Int32Array(4), new Int32Array(4), new Float64Array(4), new Float64Array(4)];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const u = a * (x + 0.5) + b * (y + 0.5) + c;
      const v = d * (x + 0.5) + e * (y + 0.5) + f;
      if (u < 0 || v < 0 || u >= image.width || v >= image.height) continue;
      cubic(u - 0.5, image.width, columns, across);
      cubic(v - 0.5, image.height, rows, down);
      for (let band = 0; band < 3; band++) {
        let sum = 0;
        for (let j = 0; j < 4; j++) {
          const start = 4 * rows[j] * image.width + band;
          let line = 0;
          for (let i = 0; i < 4; i++) line += across[i] * image.data[start + 4 * columns[i]];
          sum += down[j] * line;
        }
        made.data[4 * (y * width + x) + band] = Math.trunc(sum);
      }
    }
  }
  return made;
}

// The four places around one, within the image, and their weights: Pillow's, which are sharper than those of `resize`.
function cubic(at, length, places, weights) {
  const first = Math.floor(at);
  const t = at - first;
  for (let index = 0; index < 4; index++) places[index] = clip(first - 1 + index, 0, length - 1);
  weights[0] = -t * (1 - t) * (1 - t);
  weights[1] = 1 + t * t * (t - 2);
  weights[2] = t * (1 + t - t * t);
  weights[3] = -t * t * (1 - t);
}

// Linear interpolation of planes that go on for `around` pixels beyond their border, and are zero outside.
export function transformPlanes(planes, matrix, [width, height], around) {
  const { count, data } = planes;
  const [a, b, c, d, e, f] = matrix;
  const made = newPlanes(width, height, count);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const u = a * (x + 0.5) + b * (y + 0.5) + c;
      const v = d * (x + 0.5) + e * (y + 0.5) + f;
      if (u < -around || v < -around || u >= planes.width + around || v >= planes.height + around) continue;
      const [left, top] = [Math.floor(u - 0.5), Math.floor(v - 0.5)];
      const [dx, dy] = [u - 0.5 - left, v - 0.5 - top];
      const at = (column, row) => count * (clip(row, 0, planes.height - 1) * planes.width + clip(column, 0, planes.width - 1));
      const [one, two, three, four] = [at(left, top), at(left + 1, top), at(left, top + 1), at(left + 1, top + 1)];
      const to = count * (y * width + x);
      for (let band = 0; band < count; band++) {
        const above = data[one + band] + (data[two + band] - data[one + band]) * dx;
        const below = data[three + band] + (data[four + band] - data[three + band]) * dx;
        made.data[to + band] = above + (below - above) * dy;
      }
    }
  }
  return made;
}

