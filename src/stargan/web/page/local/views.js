// What a model sees of a photo: what `inference/views.py` does in Python, and `photos/windows.py`.
//
// A view is {photo, regions, images, values, estimates}; a region is {part: {image, matrix, fade}, face, number}.

import { BICUBIC, BILINEAR, crop, resize, round, toArray } from "./pixels.js";
import { align, cutByBorder, find, inProfile, sizeOf } from "./finding.js";
import { corners, scaleOf } from "./sampling.js";
import { decide, estimates, probabilities } from "./labels.js";

const SOFT = [0, 0.1];
const WHOLE = [0, 0];
const OVERLAP = 0.25;
const SMALLEST = 64;
const ALIGNED = 2;
const SMALL = 0.5;

// The regions with their labels, or null if there is no face.
export async function look(photo, model, networks, aligning) {
  const regions = await regionsOf(photo, model, networks, aligning);
  if (!regions.length) return null;
  const images = regions.map(({ part }) => toArray(part.image));
  const { network } = model;
  let chances = [];
  for (const image of images) {
    chances.push(network.classifier ? probabilities(network, await networks.classify(image)) : Float32Array.from(network.frequencies));
  }
  if (regions.length > 1 && !regions[0].face) chances = chances.map(() => average(chances)); // parts of one photo
  return {
    photo,
    regions,
    images,
    values: chances.map((one) => decide(network, one)),
    estimates: chances.map((one) => estimates(network, model.groups, one)),
  };
}

const average = (arrays) => arrays[0].map((_, at) => arrays.reduce((sum, array) => sum + array[at], 0) / arrays.length);

async function regionsOf(photo, { network, width, height }, networks, aligning) {
  const size = [width, height];
  if (!network.face) {
    const fraction = network.crop && network.crop <= 1 ? network.crop : 1;
    return cover([photo.width, photo.height], size, fraction).map((place) => ({ part: cut(photo, place, size) }));
  }
  if (!aligning) return [{ part: central(photo, size, network.crop) }];
  const found = await find(photo, networks.detect);
  if (!found.length && photo.width <= photo.height && photo.height <= ALIGNED * Math.max(...size)) {
    return [{ part: central(photo, size, network.crop) }];
  }
  const points = network.face.map((point) => point.map((value, axis) => value * Math.min(...size) + size[axis] / 2));
  return found.map((face, index) => ({ part: { ...align(photo, face, points, size), fade: [SOFT, SOFT, SOFT, SOFT] }, face, number: index + 1 }));
}

// The centre of a photo in which a face is cut and aligned already.
function central(photo, [width, height], cropping) {
  const whole = [photo.width, photo.height];
  let unit = Math.min(whole[0] / width, whole[1] / height);
  if (cropping) unit = cropping <= 1 ? unit * cropping : Math.min(unit, cropping / Math.min(width, height));
  const sides = [width, height].map((side) => Math.max(1, round(side * unit)));
  const [left, top] = whole.map((side, axis) => round((side - sides[axis]) / 2));
  const box = [left, top, left + sides[0], top + sides[1]];
  const fade = [left, top, photo.width - box[2], photo.height - box[3]].map((rest) => (rest > 0 ? SOFT : WHOLE));
  const image = resize(crop(photo, box), [width, height], BILINEAR);
  return { image, matrix: [sides[0] / width, 0, left, 0, sides[1] / height, top], fade };
}

// Windows that cover a photo, for models that know of no places in it: {box, fade}.
function cover(photo, shape, fraction) {
  const largest = Math.min(photo[0] / shape[0], photo[1] / shape[1]);
  const unit = Math.min(largest, Math.max(fraction * largest, SMALLEST / Math.min(...shape)));
  const sides = shape.map((side) => side * unit);
  const shorter = Math.min(...sides);
  const [across, down] = sides.map((side, axis) => rowOf(photo[axis], side, shorter));
  return down.flatMap(([top, above, below]) =>
    across.map(([left, before, after]) => ({ box: [left, top, left + sides[0], top + sides[1]], fade: [before, above, after, below] })),
  );
}

function rowOf(length, side, unit) {
  const count = 1 + Math.max(0, Math.ceil((length - side - 0.5) / (side * (1 - OVERLAP))));
  if (count === 1) return [[(length - side) / 2, WHOLE, WHOLE]];
  const step = (length - side) / (count - 1);
  const fade = [(0.25 * (side - step)) / unit, (0.75 * (side - step)) / unit];
  return Array.from({ length: count }, (_, index) => [index * step, index ? fade : WHOLE, index < count - 1 ? fade : WHOLE]);
}

function cut(photo, { box: [left, top, right, bottom], fade }, [width, height]) {
  const inside = [Math.max(left, 0), Math.max(top, 0), Math.min(right, photo.width), Math.min(bottom, photo.height)];
  const matrix = [(right - left) / width, 0, left, 0, (bottom - top) / height, top];
  return { image: resize(photo, [width, height], BILINEAR, inside), matrix, fade };
}

// A part of the photo at another size, with the same regions.
export function windowOf(view, box, [width, height]) {
  const scale = [width / (box[2] - box[0]), height / (box[3] - box[1])];
  const photo = { ...resize(view.photo, [width, height], BICUBIC, box, 2), kind: view.photo.kind };
  const regions = view.regions.map((region) => {
    const [a, b, c, d, e, f] = region.part.matrix;
    const matrix = [a * scale[0], b * scale[0], (c - box[0]) * scale[0], d * scale[1], e * scale[1], (f - box[1]) * scale[1]];
    return { ...region, part: { ...region.part, matrix } };
  });
  return { ...view, photo, regions };
}

// As the API describes a face.
export function described({ part, face, number }, labels, photo) {
  const warnings = [];
  if (scaleOf(part.matrix) < SMALL) warnings.push(`face ${number} is only ${Math.round(sizeOf(face))} pixels wide; the change will be coarse`);
  if (inProfile(face)) warnings.push(`face ${number} is seen from the side; the model knows faces seen from the front`);
  if (cutByBorder(face, photo)) warnings.push(`face ${number} is cut by the border of the photo`);
  return { number, box: face.box, corners: cornersOf(part), landmarks: face.landmarks, labels, warnings };
}

export const cornersOf = ({ image, matrix }) => corners(matrix, [image.width, image.height]);
