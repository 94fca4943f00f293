// Puts the changes that a model made to parts of a photo back into it: what `photos/` does in Python, where the reasons
// for each step are. A part is {image, matrix, fade}; a layer is its change as a function of the photo's colours, with
// twelve coefficients for each node: three slopes for each colour of the change, and its offsets.

import { BILINEAR, HAMMING, clip, newPlanes, reduce, resizePlanes, toArray } from "./pixels.js";
import { bounds, invert, mirrored, samplePoints, scaleOf, transformPlanes } from "./sampling.js";

const TILE = 256;
const SMOOTHNESS = 256;
const DETAIL = 768;
const RADIUS = 1;
const SMOOTH = 0.05;
const TEXTURE = 0.03;
const DRAWN = 400;

// Changes a copy of the photo. `before` and `after` hold an array (3, h, w) in [-1, 1] for each part.
export function putBack(photo, before, after, parts) {
  const changes = before.map((array, index) => array.map((value, at) => (after[index][at] - value) * 127.5));
  const changed = parts.map((part, index) => index).filter((index) => changes[index].some((value) => value !== 0));
  const reduced = new Map();
  for (const index of changed) {
    const step = cellSize(parts[index]);
    if (!reduced.has(step)) reduced.set(step, step > 1 ? reduce(photo, [step, step]) : photo);
  }
  const layers = changed.map((index) => makeLayer(parts[index], before[index], changes[index], reduced, photo));
  const result = { ...photo, data: photo.data.slice() };
  for (let top = 0; top < photo.height; top += TILE) {
    for (let left = 0; left < photo.width; left += TILE) {
      const box = [left, top, Math.min(left + TILE, photo.width), Math.min(top + TILE, photo.height)];
      const found = layers.filter((layer) => common(layer.box, box));
      if (found.length) addTile(result, found, reduced, box);
    }
  }
  return result;
}

// Pixels of the photo along one cell of a part's change.
const cellSize = ({ image, matrix }) => Math.max(1, Math.round((scaleOf(matrix) * Math.max(image.width, image.height)) / DETAIL));

function common(one, other) {
  const box = [Math.max(one[0], other[0]), Math.max(one[1], other[1]), Math.min(one[2], other[2]), Math.min(one[3], other[3])];
  return box[0] < box[2] && box[1] < box[3] ? box : null;
}

// ---------------------------------------------------------------- layers

function makeLayer(part, before, change, reduced, photo) {
  const size = [part.image.width, part.image.height];
  const step = cellSize(part);
  const { planes, matrix } = coefficients(part, before, change, reduced.get(step), step);
  const spacing = Math.max(step, scaleOf(matrix));
  weigh(planes, part.fade, 0.5 + (spacing > 1 ? (3 * spacing) / scaleOf(matrix) : 0));
  const [left, top, right, bottom] = bounds(part.matrix, size);
  const box = [clip(left, 0, photo.width), clip(top, 0, photo.height), clip(right, 0, photo.width), clip(bottom, 0, photo.height)];
  return { ...spread(planes, matrix, spacing, box), spacing, step, box };
}

// The coefficients as planes, and the matrix from their pixels to pixels of the photo.
function coefficients(part, before, change, reduced, step) {
  const [width, height] = [part.image.width, part.image.height];
  const scale = scaleOf(part.matrix);
  if (scale <= 1) {
    const size = [Math.ceil(width * scale), Math.ceil(height * scale)];
    const small = resizePlanes(interleaved(change, width, height), size, HAMMING);
    const planes = newPlanes(...size, 12);
    for (let at = 0; at < size[0] * size[1]; at++) planes.data.set(small.data.subarray(3 * at, 3 * at + 3), 12 * at + 9);
    return { planes, matrix: forSize(part, size) };
  }
  const factor = Math.ceil(Math.min(scale, Math.max(1, SMOOTHNESS / Math.max(width, height))));
  const size = [width * factor, height * factor];
  const matrix = forSize(part, size);
  const samples = toArray(samplePoints(reduced, matrix.map((value) => value / step), size));
  return { planes: fit(change, before, [width, height], samples, size, factor), matrix };
}

