// The dialogs: everything at once, the camera, the model's card, the key.

import { make } from "./panel.js";
import { label, limits, t } from "./words.js";

const $ = (id) => document.getElementById(id);

for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && dialog.id !== "key-dialog") dialog.close();
  });
}

// Shows the photo changed to every domain. `load` gives the tiles, `use` gets the word of the one that was pressed.
export async function showSheet(model, load, use) {
  const words = model.groups.flatMap((group) => group.values.map((value) => value.word));
  $("tiles").replaceChildren(...["", ...words].map(() => make("div", { className: "tile waiting" })));
  $("tiles").ariaBusy = "true";
  $("sheet").showModal();
  try {
    const tiles = await load();
    $("tiles").replaceChildren(...tiles.map(({ word, url }) => tile(word, url, use)));
  } catch (error) {
    $("sheet").close();
    throw error;
  } finally {
    $("tiles").ariaBusy = "false";
  }
}

function tile(word, url, use) {
  const text = word ? label(word) : t("original");
  const button = make("button", { type: "button", className: "tile" }, [
    make("img", { src: url, alt: "" }),
    make("span", { textContent: text }),
  ]);
  button.dataset.word = word;
  button.addEventListener("click", () => {
    $("sheet").close();
    if (word) use(word);
  });
  return button;
}

// Takes a picture; the result is a file, or null if there is none.
export async function takePicture() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 }, facingMode: "user" } });
  const video = $("video");
  video.srcObject = stream;
  $("camera-dialog").showModal();
  try {
    return await new Promise((done) => {
      $("camera-dialog").addEventListener("close", () => done(null), { once: true });
      $("take").onclick = async () => {
        const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
        canvas.getContext("2d").drawImage(video, 0, 0);
        canvas.toBlob((blob) => done(new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.95);
      };
    });
  } finally {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
    $("camera-dialog").close();
  }
}

export function showCard(model, docs) {
  $("card-title").textContent = model.name;
  const facts = [
    [t("card_size"), t("card_size_value", model)],
    [t("card_data"), model.trained_on],
    [t("card_licence"), model.licence],
  ].filter(([, value]) => value);
  $("card-body").replaceChildren(
    ...(model.limits ? [make("h3", { textContent: t("card_limits") }), ...limitsOf(model)] : []),
    make("h3", { textContent: t("card_care") }),
    make("p", { textContent: t("card_consent") }),
    make("h3", { textContent: t("card_success") }),
    make("p", { className: "hint", textContent: t("card_success_hint") }),
    make("dl", { className: "bars" }, model.groups.flatMap((group) => group.values.flatMap(bar))),
    make("dl", { className: "facts" }, facts.flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })])),
    ...(docs ? [make("p", {}, [make("a", { href: docs, textContent: t("card_api") })])] : []),
  );
  $("card").showModal();
}

function limitsOf(model) {
  const { text, translated } = limits(model.limits);
  if (translated) return [make("p", { textContent: text })];
  return [make("p", { className: "hint", textContent: t("card_in_english") }), make("p", { textContent: text, lang: "en" })];
}

function bar(value) {
  const measured = value.success !== null;
  const percent = `${Math.round(100 * value.success)} %`;
  const line = make("div", { className: "bar-line" });
  line.style.setProperty("--value", percent.replace(" ", ""));
  const text = make("span", { textContent: measured ? percent : t("card_not_measured") });
  return [make("dt", { textContent: label(value.word) }), make("dd", {}, measured ? [line, text] : [text])];
}

export function askForKey() {
  return new Promise((done) => {
    $("key").value = "";
    $("key-form").onsubmit = () => done($("key").value.trim());
    $("key-dialog").addEventListener("cancel", (event) => event.preventDefault());
    if (!$("key-dialog").open) $("key-dialog").showModal();
  });
}
