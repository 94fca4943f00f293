// The samples of runs: files that have many images in rows and columns, cut into single images.

import { make } from "../panel.js";

const KEPT = 80; // decoded files in memory

export class Samples {
  constructor(backend) {
    this.backend = backend;
    this.sheets = new Map();
  }

  // The samples of a run at a step: a bitmap, or null if there are none.
  sheet(run, step) {
    const key = `${run}/${step}`;
    if (!this.sheets.has(key)) {
      const load = async () => {
        try {
          return await createImageBitmap(await this.backend.sample(run + 1, step));
        } catch (error) {
          this.sheets.delete(key); // to be tried again
          if (!error.code && error.name !== "InvalidStateError") console.error(error);
          return null;
        }
      };
      if (this.sheets.size >= KEPT) this.sheets.delete(this.sheets.keys().next().value);
      this.sheets.set(key, load());
    }
    return this.sheets.get(key);
  }

  // Whether a bitmap is laid out as a run says.
  fits(layout, sheet) {
    return Boolean(layout && sheet && layout.sheet[0] === sheet.width && layout.sheet[1] === sheet.height);
  }

  // One image of a bitmap.
  cell(layout, sheet, row, column) {
    const [width, height] = layout.image;
    const canvas = make("canvas", { className: "cell", width, height });
    this.paint(canvas, layout, sheet, row, column);
    return canvas;
  }

  paint(canvas, layout, sheet, row, column) {
    const [width, height] = layout.image;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (!this.fits(layout, sheet)) return;
    const x = layout.gap + column * (width + layout.gap);
    const y = layout.top + row * (height + layout.gap);
    context.drawImage(sheet, x, y, width, height, 0, 0, width, height);
  }
}