function forSize({ image, matrix: [a, b, c, d, e, f] }, [width, height]) {
  const [across, down] = [image.width / width, image.height / height];
  return [a * across, b * down, c, d * across, e * down, f];
}

function interleaved(array, width, height) {
  const planes = newPlanes(width, height, array.length / (width * height));
  for (let at = 0; at < width * height; at++) {
    for (let band = 0; band < planes.count; band++) planes.data[at * planes.count + band] = array[band * width * height + at];
  }
  return planes;
}

// How much of the change is used at each pixel.
function weigh({ width, height, count, data }, fade, empty) {
  const unit = Math.min(width, height);
  const across = ramps(width, fade[0], fade[2], unit, empty);
  const down = ramps(height, fade[1], fade[3], unit, empty);
  for (let at = 0; at < data.length; at++) {
    const pixel = Math.floor(at / count);
    data[at] *= Math.fround(across[pixel % width] * down[Math.floor(pixel / width)]);
  }
}

function ramps(length, first, last, unit, empty) {
  return Float64Array.from({ length }, (_, at) => ramp(at + 0.5, first, unit, empty) * ramp(length - at - 0.5, last, unit, empty));
}

function ramp(distance, [start, end], unit, empty) {
  if (!end) return 1;
  const begin = Math.max(start * unit, empty);
  const depth = clip((distance - begin) / Math.max(end * unit - begin, 1e-6), 0, 1);
  return depth * depth * (3 - 2 * depth);
}

// Reads the planes at nodes around a box of the photo.
function spread(planes, matrix, spacing, box) {
  const around = Math.ceil((1.5 * spacing) / scaleOf(matrix)) + 1;
  const [left, top] = [Math.floor(box[0] / spacing) - 1, Math.floor(box[1] / spacing) - 1];
  const size = [Math.ceil(box[2] / spacing) + 1 - left, Math.ceil(box[3] / spacing) + 1 - top];
  const [a, b, c, d, e, f] = invert(matrix);
  const linear = [spacing * a, spacing * b, spacing * d, spacing * e];
  const toPlane = [linear[0], linear[1], linear[0] * left + linear[1] * top + c, linear[2], linear[3], linear[2] * left + linear[3] * top + f];
  return { nodes: transformPlanes(planes, toPlane, size, around), first: [left, top] };
}

// ---------------------------------------------------------------- the guided filter

// The change as a linear function of the photo's colour around each pixel: the twelve planes.
function fit(change, small, [width, height], photo, size, factor) {
  const planes = resizePlanes(solved(change, small, width, height), size, BILINEAR); // twelve: slopes, then offsets
  const pixels = size[0] * size[1];
  for (let guide = 0; guide < 3; guide++) {
    const { kept, means } = withoutTexture(photo.subarray(guide * pixels, (guide + 1) * pixels), ...size, factor);
    for (let at = 0; at < pixels; at++) {
      for (let band = 0; band < 3; band++) {
        const slope = planes.data[12 * at + 3 * guide + band];
        planes.data[12 * at + 9 + band] += slope * means[at];
        planes.data[12 * at + 3 * guide + band] = slope * kept[at];
      }
    }
  }
  return planes;
}

