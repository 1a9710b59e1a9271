import * as ort from "onnxruntime-node";
import type { NDArray } from "../core/ndarray.ts";
import type { Device } from "./device.ts";
import type { LoadOptions, Session } from "./runtime.ts";
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

/** Loads a graph into ONNX Runtime's native library. `run` blocks the calling thread for the duration of the graph. */
export async function loadSession(
  device: Device,
  model: Uint8Array,
  options: LoadOptions = {},
): Promise<Session> {
  const session = await inRuntime(() =>
    ort.InferenceSession.create(model, {
      executionProviders: [device === "webgpu" ? webgpuProvider(model) : device],
      graphOptimizationLevel: options.optimisation === "none" ? "disabled" : (options.optimisation ?? "all"),
      executionMode: "sequential",
      intraOpNumThreads: options.threads ?? defaultThreads(),
      interOpNumThreads: 1,
      logSeverityLevel: 3,
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
    }),
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
