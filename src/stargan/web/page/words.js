// The page's words, from one JSON file for each language.

const LANGUAGES = ["en", "zh"];
let words = {};
let language = "en";

export const current = () => language;
export const other = () => LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length];

// The visitor's choice, else the browser's language.
export function preferred() {
  const chosen = remembered("language");
  if (LANGUAGES.includes(chosen)) return chosen;
  return navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => LANGUAGES.includes(tag)) ?? "en";
}

export async function use(name) {
  words = await (await fetch(new URL(`words/${name}.json`, import.meta.url))).json();
  language = name;
  document.documentElement.lang = name === "zh" ? "zh-Hans" : name;
  document.title = t(document.body.dataset.title ?? "title");
  for (const element of document.querySelectorAll("[data-words]")) element.textContent = t(element.dataset.words);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(element.dataset.label));
}

// A text, with {names} replaced.
export function t(key, values = {}) {
  return fill(words[key] ?? key, values);
}

export function errorText(error) {
  return fill(words.errors[error.code] ?? words.errors.other, { message: error.message });
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// What people call a label: the word of this language if there is one, else its name made readable.
export function label(word, seen = false) {
  const known = (seen && words.seen_labels[word]) || words.labels[word];
  if (known) return known;
  const plain = readable(word.replace(/=0$/, ""));
  return word.endsWith("=0") ? t("without", { label: language === "en" ? plain.toLowerCase() : plain }) : plain;
}

// What a logged figure is called, and what it means.
export function figure(name) {
  return words.figures[name] ?? { title: name, hint: "" };
}

// What a model's card says of its limits, in this language if there is a translation: {text, translated}.
export function limits(text) {
  return { text: words.limits[text] ?? text, translated: language === "en" || text in words.limits };
}

// The title of a group of labels, and for each of its values what its chip says.
export function group(one) {
  const names = one.values.map((value) => value.word);
  const labels = names.map((name) => label(name));
  const last = names.map((name) => name.split(/[_ ]/).at(-1));
  const shared = names.length > 2 && new Set(last).size === 1 ? last[0] : "";
  const title = one.name || shared || names[0];
  const ending = ` ${label(shared).toLowerCase()}`;
  const short = shared && labels.every((text) => text.toLowerCase().endsWith(ending));
  return {
    title: words.groups[title] ?? words.groups[names[0]] ?? (one.name ? readable(one.name) : label(title)),
    labels: short ? labels.map((text) => text.slice(0, -ending.length)) : labels,
  };
}

function readable(name) {
  const text = name.split("/").at(-1).replaceAll("_", " ").trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function remembered(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // A browser that keeps nothing.
  }
}