function solved(change, small, width, height) {
  const size = width * height;
  const mean = (values) => boxMean(values, width, height, RADIUS);
  const product = (one, other) => mean(one.map((value, at) => value * other[at]));
  const bands = (array) => [0, 1, 2].map((band) => Float64Array.from(array.subarray(band * size, (band + 1) * size)));
  const [guides, changes] = [bands(small), bands(change)];
  const [guideMeans, changeMeans] = [guides.map(mean), changes.map(mean)];
  const variances = guides.map((one) => guides.map((other) => product(one, other)));
  const covariances = guides.map((one) => changes.map((other) => product(one, other)));
  const found = Array.from({ length: 12 }, () => new Float64Array(size));
  const system = new Float64Array(9);
  for (let at = 0; at < size; at++) {
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) system[3 * i + j] = variances[i][j][at] - guideMeans[i][at] * guideMeans[j][at] + (i === j ? SMOOTH : 0);
    }
    const inverse = inverse3(system);
    for (let band = 0; band < 3; band++) {
      let offset = changeMeans[band][at];
      for (let guide = 0; guide < 3; guide++) {
        let slope = 0;
        for (let i = 0; i < 3; i++) slope += inverse[3 * guide + i] * (covariances[i][band][at] - guideMeans[i][at] * changeMeans[band][at]);
        found[3 * guide + band][at] = slope;
        offset -= slope * guideMeans[guide][at];
      }
      found[9 + band][at] = offset;
    }
  }
  const means = found.map(mean);
  addDrawn(means, guides, changes, mean);
  const planes = newPlanes(width, height, 12);
  means.forEach((values, plane) => values.forEach((value, at) => (planes.data[12 * at + plane] = value)));
  return planes;
}

// Adds to the offsets what is no function of the colours.
function addDrawn(means, guides, changes, mean) {
  const rests = changes.map((change, band) =>
    change.map((value, at) => guides.reduce((rest, guide, index) => rest - means[3 * index + band][at] * guide[at], value - means[9 + band][at])),
  );
  const variance = mean(rests[0].map((_, at) => rests.reduce((sum, rest) => sum + rest[at] * rest[at], 0) / 3));
  rests.forEach((rest, band) => rest.forEach((value, at) => (means[9 + band][at] += value * (variance[at] / (variance[at] + DRAWN)))));
}

// The inverse of a symmetric matrix of nine numbers.
function inverse3([a, b, c, , e, f, , , i]) {
  const [one, two, three] = [e * i - f * f, c * f - b * i, b * f - c * e];
  const area = a * one + b * two + c * three;
  return [one, two, three, two, a * i - c * c, b * c - a * f, three, b * c - a * f, a * e - b * b].map((value) => value / area);
}

// Slopes and offsets that smooth one channel where it varies little, and keep its edges.
function withoutTexture(values, width, height, radius) {
  const mean = boxMean(values, width, height, radius);
  const squares = boxMean(Float64Array.from(values).map((value) => value * value), width, height, radius);
  const slopes = mean.map((value, at) => {
    const variance = Math.max(squares[at] - value * value, 0);
    return variance / (variance + TEXTURE);
  });
  const offsets = mean.map((value, at) => value * (1 - slopes[at]));
  return { kept: boxMean(slopes, width, height, radius), means: boxMean(offsets, width, height, radius) };
}

// Means over squares of 2 `radius` + 1 pixels, edges mirrored.
function boxMean(values, width, height, radius) {
  const rows = new Float64Array(width * height);
  const made = new Float64Array(width * height);
  const area = (2 * radius + 1) ** 2;
  for (let shift = -radius; shift <= radius; shift++) {
    for (let y = 0; y < height; y++) {
      const [from, to] = [mirrored(y + shift, height) * width, y * width];
      for (let x = 0; x < width; x++) rows[to + x] += values[from + x];
    }
  }
  for (let shift = -radius; shift <= radius; shift++) {
    const columns = Int32Array.from({ length: width }, (_, x) => mirrored(x + shift, width));
    for (let y = 0, to = 0; y < height; y++) for (let x = 0; x < width; x++, to++) made[to] += rows[y * width + columns[x]] / area;
  }
  return made;
}

// ---------------------------------------------------------------- tiles

