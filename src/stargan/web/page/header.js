// The two buttons at the top of every page: the language, and light or dark colours.

import { other, preferred, remember, t, use } from "./words.js";

const $ = (id) => document.getElementById(id);

// Shows the visitor's language, and makes the buttons work. `changed` draws again what is not in the HTML.
export async function begin(changed) {
  const choose = async (name) => {
    await use(name);
    remember("language", name);
    $("language").textContent = t("other_language");
    $("language").lang = other() === "zh" ? "zh-Hans" : other();
    $("language").ariaLabel = t("switch_language");
    themeLabel();
    changed();
  };
  await choose(preferred());
  $("language").addEventListener("click", () => choose(other()));
  $("theme").addEventListener("click", switchTheme);
}

const dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function themeLabel() {
  $("theme").ariaLabel = t(dark() ? "theme_light" : "theme_dark");
  $("theme").title = $("theme").ariaLabel;
}

function switchTheme() {
  const next = dark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  remember("theme", next);
  themeLabel();
}
