// The model on a server: the methods of `interface.js`, over HTTP.

import { BackendError } from "./interface.js";

const TRIES = 4; // of a request that the server is too busy for
const KEY = "stargan-key";

export class Backend {
  words = {};
  docs = "/docs";

  // askForKey: async function that returns a key for a server that needs one.
  constructor(askForKey) {
    this.askForKey = askForKey;
    const given = new URLSearchParams(location.hash.slice(1)).get("key");
    if (given) {
      sessionStorage.setItem(KEY, given);
      history.replaceState(null, "", location.pathname);
    }
  }

  async models() {
    const { models, runs } = await (await this.#send("GET", "/v1/models")).json();
    this.watched = runs;
    return models;
  }

  async open(file, model, { align = true } = {}) {
    const seen = await this.#upload(file, model, align);
    return { ...seen, id: seen.photo, file, name: file.name || "photo", align };
  }

  async look(photo, model, { align = true } = {}) {
    const seen = await (await this.#about(photo, "/v1/faces", { model, align })).json();
    return { ...photo, ...seen, align };
  }

  async translate(photo, model, edits, { longest } = {}) {
    const asked = { model, align: photo.align, edits };
    if (longest) asked.longest = longest;
    return (await this.#about(photo, "/v1/translate", asked)).blob();
  }

  async sheet(photo, model, { faces = "all", known = [], side = 320 } = {}) {
    const asked = { model, align: photo.align, faces, known, side };
    const { tiles } = await (await this.#about(photo, "/v1/sheet", asked)).json();
    return tiles.map(({ word, image }) => ({ word, url: `data:image/jpeg;base64,${image}` }));
  }

  // Training runs: what each shows now, and the samples of a step as a Blob. Runs are numbered from 1.
  async runs() {
    return (await (await this.#send("GET", "/v1/runs")).json()).runs;
  }

  async sample(run, step) {
    return (await this.#send("GET", `/v1/runs/${run}/samples/${step}`)).blob();
  }

  close(photo) {
    fetch(`/v1/photos/${photo.id}`, { method: "DELETE", headers: this.#headers(), keepalive: true }).catch(() => {});
  }

  // A request about a photo that was sent before. If the server has forgotten it, it is sent again.
  async #about(photo, path, asked) {
    const send = () =>
      this.#send("POST", path, JSON.stringify({ ...asked, photo: photo.id }), { "Content-Type": "application/json" });
    try {
      return await send();
    } catch (error) {
      if (error.code !== "photo") throw error;
      photo.id = (await this.#upload(photo.file, asked.model, asked.align)).photo;
      return send();
    }
  }

  async #upload(file, model, align) {
    const form = new FormData();
    form.append("image", file, "image"); // the file's name is nobody's business
    form.append("model", model);
    form.append("align", align);
    return (await this.#send("POST", "/v1/faces", form)).json();
  }

  #headers() {
    const key = sessionStorage.getItem(KEY);
    return key ? { Authorization: `Bearer ${key}` } : {};
  }

  async #send(method, path, body, headers = {}) {
    for (let tries = 1; ; tries++) {
      let answer;
      try {
        answer = await fetch(path, { method, body, headers: { ...this.#headers(), ...headers } });
      } catch (error) {
        throw new BackendError("network", error.message);
      }
      if (answer.ok) return answer;
      if (answer.status === 401) {
        sessionStorage.setItem(KEY, await this.askForKey());
        continue;
      }
      if (answer.status === 503 && tries < TRIES) {
        await new Promise((done) => setTimeout(done, 1000 * (Number(answer.headers.get("Retry-After")) || 1)));
        continue;
      }
      const problem = await answer.json().catch(() => ({ code: "other", message: answer.statusText }));
      throw new BackendError(problem.code, problem.message);
    }
  }
}
