import type * as Ort from "onnxruntime-web";
import type { NDArray } from "../core/ndarray.ts";
import { DEVICES, type Device, DeviceError, parseDevice } from "./device.ts";
import { fromModelValue, modelFeeds, modelValues, type RuntimeValue } from "./model-values.ts";
import type { DeviceStatus, LoadOptions, ModelSession, Runtime, RuntimeOptions, Session } from "./runtime.ts";
import { tryRuntime } from "./trial.ts";
import { webgpuProvider } from "./webgpu.ts";

/** What this file needs of a page's or a worker's global scope. */
interface WebScope {
  readonly crossOriginIsolated?: boolean;
  readonly navigator?: {
    readonly hardwareConcurrency?: number;
    readonly gpu?: { requestAdapter(): Promise<object | null> };
  };
}
const scope: WebScope = globalThis;

const otherwise = 'Choose device "cpu" (WebAssembly) instead.';
const isolation =
  "Serve the page with `Cross-Origin-Opener-Policy: same-origin` and `Cross-Origin-Embedder-Policy: require-corp`";

/** What a device was opened with; ONNX Runtime's WebAssembly module starts once a page. */
interface Opened {
  readonly threads: number;
  readonly assets: string | undefined;
  readonly runtime: Promise<Runtime>;
}
const opened = new Map<Device, Opened>();

/** @throws RangeError when several threads are asked for where the page may have one only */
function threadCount(wanted: number | undefined): number {
  const isolated = scope.crossOriginIsolated === true;
  if (wanted === undefined) return isolated ? (scope.navigator?.hardwareConcurrency ?? 1) : 1;
  if (!Number.isInteger(wanted) || wanted < 1) {
    throw new RangeError(`openRuntime: threads must be an integer >= 1, got ${wanted}`);
  }
  if (wanted > 1 && !isolated) {
    throw new RangeError(
      `openRuntime: ${wanted} threads need SharedArrayBuffer, which this page lacks because it is not cross-origin ` +
        `isolated. ${isolation}, or leave threads out for one thread.`,
    );
  }
  return wanted;
}

/** One graph at a time: the WebAssembly module cannot be entered again while a run waits for the GPU. */
let last: Promise<unknown> = Promise.resolve();
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const turn = last.then(work, work);
  last = turn.catch(() => {});
  return turn;
}

function wrapAll(ort: typeof Ort, arrays: Readonly<Record<string, NDArray>>): Record<string, Ort.Tensor> {
  return Object.fromEntries(
    Object.entries(arrays).map(([name, { dtype, data, shape }]) => [
      name,
      new ort.Tensor(dtype, data as Ort.Tensor.DataType as Float32Array, shape) as Ort.Tensor,
    ]),
  );
}

function createSession(
  ort: typeof Ort,
  provider: "wasm" | "webgpu",
  model: Uint8Array,
  options: LoadOptions,
): Promise<Ort.InferenceSession> {
  return inTurn(() =>
    ort.InferenceSession.create(model, {
      executionProviders: [provider === "webgpu" ? webgpuProvider(model) : provider],
      graphOptimizationLevel: options.optimisation === "none" ? "disabled" : (options.optimisation ?? "all"),
      executionMode: "sequential",
      logSeverityLevel: 3,
    }),
  );
}

async function openSession(
  ort: typeof Ort,
  provider: "wasm" | "webgpu",
  model: Uint8Array | string,
  options: LoadOptions = {},
): Promise<ModelSession> {
  if (typeof model === "string")
    throw new Error("a browser opens no file by its path; fetch the bytes and give those");
  const session = await createSession(ort, provider, model, options);
  const inputs = modelValues(session.inputMetadata);
  return {
    inputs,
    outputs: modelValues(session.outputMetadata),
    async run(feeds, outputs) {
      const values = Object.entries(modelFeeds(inputs, feeds)).map(([name, { type, data, dims }]) => [
        name,
        new ort.Tensor(type as "float32", data as Float32Array, dims),
      ]);
      const results = await inTurn(() => session.run(Object.fromEntries(values), [...outputs]));
      return Object.fromEntries(
        outputs.map((name) => [name, fromModelValue(name, results[name] as unknown as RuntimeValue)]),
      );
    },
    async release() {
      await inTurn(() => session.release());
    },
  };
}

