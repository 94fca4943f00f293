// A chart of one figure over the steps, with a line for each run.

import { make } from "../panel.js";
import { current, t } from "../words.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 190;
const [LEFT, RIGHT, TOP, BOTTOM] = [50, 14, 10, 28]; // pixels around the plot
const MANY = 40; // points from which a line is smoothed
const OUTLIERS = 0.01; // share of the values at either end that need not be inside the plot

// The value of a curve at a step: the last one until then.
export function at(curve, step) {
  let low = 0;
  let high = curve.steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (curve.steps[middle] <= step) low = middle + 1;
    else high = middle;
  }
  return curve.values[Math.max(low - 1, 0)];
}

export function short(number) {
  return new Intl.NumberFormat(current(), { notation: "compact", maximumFractionDigits: 1 }).format(number);
}

export class Chart {
  // share: from 0 to 1, in percent; smooth: a smoothed line over a faint one; words(): {title, hint}.
  constructor({ share, smooth, words }) {
    Object.assign(this, { share, smooth, words });
    this.title = make("h3");
    this.values = make("p", { className: "chart-values" });
    this.svg = element("svg", { role: "img", class: "chart" });
    this.hint = make("p", { className: "hint" });
    this.element = make("figure", { className: "card chart-card" }, [make("div", { className: "chart-head" }, [this.title, this.values]), this.svg, this.hint]);
    this.svg.addEventListener("pointermove", (event) => this.#point(event));
    this.svg.addEventListener("pointerleave", () => this.#point(null));
  }

  // series: [{index, name, curve: {steps, values}, end}]; step: where the slider is, Infinity for the newest.
  draw(series, step) {
    Object.assign(this, { series, step });
    const { title, hint } = this.words();
    this.title.textContent = title;
    this.hint.textContent = hint;
    this.#values(step);
    const width = Math.max(this.svg.clientWidth || this.element.clientWidth - 32, 200);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const all = series.flatMap((one) => one.curve.values);
    const x = scale([0, Math.max(1, ...series.map((one) => one.curve.steps.at(-1)))], [LEFT, width - RIGHT]);
    const range = this.share ? [0, 1] : rangeOf(all);
    const y = scale(range, [HEIGHT - BOTTOM, TOP]);
    this.x = x;
    this.plot = { width, y };
    const inside = [LEFT, TOP - 4, width - LEFT - RIGHT + 4, HEIGHT - TOP - BOTTOM + 8]; // lines are cut off around it
    const lines = element("svg", { x: inside[0], y: inside[1], width: inside[2], height: inside[3], viewBox: inside.join(" ") });
    for (const one of series) lines.append(...this.#lines(one, x, y));
    this.cursor = element("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM });
    this.svg.replaceChildren(...this.#axes(x, y, width), lines, this.cursor);
    this.#cursor(Number.isFinite(step) ? step : null);
  }

  #lines({ index, curve }, x, y) {
    const smoothed = this.smooth && curve.values.length >= MANY;
    const path = (values, kind) => {
      const points = curve.steps.map((step, n) => `${x.of(step).toFixed(1)},${y.of(values[n]).toFixed(1)}`);
      return element("polyline", { class: `line ${kind} run-${index}`, points: points.join(" ") });
    };
    const dots = curve.values.length === 1 ? [element("circle", { class: `point run-${index}`, cx: x.of(curve.steps[0]), cy: y.of(curve.values[0]), r: 3 })] : [];
    return smoothed ? [path(curve.values, "faint"), path(smooth(curve.values), "")] : [path(curve.values, ""), ...dots];
  }

  #axes(x, y, width) {
    const down = HEIGHT - BOTTOM;
    const parts = [];
    for (const tick of ticks(y.from, 4)) {
      parts.push(element("line", { class: "grid-line", x1: LEFT, x2: width - RIGHT, y1: y.of(tick), y2: y.of(tick) }));
      parts.push(text(LEFT - 8, y.of(tick) + 4, this.#number(tick, true), "end"));
    }
    const across = ticks(x.from, width < 320 ? 3 : 5).filter((tick) => Number.isInteger(tick));
    for (const tick of across) {
      parts.push(element("line", { class: "axis", x1: x.of(tick), x2: x.of(tick), y1: down, y2: down + 4 }));
      const last = x.of(tick) > width - RIGHT - 16;
      parts.push(text(last ? width - RIGHT + 8 : x.of(tick), HEIGHT - 8, short(tick), last ? "end" : "middle"));
    }
    parts.push(element("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: down, y2: down }));
    parts.push(text(LEFT - 8, HEIGHT - 8, t("watch_axis"), "end"));
    return parts;
  }

  #number(value, tick = false) {
    const how = this.share
      ? { style: "percent", maximumFractionDigits: 0 }
      : Math.abs(value) >= 1000
        ? { notation: "compact", maximumSignificantDigits: 3 }
        : value && Math.abs(value) < 1e-5
          ? { notation: "scientific", maximumSignificantDigits: 2 }
          : { maximumSignificantDigits: tick ? 4 : 3 };
    return new Intl.NumberFormat(current(), how).format(value);
  }

  #values(step) {
    const several = this.series.length > 1;
    const parts = this.series.map(({ index, curve }) =>
      make("span", {}, [
        ...(several ? [make("span", { className: `dot run-${index}`, ariaHidden: "true" })] : []),
        this.#number(at(curve, step)),
      ]),
    );
    this.values.replaceChildren(...parts);
    const told = this.series.map(({ name, curve }) => `${name}: ${this.#number(at(curve, step))}`).join("; ");
    this.svg.setAttribute("aria-label", `${this.title.textContent}. ${told}`);
  }

  #cursor(step) {
    const inside = step !== null && step >= this.x.from[0] && step <= this.x.from[1];
    this.cursor.style.display = inside ? "" : "none";
    if (!inside) return;
    this.cursor.setAttribute("x1", this.x.of(step));
    this.cursor.setAttribute("x2", this.x.of(step));
  }

  #point(event) {
    if (!this.x) return;
    if (!event) {
      this.#values(this.step);
      this.#cursor(Number.isFinite(this.step) ? this.step : null);
      return;
    }
    const box = this.svg.getBoundingClientRect();
    const step = this.x.back(((event.clientX - box.left) * this.plot.width) / box.width);
    this.#values(Math.max(step, 0));
    this.#cursor(step);
  }
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function text(x, y, content, anchor) {
  const made = element("text", { x, y, "text-anchor": anchor });
  made.textContent = content;
  return made;
}

function scale(from, to) {
  const factor = (to[1] - to[0]) / (from[1] - from[0]);
  return { from, of: (value) => to[0] + (value - from[0]) * factor, back: (place) => from[0] + (place - to[0]) / factor };
}

// The range of most values: single high ones at the beginning would flatten all that follows.
function rangeOf(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const cut = sorted.length > 100 ? Math.ceil(sorted.length * OUTLIERS) : 0;
  const [low, high] = [sorted[cut], sorted[sorted.length - 1 - cut]];
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  const zero = low >= 0 && low < 0.4 * high; // a range that is nearly from zero is from zero
  return [zero ? 0 : low - room, high + room];
}

function ticks([low, high], count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const found = [];
  for (let n = Math.ceil(low / size); n * size <= high * (1 + 1e-9); n++) found.push(Number((n * size).toPrecision(12)));
  return found;
}

function smooth(values) {
  const keep = 1 - Math.min(0.5, 8 / values.length); // a mean over about a tenth of the line
  let mean = 0;
  let weight = 0;
  return values.map((value) => {
    mean = keep * mean + (1 - keep) * value;
    weight = keep * weight + (1 - keep);
    return mean / weight;
  });
}
