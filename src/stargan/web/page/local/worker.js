// The model in a thread of its own: answers what `local/backend.js` asks, one message after the other.

import { decode, encode, PhotoError } from "./files.js";
import { shows, steps, withKnown } from "./labels.js";
import { Networks } from "./networks.js";
import { putBack } from "./pasting.js";
import { keepTone } from "./tone.js";
import { cornersOf, described, look, windowOf } from "./views.js";
import { clip, round } from "./pixels.js";
import { scaleOf } from "./sampling.js";

const AROUND = 1.1; // side of a tile of a sheet, in sides of the squares that the model gets
const photos = new Map();
const loaded = new Map();
let about;
let turn = Promise.resolve();

const progress = (share) => postMessage({ share });

async function networksOf(name) {
  if (!loaded.has(name)) loaded.set(name, Networks.load(modelOf(name), about, progress));
  try {
    return await loaded.get(name);
  } catch (error) {
    loaded.delete(name); // so that it can be tried again
    throw error;
  }
}

const modelOf = (name) => about.models.find((model) => model.name === name);

async function viewOf(id, name, align) {
  const kept = photos.get(id);
  const key = `${name} ${align}`;
  if (!kept.views.has(key)) kept.views.set(key, await withNetworks(name, (networks) => look(kept.photo, modelOf(name), networks, align)));
  return kept.views.get(key);
}

// A GPU that fails is left alone from then on.
async function withNetworks(name, work) {
  const networks = await networksOf(name);
  try {
    return await work(networks);
  } catch (error) {
    if (!networks.gpu || error instanceof PhotoError) throw error;
    console.warn("the GPU failed; going on without it", error);
    loaded.set(name, Networks.load(modelOf(name), about, progress, false));
    return work(await networksOf(name));
  }
}

const asked = {
  about(description) {
    about = description;
  },

  async warm(name) {
    await networksOf(name);
  },

  async open(id, file, name, align) {
    photos.set(id, { photo: await decode(file), views: new Map() });
    try {
      return await asked.look(id, name, align);
    } catch (error) {
      photos.delete(id);
      throw error;
    }
  },

  async look(id, name, align) {
    const view = await viewOf(id, name, align);
    const { photo } = photos.get(id);
    const regions = view?.regions ?? [];
    return {
      width: photo.width,
      height: photo.height,
      faces: regions.filter(({ face }) => face).map((region, index) => described(region, view.estimates[index], photo)),
      labels: regions.length && !regions[0].face ? view.estimates[0] : [],
    };
  },

  async translate(id, name, align, edits, longest) {
    const view = await viewOf(id, name, align);
    const changes = new Map();
    for (const edit of edits) for (const row of rowsOf(view, edit.faces)) if (edit.target.length) changes.set(row, edit);
    const results = [];
    for (let row = 0; row < view.regions.length; row++) results.push(changes.has(row) ? await edited(view, row, name, changes.get(row)) : view.images[row]);
    const shown = longest ? reduced(view, longest) : view;
    return encode(painted(shown, results), Boolean(longest));
  },

  async sheet(id, name, align, faces, known, side) {
    const view = await viewOf(id, name, align);
    const { network, groups } = modelOf(name);
    const rows = rowsOf(view, faces);
    const close = closeUp(view, rows, side);
    const tiles = [{ word: "", blob: await encode(close.photo, true) }];
    for (const { word } of groups.flatMap((group) => group.values)) {
      const changed = rows.filter((row) => !shows(network, withKnown(network, view.values[row], known), word));
      if (!changed.length) continue;
      const results = [...view.images];
      for (const row of changed) results[row] = await edited(view, row, name, { target: [word], strength: 1, known });
      tiles.push({ word, blob: await encode(painted(close, results), true) });
    }
    return tiles;
  },

  close(id) {
    photos.delete(id);
  },
};

function rowsOf({ regions }, faces) {
  const every = regions.map((_, row) => row);
  if (faces === "all" || !regions[0].face) return every;
  if (faces === "largest") return [every.reduce((one, other) => (scaleOf(regions[other].part.matrix) > scaleOf(regions[one].part.matrix) ? other : one))];
  return every.filter((row) => faces.includes(regions[row].number));
}

async function edited(view, row, name, { target, strength, known }) {
  const { network } = modelOf(name);
  let image = view.images[row];
  for (const condition of steps(network, withKnown(network, view.values[row], known), target)) {
    const made = await withNetworks(name, (networks) => networks.generate(image, condition));
    image = image.map((value, at) => clip(strength * made[at] + (1 - strength) * value, -1, 1));
  }
  return network.face ? keepTone(view.images[row], image) : image;
}

const painted = ({ photo, images, regions }, results) => putBack(photo, images, results, regions.map(({ part }) => part));

function reduced(view, longest) {
  const { width, height } = view.photo;
  const scale = longest / Math.max(width, height);
  if (scale >= 1) return view;
  return windowOf(view, [0, 0, width, height], [Math.max(1, round(width * scale)), Math.max(1, round(height * scale))]);
}

// The square of the photo around some faces; the whole photo if the model is not about faces.
function closeUp(view, rows, side) {
  if (!view.regions[0].face) return reduced(view, side);
  const size = [view.photo.width, view.photo.height];
  const corners = rows.flatMap((row) => cornersOf(view.regions[row].part));
  const ends = size.map((limit, axis) => {
    const found = corners.map((corner) => clip(corner[axis], 0, limit));
    return [Math.min(...found), Math.max(...found)];
  });
  const reach = Math.max((AROUND * Math.max(...ends.map(([low, high]) => high - low))) / 2, 8);
  const box = ends.map(([low, high], axis) => {
    const middle = (low + high) / 2;
    return [Math.trunc(clip(middle - reach, 0, size[axis])), Math.trunc(clip(middle + reach, 1, size[axis]))];
  });
  const sides = box.map(([low, high]) => high - low);
  const scale = Math.min(1, side / Math.max(...sides));
  return windowOf(view, [box[0][0], box[1][0], box[0][1], box[1][1]], sides.map((one) => Math.max(1, round(one * scale))));
}

onmessage = ({ data: { call, method, values } }) => {
  turn = turn.then(async () => {
    try {
      postMessage({ call, result: await asked[method](...values) });
    } catch (error) {
      if (!error.code) console.error(error);
      postMessage({ call, error: { code: error.code ?? "other", message: error.message } });
    }
  });
};
