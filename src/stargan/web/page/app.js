// The page: what happens when.

import { askForKey, showCard, showSheet, takePicture } from "./dialogs.js";
import { Edits } from "./edits.js";
import * as header from "./header.js";
import { Panel } from "./panel.js";
import { Stage } from "./stage.js";
import { current, errorText, label, remember, remembered, t, use } from "./words.js";

const $ = (id) => document.getElementById(id);
const PREVIEW = 1280; // pixels of the longer side of what is shown; a download has all
const CREDITS = { "portrait.jpg": "credit_portrait", "cartoon.png": "credit_cartoon" };

const NOTHING = { faces: [], labels: [] };

const { Backend } = await import(document.documentElement.dataset.backend);
const backend = new Backend(askForKey, loading);
const edits = new Edits();
const selected = new Set();
let models = [];
let model;
let photo = null;
let running = null; // the change being made, so that a newer one can replace it
let opening = 0;
let waiting = null; // the words for what the visitor waits for
let share = 1; // of the model, loaded

const stage = new Stage((number) => toggleFace(number));
const panel = new Panel({ selectFaces, toggleFace, press, strength, correct });

// ---------------------------------------------------------------- opening a photo

async function openPhoto(file) {
  if (!file) return fail({ code: "no_file" });
  const turn = ++opening;
  const before = photo;
  hideToast();
  view("editor");
  $("photo-name").textContent = file.name;
  edits.reset();
  for (const id of ["undo", "redo", "compare", "download", "show-all"]) $(id).disabled = true;
  $("panel").inert = true;
  $("panel").hidden = false;
  photo = null;
  selected.clear();
  draw();
  $("editor").focus({ preventScroll: true }); // the next Tab goes to the photo
  await stage.open(URL.createObjectURL(file));
  busy("looking");
  try {
    const opened = await backend.open(file, model.name);
    if (turn !== opening) return;
    if (before) backend.close(before);
    photo = opened;
    await seen();
  } catch (error) {
    if (turn !== opening) return;
    if (before) backend.close(before);
    photo = null;
    view("start");
    fail(error);
  } finally {
    if (turn === opening) busy(null);
  }
}

// The model has looked at the photo.
async function seen() {
  const missing = model.about === "faces" && !photo.faces.length && !photo.labels.length;
  stage.shape(photo.width, photo.height);
  $("no-face").hidden = !missing;
  $("panel").inert = false;
  $("panel").hidden = missing;
  $("show-all").disabled = missing;
  if (missing) {
    say(t("no_face"));
    $("use-as-face").focus();
    return;
  }
  const longest = Math.max(photo.width, photo.height);
  await stage.before(await backend.translate(photo, model.name, [], { longest: Math.min(PREVIEW, Math.max(longest, 16)) }));
  selected.clear();
  for (const face of photo.faces) selected.add(face.number);
  draw();
  const count = photo.faces.length;
  say(count > 1 ? t("found_many", { count }) : count ? t("found_one") : t("ready"));
}

async function lookAgain(options) {
  if (!photo) return;
  busy("looking");
  try {
    edits.reset();
    await stage.after(null);
    photo = await backend.look(photo, model.name, options);
    await seen();
  } catch (error) {
    fail(error);
  } finally {
    busy(null);
  }
}

// ---------------------------------------------------------------- changes

function selectFaces(numbers) {
  selected.clear();
  for (const number of numbers) selected.add(number);
  draw();
}

function toggleFace(number) {
  if (!selected.delete(number)) selected.add(number);
  if (!selected.size) {
    selected.add(number);
    say(t("none_selected"));
  }
  draw();
}

// A face that shows this already goes back to the photo; pressed again, a chip takes its change back.
function press(group, word) {
  const rows = panel.rows;
  const on = panel.pressed(group, word);
  edits.setTargets(
    rows.map((face) => [face, on || panel.now(face, group) === word ? null : word]),
    group,
  );
  changed();
}

function strength(value, moving) {
  edits.setStrength(panel.rows, value, moving);
  changed();
}

function correct(face, group, words) {
  edits.correct(face, group, words);
  changed();
}

function changed() {
  draw();
  make();
}

// Makes what the edits say. While one change is in work, only the newest other one waits.
async function make() {
  if (running) {
    running.again = true;
    return;
  }
  running = { again: false };
  const slow = setTimeout(() => busy("working"), 250);
  try {
    do {
      running.again = false;
      const of = photo;
      const requests = edits.requests();
      const blob = requests.length ? await backend.translate(of, model.name, requests, { longest: PREVIEW }) : null;
      if (of !== photo) return;
      if (!running.again) await stage.after(blob);
    } while (running.again);
    const words = edits.words().map((word) => label(word));
    say(words.length ? t("done", { words: words.join(", ") }) : t("original_back"));
  } catch (error) {
    fail(error);
  } finally {
    clearTimeout(slow);
    running = null;
    busy(null);
    document.body.dataset.made = Number(document.body.dataset.made ?? 0) + 1; // tests wait for it
  }
}

function draw() {
  $("undo").disabled = !edits.canUndo;
  $("redo").disabled = !edits.canRedo;
  $("download").disabled = !edits.changed;
  if (!model) return;
  if (photo) stage.outline(photo.faces, selected);
  panel.draw({ model, photo: photo ?? NOTHING, edits, selected, portrait: (face) => stage.portrait(face) });
}

function undo() {
  if (edits.canUndo) {
    edits.undo();
    changed();
  }
}

function redo() {
  if (edits.canRedo) {
    edits.redo();
    changed();
  }
}

