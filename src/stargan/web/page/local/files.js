// Image files in the browser: decodes them with its own decoders, upright and in sRGB, and encodes results.

import { newImage } from "./pixels.js";

const MOST = 50e6; // pixels
const QUALITY = 0.95;

export class PhotoError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// A photo: an image, its `kind` (a MIME type), and `rgba`, its pixels as the browser decodes them, if it is transparent
// somewhere; the image is these over white.
export async function decode(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch (error) {
    throw new PhotoError("not_an_image", error.message);
  }
  const { width, height } = bitmap;
  if (width * height > MOST) throw new PhotoError("pixels", `${width}x${height} pixels; at most ${MOST} are read`);
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const transparent = isTransparent(data);
  return { width, height, data: transparent ? overWhite(data) : data, rgba: transparent ? data : null, kind: file.type };
}

function isTransparent(data) {
  for (let at = 3; at < data.length; at += 4) if (data[at] < 255) return true;
  return false;
}

const overWhite = (rgba) => rgba.map((value, at) => (at % 4 === 3 ? value : (value * rgba[at | 3]) / 255 + 255 - rgba[at | 3]));

// The pixels of a photo, plus what changed from the photo over white to `data`.
function withChange(rgba, data) {
  const before = overWhite(rgba);
  return rgba.map((value, at) => (at % 4 === 3 ? value : value + data[at] - before[at]));
}

// A file of the photo's kind, or a JPEG if `small`.
export async function encode({ width, height, data, rgba, kind }, small = false) {
  const type = small || kind === "image/jpeg" ? "image/jpeg" : kind === "image/webp" ? kind : "image/png";
  const pixels = newImage(width, height);
  const transparent = rgba && type !== "image/jpeg";
  pixels.data.set(transparent ? withChange(rgba, data) : data);
  for (let at = 3; at < data.length && !transparent; at += 4) pixels.data[at] = 255;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(pixels.data, width, height), 0, 0);
  return canvas.convertToBlob({ type, quality: QUALITY });
}