async function loadSession(
  ort: typeof Ort,
  provider: "wasm" | "webgpu",
  model: Uint8Array,
  options: LoadOptions = {},
): Promise<Session> {
  const session = await createSession(ort, provider, model, options);
  return {
    async run(feeds, fetches) {
      const results = await inTurn(() => session.run(wrapAll(ort, feeds), Object.keys(fetches)));
      // Results lie in the module's memory and come out as copies; only then do they reach the caller's arrays.
      for (const [name, { data }] of Object.entries(fetches)) {
        (data as Float32Array).set((results[name] as Ort.Tensor).data as Float32Array);
      }
    },
    async release() {
      await inTurn(() => session.release());
    },
  };
}

/** The module with WebGPU is twice as large, so each device loads its own. */
async function start(device: "cpu" | "webgpu", threads: number, assets?: string): Promise<Runtime> {
  const ort: typeof Ort =
    device === "cpu" ? await import("onnxruntime-web/wasm") : await import("onnxruntime-web/webgpu");
  ort.env.wasm.numThreads = threads;
  if (assets !== undefined) ort.env.wasm.wasmPaths = assets;
  const provider = device === "cpu" ? "wasm" : device;
  const runtime: Runtime = {
    description: `onnxruntime-web ${ort.env.versions.web ?? ort.env.versions.common} ${provider}, ${threads} ${threads === 1 ? "thread" : "threads"}`,
    target: { contribOps: device === "cpu" },
    load: (model, options) => loadSession(ort, provider, model, options),
    open: (model, options) => openSession(ort, provider, model, options),
  };
  await tryRuntime(runtime);
  return runtime;
}

async function checkWebGpu(): Promise<void> {
  const { gpu } = scope.navigator ?? {};
  if (!gpu) {
    const advice = "WebGPU needs a page from https:// or localhost and a browser that has it switched on.";
    throw new DeviceError("webgpu", "this browser offers no WebGPU here", `${advice} ${otherwise}`);
  }
  if ((await gpu.requestAdapter()) === null) {
    const advice = "The browser knows WebGPU but accepts no graphics adapter of this machine.";
    throw new DeviceError("webgpu", "there is no graphics adapter for WebGPU", `${advice} ${otherwise}`);
  }
}

async function startChecked(device: "cpu" | "webgpu", threads: number, assets?: string): Promise<Runtime> {
  if (device === "webgpu") await checkWebGpu();
  try {
    return await start(device, threads, assets);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const advice =
      "The files ort-wasm-*.mjs and ort-wasm-*.wasm of onnxruntime-web must be served at `assets`, and a content " +
      "security policy must allow 'wasm-unsafe-eval' and workers of the own origin.";
    throw new DeviceError(device, reason, advice, { cause: error });
  }
}

/** See `openRuntime` in default.ts. */
export async function openRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const device = parseDevice(options.device ?? "cpu", "device");
  if (device === "cuda") throw new DeviceError(device, "browsers have no CUDA", otherwise);
  const known = opened.get(device);
  const threads = options.threads === undefined && known ? known.threads : threadCount(options.threads);
  const assets = options.assets ?? known?.assets;
  if (known) {
    if (known.threads !== threads || known.assets !== assets) {
      throw new Error(
        `openRuntime: '${device}' was started in this page with ${known.threads} threads and assets ` +
          `${known.assets ?? "beside the script"}; a page starts it once`,
      );
    }
    return known.runtime;
  }
  const runtime = startChecked(device, threads, assets);
  opened.set(device, { threads, assets, runtime });
  try {
    return await runtime;
  } catch (error) {
    opened.delete(device);
    throw error;
  }
}

/** See `availableDevices` in default.ts. Starts nothing: what a device downloads is large. */
export async function availableDevices(): Promise<readonly DeviceStatus[]> {
  const statuses: DeviceStatus[] = [];
  for (const device of DEVICES) {
    try {
      if (device === "cuda") throw new DeviceError(device, "browsers have no CUDA", otherwise);
      if (device === "webgpu") await checkWebGpu();
      statuses.push({ device, available: true });
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      statuses.push({ device, available: false, reason: error.reason, advice: error.advice });
    }
  }
  return statuses;
}