async function download() {
  $("download").disabled = true;
  $("download-text").textContent = t("downloading");
  try {
    const blob = await backend.translate(photo, model.name, edits.requests());
    const name = fileName(blob.type);
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(t("downloaded", { name, width: photo.width, height: photo.height }));
  } catch (error) {
    fail(error);
  } finally {
    $("download").disabled = false;
    $("download-text").textContent = t("download");
  }
}

// As `stargan translate` names its files: photo.Blond_Hair.jpg.
function fileName(kind) {
  const words = edits.words();
  const ending = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp" }[kind] ?? "png";
  return `${photo.name.replace(/\.[^.]*$/, "")}.${words.length > 3 ? "changed" : words.join(",")}.${ending}`;
}

function showAll() {
  const faces = photo.faces.length ? panel.rows : "all";
  const known = panel.rows.length === 1 ? edits.known(panel.rows[0]) : [];
  const usePressed = (word) => {
    const group = model.groups.findIndex((one) => one.values.some((value) => value.word === word));
    edits.setTargets(panel.rows.map((face) => [face, word]), group);
    changed();
  };
  showSheet(model, () => backend.sheet(photo, model.name, { faces, known }), usePressed).catch(fail);
}

// ---------------------------------------------------------------- the page around it

function view(name) {
  document.body.dataset.view = name;
  $("start").hidden = name !== "start";
  $("editor").hidden = name !== "editor";
}

function busy(words) {
  waiting = words;
  stage.busy(words && (share < 1 ? t("loading", { percent: Math.round(100 * share) }) : t(words)));
}

function loading(loaded) {
  share = loaded;
  busy(waiting);
}

function say(text) {
  $("live").textContent = text;
}

function fail(error) {
  if (!error.code) console.error(error);
  $("toast-text").textContent = errorText(error);
  $("toast").hidden = false;
}

function hideToast() {
  $("toast").hidden = true;
}

function showModel() {
  $("model").value = model.name;
  $("headline").textContent = t(matchMedia("(pointer: coarse)").matches ? "headline_touch" : "headline");
  $("lead").textContent = t(model.about === "faces" ? "lead_faces" : "lead_images");
  $("try").hidden = !model.sample;
  if (!model.sample) return;
  $("sample-image").src = new URL(`samples/${model.sample}`, import.meta.url);
  $("sample-credit").textContent = t(CREDITS[model.sample]);
}

async function chooseModel(name) {
  model = models.find((one) => one.name === name) ?? models[0];
  remember("model", model.name);
  showModel();
  await lookAgain();
}

function drawWords() {
  if (model) showModel();
  draw();
}

async function sample() {
  const answer = await fetch($("sample-image").src);
  openPhoto(new File([await answer.blob()], model.sample));
}

async function camera() {
  try {
    const file = await takePicture();
    if (file) openPhoto(file);
  } catch {
    $("toast-text").textContent = t("no_camera");
    $("toast").hidden = false;
  }
}

const on = (id, event, action) => $(id).addEventListener(event, action);
const isImage = (file) => file && (!file.type || file.type.startsWith("image/"));

function listen() {
  on("choose", "click", () => $("file").click());
  on("new", "click", () => $("file").click());
  on("other-photo", "click", () => $("file").click());
  on("file", "change", () => {
    if ($("file").files.length) openPhoto($("file").files[0]);
    $("file").value = "";
  });
  on("camera", "click", camera);
  on("sample", "click", sample);
  on("use-as-face", "click", () => lookAgain({ align: false }));
  on("undo", "click", undo);
  on("redo", "click", redo);
  on("compare", "click", () => stage.compare(!stage.comparing));
  on("show-all", "click", showAll);
  on("download", "click", download);
  on("about", "click", () => showCard(model, backend.docs));
  on("model", "change", () => chooseModel($("model").value));
  on("toast-close", "click", hideToast);
  $("camera").hidden = !navigator.mediaDevices?.getUserMedia;
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find(isImage);
    if (file) openPhoto(file);
    else if (event.clipboardData.files.length) fail({ code: "no_file" });
  });
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || document.querySelector("dialog[open]")) return;
    const key = event.key.toLowerCase();
    if (key === "z") event.shiftKey ? redo() : undo();
    else if (key === "y") redo();
    else return;
    event.preventDefault();
  });
  listenToDrops();
}

function listenToDrops() {
  let depth = 0;
  const over = (inside) => {
    document.body.classList.toggle("dropping", inside);
    $("drop-title").textContent = t(inside ? "drop_now" : "drop");
  };
  document.addEventListener("dragenter", () => over(++depth > 0));
  document.addEventListener("dragleave", () => over(--depth > 0));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over((depth = 0) > 0);
    openPhoto([...event.dataTransfer.files].find(isImage) ?? event.dataTransfer.files[0]);
  });
  $("drop").addEventListener("click", (event) => {
    if (!event.target.closest("button")) $("file").click();
  });
}

async function begin() {
  for (const [own, other] of Object.entries(backend.words)) document.querySelector(`[data-words="${own}"]`).dataset.words = other;
  await header.begin(drawWords);
  listen();
  try {
    models = await backend.models();
  } catch (error) {
    return fail(error);
  }
  $("model").replaceChildren(...models.map((one) => new Option(one.name, one.name)));
  $("model-pick").hidden = models.length < 2;
  $("runs").hidden = !backend.watched;
  await chooseModel(remembered("model"));
  addEventListener("pagehide", () => photo && backend.close(photo));
  document.body.dataset.ready = current();
}

begin();
