// The card of one run: how it stands, and its samples.

import { make } from "../panel.js";
import { current, label, t } from "../words.js";
import { at } from "./chart.js";

export const STATES = { training: "watch_training", finished: "watch_finished", stopped: "watch_stopped" };

export class RunCard {
  // index: of the run; samples: Samples; showStrip(index, column) shows one change through time.
  constructor(index, samples, showStrip) {
    Object.assign(this, { index, samples, showStrip });
    this.head = make("div", { className: "run-head" });
    this.done = make("div", { className: "done", role: "progressbar", ariaValueMin: 0, ariaValueMax: 100 });
    this.facts = make("dl", { className: "run-facts" });
    this.problem = make("p", { className: "run-problem", hidden: true });
    this.pictures = make("div", { className: "scroll", tabIndex: 0, role: "region" });
    this.caption = make("p", { className: "hint", hidden: true });
    this.element = make("section", { className: `card run-card run-${index}` }, [
      this.head, this.done, this.facts, this.problem, this.caption, this.pictures,
    ]);
  }

  draw(run, step, several) {
    this.#head(run, several);
    this.#facts(run, step);
    this.problem.hidden = !run.problem;
    this.problem.textContent = run.problem;
    this.#samples(run, step);
  }

  #head(run, several) {
    const title = make("h2", { id: `run-${this.index}` }, [
      ...(several ? [make("span", { className: `dot run-${this.index}`, ariaHidden: "true" })] : []),
      run.name,
    ]);
    const about = [run.recipe, run.size && `${run.size[0]} × ${run.size[1]}`, run.data.join(", ")].filter(Boolean).join(" · ");
    this.head.replaceChildren(
      make("div", {}, [title, make("p", { className: "hint", textContent: about })]),
      make("span", { className: `state ${run.state}`, textContent: t(STATES[run.state]) }),
    );
    this.element.setAttribute("aria-labelledby", title.id);
    const done = 100 * (run.state === "finished" ? 1 : run.progress); // of a run that --minutes ended, too
    const percent = Math.floor(done);
    this.done.style.setProperty("--value", `${done}%`);
    this.done.ariaValueNow = percent;
    this.done.ariaLabel = t("watch_done");
  }

  #facts(run, step) {
    const number = new Intl.NumberFormat(current());
    const hit = run.curves["val/hit"] ?? run.curves["train/hit"];
    const success = hit && at(hit, step);
    const facts = [
      [t("watch_fact_step"), run.steps && !run.minutes ? t("watch_of", { step: number.format(run.step), steps: number.format(run.steps) }) : number.format(run.step)],
      ["training" === run.state && t("watch_fact_left"), run.left !== null ? duration(run.left) : "–"],
      [run.seconds !== null && t("watch_fact_spent"), duration(run.seconds ?? 0)],
      [run.rate && t("watch_fact_rate"), pace(run.rate ?? 0)],
      [success !== undefined && t("watch_succeeds"), `${Math.round(100 * success)} %`],
    ].filter(([name]) => name);
    this.facts.replaceChildren(
      ...facts.map(([name, value]) => make("div", {}, [make("dt", { textContent: name }), make("dd", { textContent: value })])),
    );
  }

  async #samples(run, step) {
    const shown = run.samples.filter((one) => one <= step).at(-1) ?? run.samples[0];
    this.pictures.ariaLabel = t("watch_samples_of", { name: run.name });
    this.caption.hidden = this.pictures.hidden = shown === undefined;
    if (shown === undefined) {
      this.caption.hidden = false;
      this.caption.textContent = t("watch_no_samples");
      return;
    }
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const sheet = await this.samples.sheet(this.index, shown);
    if (turn !== this.turn) return;
    this.caption.textContent = t("watch_samples_at", { step: new Intl.NumberFormat(current()).format(shown) });
    if (!sheet) this.caption.textContent = t("watch_samples_broken");
    if (this.samples.fits(run.sheet, sheet)) this.#grid(run.sheet, sheet);
    else this.#whole(sheet);
    this.pictures.dataset.step = shown;
  }

  // A table with a title above each column; it stays, and its images are painted anew.
  #grid(layout, sheet) {
    const key = `${current()} ${layout.titles.join()} ${layout.rows} ${layout.image}`;
    if (this.shape !== key) {
      this.shape = key;
      const titles = layout.titles.map((title, column) =>
        make("th", { scope: "col" }, column ? [this.#title(title, column)] : [make("span", { textContent: t("watch_source") })]),
      );
      this.cells = Array.from({ length: layout.rows }, (_, row) =>
        layout.titles.map((title, column) => {
          const canvas = this.samples.cell(layout, null, row, column);
          canvas.role = "img";
          canvas.ariaLabel = t("watch_cell", { number: row + 1, label: column ? label(title) : t("watch_source") });
          if (column) canvas.addEventListener("click", () => this.showStrip(this.index, column));
          return canvas;
        }),
      );
      const rows = this.cells.map((cells) => make("tr", {}, cells.map((cell) => make("td", {}, [cell]))));
      const table = make("table", { className: "grid" }, [make("thead", {}, [make("tr", {}, titles)]), make("tbody", {}, rows)]);
      this.pictures.replaceChildren(table);
    }
    this.cells.forEach((cells, row) => cells.forEach((cell, column) => this.samples.paint(cell, layout, sheet, row, column)));
  }

  #title(title, column) {
    const button = make("button", { type: "button", className: "column-title", textContent: label(title), title: t("watch_strip_open") });
    button.addEventListener("click", () => this.showStrip(this.index, column));
    return button;
  }

  // A file of another layout, as it is.
  #whole(sheet) {
    this.shape = null;
    const canvas = make("canvas", { width: sheet?.width ?? 1, height: sheet?.height ?? 1, role: "img", ariaLabel: this.pictures.ariaLabel });
    if (sheet) canvas.getContext("2d").drawImage(sheet, 0, 0);
    this.pictures.replaceChildren(canvas);
  }
}

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

export function duration(seconds) {
  const [unit, size] = UNITS.find(([, size]) => seconds >= 1.5 * size) ?? UNITS.at(-1);
  const number = seconds / size;
  const digits = number < 5 && size >= 3600 ? 1 : 0;
  return new Intl.NumberFormat(current(), { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: digits }).format(number);
}

// Steps per second, or seconds per step of a slow run.
function pace(rate) {
  const number = new Intl.NumberFormat(current(), { maximumSignificantDigits: 2 });
  return rate >= 1 ? t("watch_rate", { count: number.format(rate) }) : t("watch_rate_slow", { count: number.format(1 / rate) });
}
