// Faces in photos: finds them and aligns them for a model, as `faces/` does in Python, where the reasons are.
// A face is {box: [left, top, right, bottom], landmarks: five [x, y], score}.

import { BILINEAR, clip, newImage, resize, round } from "./pixels.js";
import { map, middle, sample, similarity } from "./sampling.js";

const SEARCH = 1024;
const TURNED = 640;
const ENLARGED = 640;
const OVERVIEW = 320;
const CLOSER = 256;
const AROUND = 2.5;
const ASIDE = 0.2;
const SMALLEST = 8;
const SURE = 0.5;
const MAYBE = 0.25;
const OVERLAP = 0.3;
const STRIDE = 4;
const MULTIPLE = 32;
const IN_PROFILE = 0.65;
const FITTED = [0, 1, 3, 4];

// `run` runs the network: ({data, width, height}) to {heat, size, offset, points, width}, maps of a quarter of the size.
export async function find(photo, run) {
  let found = await search(photo, 0, SEARCH, run);
  if (!found.length) {
    const turned = [];
    for (const turns of [1, 3, 2]) turned.push(await search(photo, turns, TURNED, run));
    const sure = (faces) => faces.reduce((sum, face) => sum + face.score, 0);
    found = turned.reduce((best, faces) => (sure(faces) > sure(best) ? faces : best));
  }
  return found.sort((one, other) => one.box[0] + one.box[2] - other.box[0] - other.box[2]);
}

async function search(photo, turns, longest, run) {
  const longer = Math.max(photo.width, photo.height);
  const fine = Math.min(longest, Math.max(longer, Math.min(ENLARGED, 2 * longer)));
  const small = resized(photo, fine);
  const candidates = [];
  for (const look of fine > OVERVIEW ? [small, resized(small, OVERVIEW)] : [small]) {
    for (const face of await detect(turn(look, turns), MAYBE, run)) candidates.push(turnedBack(face, turns, look, photo));
  }
  const found = [];
  for (const candidate of once(candidates)) {
    const face = await closer(photo, candidate, run);
    if (face) found.push(face);
  }
  return once(found);
}

function resized(image, longer) {
  const scale = longer / Math.max(image.width, image.height);
  const size = [Math.max(1, round(image.width * scale)), Math.max(1, round(image.height * scale))];
  return size[0] === image.width && size[1] === image.height ? image : resize(image, size, BILINEAR, undefined, 2);
}

// Quarter turns counterclockwise.
function turn(image, turns) {
  let turned = image;
  for (let time = 0; time < turns; time++) turned = turnOnce(turned);
  return turned;
}

function turnOnce({ width, height, data }) {
  const made = newImage(height, width);
  const [from, to] = [new Uint32Array(data.buffer, data.byteOffset, width * height), new Uint32Array(made.data.buffer)];
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) to[(width - 1 - x) * height + y] = from[y * width + x];
  return made;
}

function turnedBack({ box, landmarks, score }, turns, look, photo) {
  const { width, height } = look;
  const back = ([x, y]) => [[x, y], [width - y, x], [width - x, height - y], [y, height - x]][turns];
  const scaled = (point) => back(point).map((value, axis) => (value * [photo.width, photo.height][axis]) / [width, height][axis]);
  return around([[box[0], box[1]], [box[2], box[3]]].map(scaled), landmarks.map(scaled), score);
}

function around(corners, landmarks, score) {
  const [xs, ys] = [0, 1].map((axis) => corners.map((corner) => corner[axis]));
  return { box: [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], landmarks, score };
}

// Finds a candidate again in an upright square around it.
async function closer(photo, face, run) {
  const step = (AROUND * Math.max(sizeOf(face), SMALLEST)) / CLOSER;
  const [cosine, sine] = direction(face).map((value) => value * step);
  const centre = middle(face.landmarks);
  const half = CLOSER / 2;
  const matrix = [cosine, -sine, centre[0] - (cosine - sine) * half, sine, cosine, centre[1] - (sine + cosine) * half];
  const found = await detect(sample(photo, matrix, [CLOSER, CLOSER], { fine: 1, black: true }), SURE, run);
  const distances = found.map((one) => Math.hypot(...middle(one.landmarks).map((value) => value - half)));
  const nearest = Math.min(...distances);
  if (!(nearest < ASIDE * CLOSER)) return null;
  const { box, landmarks, score } = found[distances.indexOf(nearest)];
  const corners = [[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]]];
  return around(corners.map((point) => map(matrix, point)), landmarks.map((point) => map(matrix, point)), score);
}

