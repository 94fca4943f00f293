// Image files in the browser: decodes them with its own decoders, upright and in sRGB, and encodes results.

import { newImage } from "./pixels.js";

const MOST = 50e6; // pixels
const QUALITY = 0.95;
const SMALLEST_ALPHA = 255;

export class PhotoError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// A photo: an image, its `kind` (a MIME type), and `alpha` if it is transparent somewhere; colours are over white.
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
  return { width, height, data, alpha: overWhite(data), kind: file.type };
}

function overWhite(data) {
  let alpha = null;
  for (let at = 3; at < data.length; at += 4) {
    if (data[at] === SMALLEST_ALPHA) continue;
    alpha ??= new Uint8ClampedArray(data.length / 4).fill(SMALLEST_ALPHA);
    alpha[at >> 2] = data[at];
    for (let band = at - 3; band < at; band++) data[band] = (data[band] * data[at]) / 255 + 255 - data[at];
  }
  return alpha;
}

// A file of the photo's kind, or a JPEG if `small`.
export async function encode({ width, height, data, alpha, kind }, small = false) {
  const type = small || kind === "image/jpeg" ? "image/jpeg" : kind === "image/webp" ? kind : "image/png";
  const pixels = newImage(width, height);
  pixels.data.set(data);
  for (let at = 3; at < data.length; at += 4) pixels.data[at] = alpha && type !== "image/jpeg" ? alpha[at >> 2] : 255;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(pixels.data, width, height), 0, 0);
  return canvas.convertToBlob({ type, quality: QUALITY });
}
