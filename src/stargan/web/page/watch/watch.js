// The page that shows training runs: what happens when. One step, chosen with the slider, rules all that is shown.

import { Backend } from "../backend.js";
import { askForKey } from "../dialogs.js";
import * as header from "../header.js";
import { make } from "../panel.js";
import { current, errorText, figure, label, t, use } from "../words.js";
import { Chart, at, short } from "./chart.js";
import { RunCard, STATES } from "./run.js";
import { Samples } from "./samples.js";

const $ = (id) => document.getElementById(id);
const OFTEN = 3000; // milliseconds between two looks while a run is training
const SELDOM = 20_000;
const FRAME = 350; // milliseconds a step is shown while the slider plays

// The figures that are shown, and what belongs together. Others come last, under their own names.
const SECTIONS = [
  ["watch_quality", "watch_quality_hint", ["hit", "kept", "rec", "label_error"]],
  ["watch_losses", "watch_losses_hint", [
    "g_cls", "g_rec", "g_fake", "g_critic", "g_projected", "g_change", "g_mask", "g_bounds", "g_total",
    "d_cls", "d_projected_cls", "d_edited_cls", "d_real", "d_fake", "d_critic", "d_projected", "d_mismatch", "d_gp", "d_cls_gp", "d_r1", "d_total",
    "classifier",
  ]],
  ["watch_pace", "watch_pace_hint", ["steps_per_second", "lr"]],
]; // prettier-ignore
const SHARES = ["hit", "kept", "label_error"]; // from 0 to 1, shown in percent
const PLAIN = ["lr", "steps_per_second", "rec", ...SHARES]; // not smoothed

const backend = new Backend(askForKey);
const samples = new Samples(backend);
const cards = [];
const charts = new Map();
let runs = [];
let steps = []; // that have samples, of all runs
let follow = true; // the slider stays at the newest step
let playing = null;
let looked = false;
let states = "";

// ---------------------------------------------------------------- looking

async function look() {
  let wait = SELDOM;
  try {
    runs = await backend.runs();
    looked = true;
    hideToast();
    draw();
    if (runs.some((run) => run.state === "training")) wait = OFTEN;
  } catch (error) {
    if (!error.code) console.error(error);
    $("toast-text").textContent = errorText(error);
    $("toast").hidden = false;
    wait = OFTEN;
  }
  setTimeout(() => (document.hidden ? document.addEventListener("visibilitychange", look, { once: true }) : look()), wait);
}

function hideToast() {
  $("toast").hidden = true;
}

// ---------------------------------------------------------------- drawing

function draw() {
  while (cards.length < runs.length) {
    cards.push(new RunCard(cards.length, samples, showStrip));
    $("runs").append(cards.at(-1).element);
  }
  document.body.dataset.runs = runs.length;
  steps = [...new Set(runs.flatMap((run) => run.samples))].sort((a, b) => a - b);
  $("time").max = Math.max(steps.length - 1, 0);
  if (follow) $("time").value = $("time").max;
  $("timeline").hidden = steps.length < 2;
  drawTime();
  announce();
}

// The step that everything is shown at: the slider's, or after the newest samples the newest of all.
function shownStep() {
  return follow || !steps.length ? Infinity : steps[Number($("time").value)];
}

function drawTime() {
  const step = shownStep();
  const count = new Intl.NumberFormat(current()).format(steps[Number($("time").value)] ?? 0);
  $("time-value").textContent = t("watch_step", { step: count });
  $("time").setAttribute("aria-valuetext", $("time-value").textContent);
  $("time").style.setProperty("--filled", `${(100 * Number($("time").value)) / Math.max(Number($("time").max), 1)}%`);
  $("newest").ariaPressed = follow;
  runs.forEach((run, index) => cards[index].draw(run, step, runs.length > 1));
  drawRequests(step);
  drawCharts(step);
  $("fresh").textContent = runs.some((run) => run.state === "training") ? t("watch_live") : "";
}

function announce() {
  const now = runs.map((run) => `${run.name}: ${t(STATES[run.state])}`).join("; ");
  if (now !== states) $("live").textContent = now;
  states = now;
}

// ---------------------------------------------------------------- success, change by change

const PART = /^(?:val|train)\/hit\/(.+)$/;

function drawRequests(step) {
  const words = [...new Set(runs.flatMap((run) => Object.keys(run.curves).map((name) => PART.exec(name)?.[1]).filter(Boolean)))];
  $("requests-card").hidden = !words.length;
  const head = make("tr", {}, [
    make("th", { scope: "col", textContent: t("watch_change") }),
    ...runs.map((run, index) => make("th", { scope: "col" }, runs.length > 1 ? [dot(index), run.name] : [t("watch_succeeds")])),
  ]);
  const rows = words.map((word) =>
    make("tr", {}, [make("th", { scope: "row", textContent: label(word) }), ...runs.map((run, index) => bar(run, index, word, step))]),
  );
  $("requests").replaceChildren(make("thead", {}, [head]), make("tbody", {}, rows));
}