// The cosine and sine of a face's turn in the image.
function direction({ landmarks }) {
  const [left, right, , one, other] = landmarks;
  const across = [0, 1].map((axis) => (right[axis] - left[axis] + other[axis] - one[axis]) / 2);
  const [eyes, mouth] = [middle([left, right]), middle([one, other])];
  const angle = Math.atan2(-(mouth[0] - eyes[0] - across[1]), mouth[1] - eyes[1] + across[0]);
  return [Math.cos(angle), Math.sin(angle)];
}

// ---------------------------------------------------------------- the network

async function detect(image, threshold, run) {
  const [width, height] = [image.width, image.height].map((side) => Math.ceil(side / MULTIPLE) * MULTIPLE);
  const data = new Float32Array(3 * width * height);
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) {
      for (let band = 0; band < 3; band++) data[(band * height + y) * width + x] = image.data[4 * (y * image.width + x) + band];
    }
  }
  const maps = await run({ data, width, height });
  const size = (width / STRIDE) * (height / STRIDE);
  const found = [];
  for (let at = 0; at < size; at++) if (maps.heat[at] > threshold) found.push(decoded(maps, at, size, width / STRIDE));
  return once(found);
}

function decoded({ heat, size, offset, points }, at, count, across) {
  const [height, width] = [0, 1].map((axis) => Math.exp(size[axis * count + at]) * STRIDE);
  const [y, x] = [Math.floor(at / across), at % across].map((place, axis) => (place + offset[axis * count + at] + 0.5) * STRIDE);
  const [left, top] = [x - width / 2, y - height / 2];
  const landmarks = [0, 1, 2, 3, 4].map((point) => [points[(2 * point + 1) * count + at] * width + left, points[2 * point * count + at] * height + top]);
  return { box: [left, top, left + width, top + height], landmarks, score: heat[at] };
}

// Each face once, the surest first.
function once(faces) {
  let left = [...faces].sort((one, other) => other.score - one.score);
  const kept = [];
  while (left.length) {
    const best = left.shift();
    kept.push(best);
    left = left.filter((other) => {
      const sides = [0, 1].map((axis) => Math.max(Math.min(best.box[axis + 2], other.box[axis + 2]) - Math.max(best.box[axis], other.box[axis]), 0));
      const shared = sides[0] * sides[1];
      return shared <= OVERLAP * (area(best) + area(other) - shared);
    });
  }
  return kept;
}

const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);

// ---------------------------------------------------------------- one face

export const sizeOf = ({ box }) => Math.sqrt(Math.max(box[2] - box[0], 0) * Math.max(box[3] - box[1], 0));

// The part of the photo with the face, upright; `points` is where eyes and mouth lie in it.
export function align(photo, face, points, size) {
  const matrix = similarity(points, FITTED.map((index) => face.landmarks[index]));
  return { image: sample(photo, matrix, size), matrix };
}

export function inProfile({ landmarks, box }) {
  const [eyes, mouth] = [middle(landmarks.slice(0, 2)), middle(landmarks.slice(3))];
  const length = Math.max(Math.hypot(mouth[0] - eyes[0], mouth[1] - eyes[1]), 1e-6);
  const right = [(mouth[1] - eyes[1]) / length, -(mouth[0] - eyes[0]) / length];
  const along = (one, other) => (one[0] - other[0]) * right[0] + (one[1] - other[1]) * right[1];
  const half = Math.abs(along(landmarks[1], landmarks[0])) / 2;
  return Math.abs(along(landmarks[2], eyes) / Math.max(half, 0.02 * sizeOf({ box }), 1e-6)) >= IN_PROFILE;
}

export function cutByBorder({ landmarks, box }, { width, height }) {
  const inside = [width, height].map((limit, axis) => {
    const side = Math.max(box[axis + 2] - box[axis], 1e-6);
    return Math.max(0, Math.min(box[axis + 2], limit) - Math.max(box[axis], 0)) / side;
  });
  const outside = landmarks.some(([x, y]) => x !== clip(x, 0, width) || y !== clip(y, 0, height));
  return outside || inside[0] * inside[1] < 0.9;
}