// Adds the changes of layers to one tile of the photo.
function addTile(photo, layers, reduced, box) {
  const step = Math.min(...layers.map((layer) => layer.step));
  const small = reduced.get(step);
  const [columns, rows] = [places(box[0], box[2], 1 / step, small.width), places(box[1], box[3], 1 / step, small.height)];
  const cells = [columns.low[0], rows.low[0], columns.high.at(-1) + 1, rows.high.at(-1) + 1];
  const width = cells[2] - cells[0];
  const change = new Float32Array(3 * width * (cells[3] - cells[1]));
  for (const layer of layers) {
    const shared = common(cellsOf(layer.box, step), cells);
    if (shared) addCells(change, width, cells, layer, step, shared, small);
  }
  if (change.every((value) => Math.abs(value) <= 0.5)) return;
  for (let y = box[1]; y < box[3]; y++) {
    const row = y - box[1];
    const [above, below] = [rows.low[row], rows.high[row]].map((line) => 3 * (line - cells[1]) * width);
    for (let x = box[0]; x < box[2]; x++) {
      const [left, right, rest] = [3 * (columns.low[x - box[0]] - cells[0]), 3 * (columns.high[x - box[0]] - cells[0]), columns.rest[x - box[0]]];
      for (let band = 0; band < 3; band++) {
        const upper = change[above + left + band] * (1 - rest) + change[above + right + band] * rest;
        const lower = change[below + left + band] * (1 - rest) + change[below + right + band] * rest;
        const at = 4 * (y * photo.width + x) + band;
        photo.data[at] = Math.floor(clip(photo.data[at] + upper * (1 - rows.rest[row]) + lower * rows.rest[row] + 0.5, 0, 255));
      }
    }
  }
}

function addCells(change, width, cells, layer, step, [left, top, right, bottom], small) {
  const { nodes, first, spacing } = layer;
  const columns = places(left, right, step / spacing);
  const rows = places(top, bottom, step / spacing);
  const line = new Float32Array(12 * nodes.width); // the nodes of a row of cells
  for (let y = top; y < bottom; y++) {
    const row = y - top;
    const [above, below, rest] = [12 * (rows.low[row] - first[1]) * nodes.width, 12 * (rows.high[row] - first[1]) * nodes.width, rows.rest[row]];
    for (let at = 0; at < line.length; at++) line[at] = nodes.data[above + at] * (1 - rest) + nodes.data[below + at] * rest;
    for (let x = left; x < right; x++) {
      const pixel = 4 * (y * small.width + x);
      const [red, green, blue] = [small.data[pixel] / 127.5 - 1, small.data[pixel + 1] / 127.5 - 1, small.data[pixel + 2] / 127.5 - 1];
      const [low, high, share] = [12 * (columns.low[x - left] - first[0]), 12 * (columns.high[x - left] - first[0]), columns.rest[x - left]];
      const to = 3 * ((y - cells[1]) * width + x - cells[0]);
      for (let band = 0; band < 3; band++) {
        const one = line[low + 9 + band] + line[low + band] * red + line[low + 3 + band] * green + line[low + 6 + band] * blue;
        const other = line[high + 9 + band] + line[high + band] * red + line[high + 3 + band] * green + line[high + 6 + band] * blue;
        change[to + band] += one * (1 - share) + other * share;
      }
    }
  }
}

const cellsOf = (box, step) => [Math.floor(box[0] / step), Math.floor(box[1] / step), Math.ceil(box[2] / step), Math.ceil(box[3] / step)];

// Linear interpolation along one dimension: for each place, the two nodes around it and the share of the second.
function places(start, stop, scale, limit = Infinity) {
  const size = stop - start;
  const found = { low: new Int32Array(size), high: new Int32Array(size), rest: new Float64Array(size) };
  for (let index = 0; index < size; index++) {
    const node = clip((start + index + 0.5) * scale - 0.5, limit < Infinity ? 0 : -Infinity, limit - 1);
    found.low[index] = Math.floor(node);
    found.high[index] = Math.ceil(node);
    found.rest[index] = node - found.low[index];
  }
  return found;
}
