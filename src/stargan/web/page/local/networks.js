// The model's networks, run by ONNX Runtime: on the GPU where the browser lets it, else as WebAssembly.

const RUNTIME = new URL("../runtime/", import.meta.url);
const MODELS = new URL("../model/", import.meta.url);
const THREADS = 4;
const TOLERANCE = 0.02; // between the results of GPU and CPU, in [-1, 1]

export class DownloadError extends Error {
  code = "download";
}

// The browser can pass a wait on the GPU through WebAssembly (JSPI), which the smaller of the GPU builds needs.
async function hasGpu() {
  if (!navigator.gpu || !WebAssembly.Suspending) return false;
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return Boolean(adapter) && !adapter.info?.isFallbackAdapter; // which would compute on the CPU
}

// Fetches files; `progress` gets the share of all bytes that have come.
async function download(files, progress) {
  const all = files.reduce((sum, file) => sum + file.bytes, 0);
  let come = 0;
  return Promise.all(
    files.map(async ({ path }) => {
      try {
        const answer = await fetch(path);
        if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
        const parts = [];
        const reader = answer.body.getReader();
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
          parts.push(part.value);
          progress(Math.min((come += part.value.length) / all, 1));
        }
        return await new Blob(parts).arrayBuffer();
      } catch (error) {
        throw new DownloadError(`${path}: ${error.message}`);
      }
    }),
  );
}

export class Networks {
  #model;
  #runtime;
  #sessions = {};

  // `progress` is told the share that is loaded, from 0 to 1.
  static async load(model, about, progress, gpu = undefined) {
    const made = new Networks();
    made.#model = model;
    made.gpu = gpu ?? (await hasGpu());
    try {
      await made.#load(about.runtime[made.gpu ? "gpu" : "cpu"], progress);
      return made;
    } catch (error) {
      if (!made.gpu || error instanceof DownloadError) throw error;
      console.warn("the GPU cannot be used; going on without it", error);
      return Networks.load(model, about, progress, false);
    }
  }

  async #load(build, progress) {
    const { files } = this.#model.network;
    const asked = [{ path: new URL(build.wasm.path, RUNTIME), bytes: build.wasm.bytes }];
    for (const { path, bytes } of Object.values(files)) asked.push({ path: new URL(path, MODELS), bytes });
    const [binary, ...graphs] = await download(asked, progress);
    this.#runtime = await import(new URL(build.module, RUNTIME));
    const { env, InferenceSession } = this.#runtime;
    env.logLevel = "error";
    env.wasm.wasmBinary = binary;
    env.wasm.wasmPaths = { mjs: new URL(build.glue, RUNTIME).href };
    env.wasm.numThreads = self.crossOriginIsolated ? Math.min(THREADS, navigator.hardwareConcurrency) : 1;
    const open = (graph, provider) => InferenceSession.create(new Uint8Array(graph), { executionProviders: [provider] });
    for (const [index, name] of Object.keys(files).entries()) {
      this.#sessions[name] = await open(graphs[index], this.gpu ? "webgpu" : "wasm");
    }
    if (this.gpu) await this.#compare(await open(graphs[Object.keys(files).indexOf("generator")], "wasm"));
  }

  // Some drivers compute wrong results. So the GPU first changes an image as the CPU does.
  async #compare(onCpu) {
    const { width, height, network } = this.#model;
    const image = Float32Array.from({ length: 3 * width * height }, (_, at) => Math.sin(at / 97));
    const condition = Float32Array.from({ length: network.layout.labels }, (_, at) => Number(at === 0));
    const found = await this.generate(image, condition);
    const onGpu = this.#sessions.generator;
    this.#sessions.generator = onCpu;
    const expected = await this.generate(image, condition);
    this.#sessions.generator = onGpu;
    await onCpu.release();
    const apart = found.reduce((most, value, at) => Math.max(most, Math.abs(value - expected[at])), 0);
    if (!(apart < TOLERANCE)) throw new Error(`its results differ by ${apart} from those of the CPU`);
  }

  async #run(name, inputs, output) {
    const feeds = {};
    for (const [input, [data, dims]] of Object.entries(inputs)) feeds[input] = new this.#runtime.Tensor("float32", data, dims);
    const found = await this.#sessions[name].run(feeds);
    return output ? found[output].data : found;
  }

  // An image and the generator's second input to the translated image, all as arrays.
  generate = async (image, condition) => {
    const { width, height, network } = this.#model;
    const inputs = { images: [image, [1, 3, height, width]], [network.condition]: [condition, [1, condition.length]] };
    return this.#run("generator", inputs, "translated");
  };

  classify = async (image) => this.#run("classifier", { images: [image, [1, 3, this.#model.height, this.#model.width]] }, "logits");

  detect = async ({ data, width, height }) => {
    const found = await this.#run("finder", { image: [data, [1, 3, height, width]] });
    const [heat, size, offset, points] = this.#sessions.finder.outputNames.map((name) => found[name].data);
    return { heat, size, offset, points };
  };
}
