// The model in the visitor's browser: the methods of `interface.js`, answered by `worker.js`.

import { BackendError } from "../interface.js";

export class Backend {
  // What the page says differently.
  words = { promise_private: "promise_here", promise_offline: "promise_browser" };
  docs = "";
  #worker = startWorker();
  #waiting = new Map();
  #calls = 0;
  #broken = null; // why the worker does not answer
  #urls = [];

  constructor(_askForKey, loading) {
    this.#worker.addEventListener("message", ({ data: { call, result, error, share } }) => {
      if (share !== undefined) return loading(share);
      const { done, failed } = this.#waiting.get(call);
      this.#waiting.delete(call);
      if (error) failed(new BackendError(error.code, error.message));
      else done(result);
    });
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#broken = new BackendError("browser", event.message);
      for (const { failed } of this.#waiting.values()) failed(this.#broken);
    });
  }

  async models() {
    let about;
    try {
      const answer = await fetch(new URL("../model/about.json", import.meta.url));
      if (!answer.ok) throw new Error(answer.statusText);
      about = await answer.json();
    } catch (error) {
      throw new BackendError("download", error.message);
    }
    this.#ask("about", about);
    if (!navigator.connection?.saveData) this.#ask("warm", about.models[0].name).catch(() => {}); // the first photo says why
    return about.models;
  }

  async open(file, model, { align = true } = {}) {
    const id = ++this.#calls;
    const seen = await this.#ask("open", id, file, model, align);
    return { ...seen, id, name: file.name || "photo", align };
  }

  async look(photo, model, { align = true } = {}) {
    return { ...photo, ...(await this.#ask("look", photo.id, model, align)), align };
  }

  translate(photo, model, edits, { longest } = {}) {
    return this.#ask("translate", photo.id, model, photo.align, edits, longest);
  }

  async sheet(photo, model, { faces = "all", known = [], side = 320 } = {}) {
    const tiles = await this.#ask("sheet", photo.id, model, photo.align, faces, known, side);
    this.#urls.forEach((url) => URL.revokeObjectURL(url));
    this.#urls = tiles.map(({ blob }) => URL.createObjectURL(blob));
    return tiles.map(({ word }, index) => ({ word, url: this.#urls[index] }));
  }

  close(photo) {
    this.#ask("close", photo.id);
  }

  #ask(method, ...values) {
    const call = ++this.#calls;
    return new Promise((done, failed) => {
      if (this.#broken) failed(this.#broken);
      this.#waiting.set(call, { done, failed });
      this.#worker.postMessage({ call, method, values });
    });
  }
}

// A worker from a file of its own would not be bound by the page's security policy; one from a blob is.
function startWorker() {
  const source = new Blob([`import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`], { type: "text/javascript" });
  return new Worker(URL.createObjectURL(source), { type: "module" });
}
