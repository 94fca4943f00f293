// The photo: before and after, the outlines of faces, and the divider between before and after.

import { t } from "./words.js";

const $ = (id) => document.getElementById(id);
const MARGIN = 0.06; // of a face's box, around its outline

export class Stage {
  // chosen: called with the number of a face that was pressed.
  constructor(chosen) {
    this.chosen = chosen;
    this.comparing = false;
    $("divider").addEventListener("input", () => this.#divide());
    this.#divide();
  }

  // Shows a photo before the model has seen it.
  async open(url, width = 0, height = 0) {
    this.compare(false);
    $("outlines").replaceChildren();
    $("after").hidden = true;
    $("no-face").hidden = true;
    $("backdrop").removeAttribute("src");
    await this.#load($("before"), url).catch(() => {}); // a kind of file that browsers do not show
    this.shape(width || $("before").naturalWidth || 4, height || $("before").naturalHeight || 3);
  }

  shape(width, height) {
    this.size = [width, height];
    $("frame").style.setProperty("--ratio", width / height);
    $("frame").style.setProperty("--width", `${width}px`);
  }

  async before(blob) {
    await this.#load($("before"), URL.createObjectURL(blob));
    $("backdrop").src = $("before").src;
  }

  // Shows the changed photo; null shows the photo itself.
  async after(blob) {
    if (blob) await this.#load($("after"), URL.createObjectURL(blob));
    $("after").hidden = !blob;
    $("compare").disabled = !blob;
    if (!blob) this.compare(false);
  }

  outline(faces, selected) {
    const [width, height] = this.size;
    const many = faces.length > 1;
    const made = faces.map((face) => {
      const [left, top, right, bottom] = face.box;
      const aside = MARGIN * (right - left);
      const element = document.createElement(many ? "button" : "span");
      element.className = many ? "outline" : "outline only";
      element.style.left = `${(100 * (left - aside)) / width}%`;
      element.style.top = `${(100 * (top - aside)) / height}%`;
      element.style.width = `${(100 * (right - left + 2 * aside)) / width}%`;
      element.style.height = `${(100 * (bottom - top + 2 * aside)) / height}%`;
      if (many) {
        element.type = "button";
        element.ariaPressed = selected.has(face.number);
        element.ariaLabel = t("face", { number: face.number });
        element.dataset.face = face.number;
        element.innerHTML = `<span aria-hidden="true">${face.number}</span>`;
        element.addEventListener("click", () => this.chosen(face.number));
      }
      return element;
    });
    const focused = document.activeElement?.closest("#outlines .outline")?.dataset.face;
    $("outlines").replaceChildren(...made);
    if (focused) $("outlines").querySelector(`[data-face="${focused}"]`)?.focus();
  }

  compare(on) {
    this.comparing = on && !$("after").hidden;
    $("compare").ariaPressed = this.comparing;
    $("compare-layer").hidden = !this.comparing;
    $("frame").classList.toggle("comparing", this.comparing);
  }

  busy(text) {
    $("busy").hidden = !text;
    $("busy-text").textContent = text ?? "";
    $("frame").classList.toggle("working", Boolean(text));
  }

  // A small copy of a face from the photo, for its button.
  portrait(face, side = 88) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    const image = $("before");
    const scale = image.naturalWidth / this.size[0];
    const [left, top, right, bottom] = face.box.map((place) => place * scale);
    const half = 0.72 * Math.max(right - left, bottom - top);
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    if (image.naturalWidth) canvas.getContext("2d").drawImage(image, x - half, y - half, 2 * half, 2 * half, 0, 0, side, side);
    return canvas;
  }

  #divide() {
    $("frame").style.setProperty("--at", `${$("divider").value}%`);
  }

  async #load(image, url) {
    const old = image.src;
    image.src = url;
    try {
      await image.decode();
    } finally {
      if (old.startsWith("blob:") && old !== url) URL.revokeObjectURL(old);
    }
  }
}
