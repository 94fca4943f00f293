// Gives the change of a face in a photo of one tone that tone: what `photos/tone.py` does in Python, where the reasons are.

import { clip } from "./pixels.js";

const DEGREE = 3;
const LUMA = [0.299, 0.587, 0.114];
const EVERY = 3;
const QUANTILE = 0.99;
const EDGE = 0.01;
const RANGE = 64 / 127.5;
const TONED = 0.06;
const COLOURED = 0.09;
const BANDS = [0, 1, 2];

// Both are Float32Array (3, h, w) in [-1, 1]; so is the result.
export function keepTone(before, after) {
  const size = before.length / 3;
  const few = Math.ceil(size / EVERY);
  const some = Float32Array.from({ length: 3 * few }, (_, at) => before[Math.floor(at / few) * size + (at % few) * EVERY]);
  const curve = fit(some);
  const share = (distance(curve, some) - TONED) / (COLOURED - TONED);
  if (share >= 1) return after;
  const light = lightness(before);
  const lighter = light.map((value, at) => BANDS.reduce((sum, band) => sum + LUMA[band] * (after[at + band * size] - before[at + band * size]), value));
  const own = colours(curve, light);
  const toned = colours(curve, lighter);
  return after.map((value, at) => {
    const change = toned[at] - own[at];
    return clip(before[at] + change + Math.max(share, 0) * (value - before[at] - change), -1, 1);
  });
}

function lightness(planes) {
  const size = planes.length / 3;
  return Float64Array.from({ length: size }, (_, at) => (planes[at] + planes[at + size] + planes[at + 2 * size]) / 3);
}

// The colour of each lightness, as polynomials: {ends, terms}, with {shift, scale, coefficients} for each degree.
function fit(planes) {
  const own = lightness(planes);
  const size = own.length;
  const ordered = own.slice().sort();
  const ends = [EDGE, 1 - EDGE].map((share) => ordered[Math.trunc(share * (size - 1))]);
  const light = own.map((value) => clip(value, ...ends));
  const terms = [];
  let before = new Float64Array(size);
  let basis = before.map(() => 1);
  let earlier = 0;
  for (let degree = 0; degree <= DEGREE; degree++) {
    const power = basis.reduce((sum, value) => sum + value * value, 0);
    if (power < 1e-9 * size) break;
    const shift = basis.reduce((sum, value, at) => sum + light[at] * value * value, 0) / power;
    const scale = earlier ? power / earlier : 0;
    const coefficients = BANDS.map((band) => basis.reduce((sum, value, at) => sum + (planes[at + band * size] + light[at] - own[at]) * value, 0) / power);
    terms.push({ shift, scale, coefficients });
    [before, basis] = [basis, basis.map((value, at) => (light[at] - shift) * value - scale * before[at])];
    earlier = power;
  }
  return { ends, terms };
}

// A Float64Array (3, h, w).
function colours({ ends, terms }, light) {
  const size = light.length;
  const found = new Float64Array(3 * size);
  for (let at = 0; at < size; at++) {
    const inside = clip(light[at], ...ends);
    let [before, basis] = [0, 1];
    for (const band of BANDS) found[at + band * size] = light[at] - inside;
    for (const { shift, scale, coefficients } of terms) {
      for (const band of BANDS) found[at + band * size] += coefficients[band] * basis;
      [before, basis] = [basis, (inside - shift) * basis - scale * before];
    }
  }
  return found;
}

function distance(curve, planes) {
  const light = lightness(planes);
  const size = light.length;
  const own = colours(curve, light);
  const distances = light.map((_, at) => Math.max(...BANDS.map((band) => Math.abs(planes[at + band * size] - own[at + band * size]))));
  return distances.sort()[Math.trunc(QUANTILE * (size - 1))] / Math.max(curve.ends[1] - curve.ends[0], RANGE);
}