function bar(run, index, word, step) {
  const curve = run.curves[`val/hit/${word}`] ?? run.curves[`train/hit/${word}`];
  const value = curve && at(curve, step);
  if (value === undefined || value === null) return make("td", { textContent: "–" });
  const percent = `${Math.round(100 * value)}%`;
  const line = make("div", { className: "bar-line" });
  line.style.setProperty("--value", percent);
  line.style.setProperty("--accent", `var(--run-${index})`);
  return make("td", {}, [make("div", { className: "request-bar" }, [line, make("span", { textContent: percent.replace("%", " %") })])]);
}

function dot(index) {
  return make("span", { className: `dot run-${index}`, ariaHidden: "true" });
}

// ---------------------------------------------------------------- curves

function drawCharts(step) {
  const names = new Set(runs.flatMap((run) => Object.keys(run.curves)).filter((name) => !PART.test(name)).map(plain));
  const known = new Set(SECTIONS.flatMap(([, , all]) => all));
  const others = ["watch_others", "watch_others_hint", [...names].filter((name) => !known.has(name))];
  for (const [title, hint, all] of [...SECTIONS, others]) {
    const shown = all.filter((name) => names.has(name));
    const list = section(title, hint, shown.length > 0);
    for (const name of shown) chartOf(name, list).draw(seriesOf(name), step);
  }
}

const plain = (name) => name.replace(/^(?:val|train)\//, "");

function seriesOf(name) {
  return runs.flatMap((run, index) => {
    const curve = run.curves[name] ?? run.curves[`val/${name}`] ?? run.curves[`train/${name}`];
    return curve ? [{ index, name: run.name, curve, end: run.steps }] : [];
  });
}

// The list of a section's charts; made when it is first needed.
function section(title, hint, needed) {
  let found = $(title);
  if (!found && needed) {
    found = make("div", { className: "charts", id: title });
    const heading = make("h2", { id: `${title}-title`, textContent: t(title) });
    const about = make("p", { className: "hint", textContent: t(hint) });
    [heading.dataset.words, about.dataset.words] = [title, hint]; // for a change of the language
    const whole = make("section", { className: "chart-section" }, [heading, about, found]);
    whole.setAttribute("aria-labelledby", heading.id);
    $("charts").append(whole);
  }
  return found;
}

function chartOf(name, list) {
  if (!charts.has(name)) {
    const chart = new Chart({ share: SHARES.includes(name), smooth: !PLAIN.includes(name), words: () => figure(name) });
    charts.set(name, chart);
    list.append(chart.element);
  }
  return charts.get(name);
}

// ---------------------------------------------------------------- one change through time

const COLUMNS = 8;

async function showStrip(index, column) {
  const run = runs[index];
  const count = Math.min(COLUMNS, run.samples.length);
  const some = Array.from({ length: count }, (_, n) => run.samples[Math.round((n * (run.samples.length - 1)) / Math.max(count - 1, 1))]);
  $("strip-title").textContent = `${label(run.sheet.titles[column])} · ${run.name}`;
  $("strip-body").replaceChildren();
  $("strip").showModal();
  const sheets = await Promise.all(some.map((step) => samples.sheet(index, step)));
  const head = ["", ...some].map((step) => make("th", { scope: "col", textContent: step === "" ? t("watch_source") : short(step) }));
  const rows = Array.from({ length: run.sheet.rows }, (_, row) =>
    make("tr", {}, [
      make("td", {}, [samples.cell(run.sheet, sheets.at(-1), row, 0)]),
      ...sheets.map((sheet) => make("td", {}, [samples.cell(run.sheet, sheet, row, column)])),
    ]),
  );
  $("strip-body").replaceChildren(make("table", { className: "grid" }, [make("thead", {}, [make("tr", {}, head)]), make("tbody", {}, rows)]));
}

// ---------------------------------------------------------------- the page around it

function moveTo(position) {
  $("time").value = position;
  follow = Number($("time").value) === Number($("time").max);
  drawTime();
}

function play() {
  if (playing) return stop();
  if (Number($("time").value) >= Number($("time").max)) moveTo(0);
  follow = false;
  playing = setInterval(() => {
    moveTo(Number($("time").value) + 1);
    if (follow) stop();
  }, FRAME);
  playLabel();
}

function stop() {
  clearInterval(playing);
  playing = null;
  playLabel();
}

function playLabel() {
  $("play").querySelector("use").setAttribute("href", playing ? "#i-pause" : "#i-play");
  $("play").ariaLabel = t(playing ? "watch_pause" : "watch_play");
  $("play").title = $("play").ariaLabel;
}

function drawWords() {
  playLabel();
  if (looked) draw();
}

async function begin() {
  await header.begin(drawWords);
  $("play").addEventListener("click", play);
  $("time").addEventListener("input", () => {
    stop();
    moveTo($("time").value);
  });
  $("newest").addEventListener("click", () => {
    stop();
    moveTo($("time").max);
  });
  addEventListener("resize", () => looked && drawCharts(shownStep()));
  await look();
  backend.models().then((models) => ($("photos").hidden = !models.length)).catch(() => {});
  document.body.dataset.ready = current();
}

begin();
