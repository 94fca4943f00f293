// The panel beside the photo: faces, chips, strength, and what the model sees.

import { group as groupWords, label, t } from "./words.js";

const $ = (id) => document.getElementById(id);
const OFTEN_FAILS = 0.5; // below this share of successes, a chip says so

// Makes an element: make("button", {className, textContent, ...}, children).
export function make(name, properties = {}, children = []) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

export class Panel {
  // actions: {selectFaces(numbers), press(group, word), strength(value, moving), correct(face, group, words)}.
  constructor(actions) {
    this.actions = actions;
    let moving = false;
    $("strength").addEventListener("input", () => {
      actions.strength($("strength").value / 100, moving);
      moving = true;
    });
    $("strength").addEventListener("change", () => {
      moving = false;
    });
  }

  // Draws everything anew; `state` is {model, photo, edits, selected, portrait}.
  draw(state) {
    this.state = state;
    const focused = document.activeElement?.dataset?.key;
    this.#faces();
    this.#groups();
    this.#strength();
    this.#seen();
    this.#notes();
    if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  // The faces that chips act on, or [0] for the whole photo.
  get rows() {
    const { photo, selected } = this.state;
    return photo.faces.length ? [...selected].sort((a, b) => a - b) : [0];
  }

  // What a face shows in a group, corrected or estimated.
  now(face, index) {
    const { photo, edits, model } = this.state;
    const corrected = edits.corrected(face, index);
    if (corrected) return outcomes(model.groups[index]).find((one) => one.request.join() === corrected.join())?.word;
    return this.#labels(face)[index]?.word;
  }

  // Whether faces are changed to a word, all but those that show it already.
  pressed(index, word) {
    const targets = this.rows.map((face) => this.state.edits.target(face, index));
    return targets.includes(word) && this.rows.every((face, row) => (targets[row] ?? this.now(face, index)) === word);
  }

  #labels(face) {
    const { photo } = this.state;
    return (face ? photo.faces.find((one) => one.number === face)?.labels : photo.labels) ?? [];
  }

