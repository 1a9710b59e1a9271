import * as ort from "onnxruntime-node";
import type { NDArray } from "../core/ndarray.ts";
import type { Device } from "./device.ts";
import { fromModelValue, modelFeeds, modelValues, type RuntimeValue } from "./model-values.ts";
import type { LoadOptions, ModelSession, Session } from "./runtime.ts";
import { defaultThreads } from "./threads.ts";
import { webgpuProvider } from "./webgpu.ts";
import { inRuntime } from "./workers.ts";

/** Wrappers of arrays that are fed or fetched again and again, such as parameters. */
const wrappers = new WeakMap<NDArray, ort.Tensor>();

function wrap(array: NDArray): ort.Tensor {
  let wrapped = wrappers.get(array);
  if (!wrapped) {
    wrapped = new ort.Tensor(
      array.dtype,
      array.data as ort.Tensor.DataType as Float32Array,
      array.shape,
    ) as ort.Tensor;
    wrappers.set(array, wrapped);
  }
  return wrapped;
}

function wrapAll(arrays: Readonly<Record<string, NDArray>>): Record<string, ort.Tensor> {
  return Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, wrap(array)]));
}

/** e.g. "onnxruntime-node 1.30.0 cpu" */
export function describeRuntime(device: Device): string {
  return `onnxruntime-node ${ort.env.versions.node ?? ort.env.versions.common} ${device}`;
}

function sessionOptions(
  provider: ort.InferenceSession.ExecutionProviderConfig,
  options: LoadOptions,
): ort.InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    graphOptimizationLevel: options.optimisation === "none" ? "disabled" : (options.optimisation ?? "all"),
    executionMode: "sequential",
    intraOpNumThreads: options.threads ?? defaultThreads(),
    interOpNumThreads: 1,
    // Nothing but what is fatal: errors come as exceptions, and need not be on the terminal twice.
    logSeverityLevel: 4,
    // Values get their memory one by one: a plan of one block for all would come on top of what the first run took.
    enableMemPattern: false,
    // Denormal numbers cost up to a hundred times more; near the end of a training there are many. The first
    // session sets this for the thread that loads it too: from then on plain JavaScript takes 1e-310 for 0 there.
    extra: {
      session: { set_denormal_as_zero: "1" },
      // A matrix product with a bias is slower in one kernel than in two: ONNX Runtime fills the result with the bias
      // on one thread first.
      optimization: { disable_specified_optimizers: "MatMulAddFusion" },
    },
    ...(options.profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: options.profile }),
  };
}

/** Loads a graph into ONNX Runtime's native library. `run` blocks the calling thread for the duration of the graph. */
export async function loadSession(
  device: Device,
  model: Uint8Array,
  options: LoadOptions = {},
): Promise<Session> {
  const session = await inRuntime(() =>
    ort.InferenceSession.create(
      model,
      sessionOptions(device === "webgpu" ? webgpuProvider(model) : device, options),
    ),
  );
  return {
    async run(feeds, fetches) {
      await inRuntime(() => session.run(wrapAll(feeds), wrapAll(fetches)));
    },
    async release() {
      if (options.profile !== undefined) session.endProfiling();
      await inRuntime(() => session.release());
    },
  };
}

/**
 * ONNX Runtime's tensor class turns the bits of 16-bit floats into a Float16Array, whose memory its native library does
 * not find; it takes them as they were.
 */
function feed({ type, data, dims }: RuntimeValue): ort.Tensor {
  const tensor = new ort.Tensor(type as "float32", data as Float32Array, dims);
  if (type === "float16") Object.defineProperty(tensor, "data", { value: data });
  return tensor;
}

/** Loads a model of unknown origin, from memory or from its file. */
export async function openSession(
  device: Device,
  model: Uint8Array | string,
  options: LoadOptions = {},
): Promise<ModelSession> {
  // Which operators to keep from WebGPU is read off the model, which a path does not show.
  const provider = device === "webgpu" && typeof model !== "string" ? webgpuProvider(model) : device;
  const settings = sessionOptions(provider, options);
  const session = await inRuntime(() =>
    typeof model === "string"
      ? ort.InferenceSession.create(model, settings)
      : ort.InferenceSession.create(model, settings),
  );
  const inputs = modelValues(session.inputMetadata);
  return {
    inputs,
    outputs: modelValues(session.outputMetadata),
    async run(feeds, outputs) {
      const values = Object.entries(modelFeeds(inputs, feeds)).map(([name, value]) => [name, feed(value)]);
      const results = await inRuntime(() => session.run(Object.fromEntries(values), [...outputs]));
      return Object.fromEntries(
        outputs.map((name) => [name, fromModelValue(name, results[name] as unknown as RuntimeValue)]),
      );
    },
    async release() {
      await inRuntime(() => session.release());
    },
  };
}
