// Computes on WebGPU in Node and prints the results as JSON, or why WebGPU does not start.
import {
  compile,
  conv2d,
  DeviceError,
  gradients,
  maxPool2d,
  normal,
  normalArray,
  openRuntime,
  type Runtime,
  randomKey,
  square,
  sum,
  type Tensor,
  toNumbers,
} from "../../src/index.ts";
import { trainings } from "./trainings.ts";

/** What ONNX Runtime's WebGPU kernels cannot do or do wrongly: it has to run on the CPU beside it. */
export async function mistakenKernels(runtime: Runtime): Promise<number[][]> {
  const images = normalArray(randomKey(1), [2, 6, 5, 5]);
  const weights = normalArray(randomKey(2), [6, 2, 3, 3]);
  const slope = (y: Tensor, x: Tensor) => gradients(sum(square(y)), [x])[0] as Tensor;
  const grouped = compile((x: Tensor, w: Tensor) => slope(conv2d(x, w, { padding: 1, groups: 3 }), x), {
    runtime,
  });
  const pooled = compile((x: Tensor) => slope(maxPool2d(x, 2), x), { runtime });
  const key = { dtype: "int32", shape: [2], data: Int32Array.of(17, 4) } as const;
  const noise = compile((k: Tensor) => normal(k, [64]), { runtime });
  const results = [await grouped(images, weights), await pooled(images), await noise(key)];
  return results.map(toNumbers);
}

if (import.meta.main) {
  try {
    const runtime = await openRuntime({ device: "webgpu" });
    console.log(
      JSON.stringify({
        description: runtime.description,
        losses: await trainings.smallCnn(runtime),
        results: await mistakenKernels(runtime),
      }),
    );
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    console.log(JSON.stringify({ missing: error.message }));
  }
}