  #faces() {
    const { photo, selected, portrait } = this.state;
    $("faces-section").hidden = photo.faces.length < 2;
    if (photo.faces.length < 2) return;
    const everyone = photo.faces.map((face) => face.number);
    const all = make("button", { type: "button", className: "chip", textContent: t("all_faces") });
    all.ariaPressed = everyone.every((number) => selected.has(number));
    all.dataset.key = "face-all";
    all.addEventListener("click", () => this.actions.selectFaces(everyone));
    const buttons = photo.faces.map((face) => {
      const button = make("button", { type: "button", className: "portrait" }, [
        portrait(face),
        make("span", { textContent: face.number, ariaHidden: "true" }),
      ]);
      button.ariaPressed = selected.has(face.number);
      button.ariaLabel = t("face", { number: face.number });
      button.dataset.key = `face-${face.number}`;
      button.addEventListener("click", () => this.actions.toggleFace(face.number));
      return button;
    });
    $("face-list").replaceChildren(all, ...buttons);
  }

  #groups() {
    const { model } = this.state;
    const rows = this.rows;
    const made = model.groups.map((one, index) => {
      const words = groupWords(one);
      const title = make("h3", { textContent: words.title, id: `group-${index}` });
      const chips = one.values.map((value, position) => {
        const on = this.pressed(index, value.word);
        const now = rows.length > 0 && rows.every((face) => this.now(face, index) === value.word);
        return this.#chip(index, value, words.labels[position], on, now);
      });
      const list = make("div", { className: "chips", role: "group" }, chips);
      list.setAttribute("aria-labelledby", title.id);
      return make("div", { className: "group" }, [title, list]);
    });
    $("groups").replaceChildren(...made);
  }

  #chip(index, value, text, on, now) {
    const chip = make("button", { type: "button", className: "chip" });
    if (value.word.endsWith("_Hair")) chip.append(make("span", { className: `swatch ${value.word}` }));
    chip.append(text);
    chip.ariaPressed = on;
    chip.dataset.key = `chip-${index}-${value.word}`;
    chip.dataset.word = value.word;
    chip.title = value.synonyms.join(", ");
    chip.disabled = !this.rows.length;
    if (now) {
      chip.classList.add("now");
      chip.append(make("span", { className: "visually-hidden", textContent: `, ${t("is_now")}` }));
    }
    chip.addEventListener("click", () => this.actions.press(index, value.word));
    return chip;
  }

  #strength() {
    const { edits } = this.state;
    const [first] = this.rows;
    const percent = Math.round(100 * edits.strength(first ?? 0));
    $("strength").value = percent;
    $("strength").style.setProperty("--filled", `${percent / 1.5}%`);
    $("strength-value").textContent = `${percent} %`;
    $("strength").setAttribute("aria-valuetext", t("strength_value", { percent }));
    $("strength").disabled = !edits.requests().length;
    $("strength-row").classList.toggle("off", $("strength").disabled);
  }

  #seen() {
    const { model, photo } = this.state;
    const faces = photo.faces.length ? photo.faces.filter((face) => this.state.selected.has(face.number)) : [null];
    $("seen-section").hidden = !faces.length || !this.#labels(faces[0]?.number ?? 0).length;
    const rows = faces.map((face) => {
      const number = face?.number ?? 0;
      const pills = this.#labels(number).map((estimate, index) => this.#pill(number, index, estimate, model.groups[index]));
      const title = photo.faces.length > 1 ? [make("h3", { textContent: t("face", { number }) })] : [];
      return make("div", { className: "seen-row" }, [...title, make("div", { className: "pills" }, pills)]);
    });
    $("seen").replaceChildren(...rows);
  }

  #pill(face, index, estimate, group) {
    const { edits } = this.state;
    const corrected = edits.corrected(face, index);
    const select = make("select", { className: "pill-select" });
    for (const one of outcomes(group)) {
      const option = make("option", { value: one.word, textContent: label(one.word, true) });
      option.selected = one.word === this.now(face, index);
      select.append(option);
    }
    select.ariaLabel = t("seen_of", { number: face || "", group: groupWords(group).title });
    select.dataset.key = `seen-${face}-${index}`;
    select.addEventListener("change", () => {
      const chosen = outcomes(group).find((one) => one.word === select.value);
      this.actions.correct(face, index, chosen.word === estimate.word ? null : chosen.request);
    });
    const percent = `${Math.round(100 * estimate.probability)} %`;
    const state = corrected ? t("corrected") : percent + (estimate.uncertain ? ` · ${t("uncertain")}` : "");
    const pill = make("label", { className: "pill" }, [select, make("small", { textContent: state })]);
    pill.classList.toggle("corrected", Boolean(corrected));
    pill.classList.toggle("uncertain", !corrected && estimate.uncertain);
    return pill;
  }

  #notes() {
    const { model, photo, edits, selected } = this.state;
    const values = model.groups.flatMap((group) => group.values);
    const weak = values.filter((value) => edits.words().includes(value.word) && (value.success ?? 1) < OFTEN_FAILS);
    const lines = weak.map((value) =>
      t("often_fails", { word: label(value.word), percent: Math.round(100 * value.success) }),
    );
    for (const face of photo.faces.filter((one) => selected.has(one.number))) {
      for (const warning of face.warnings) {
        const kind = warning.includes("pixels wide") ? "small_face" : warning.includes("side") ? "side_face" : "cut_face";
        lines.push(t(kind, { number: face.number }));
      }
    }
    $("notes").replaceChildren(...lines.map((textContent) => make("li", { textContent })));
  }
}

// What a model can say of a group: one of its values, or none of them.
function outcomes(group) {
  return group.none ? [...group.values, group.none] : group.values;
}
