import { ndarray, toNumbers } from "../core/ndarray.ts";
import { type BlockedKernels, GraphBuilder } from "../onnx/builder.ts";
import { fromBlocked, toBlocked } from "../onnx/nchwc.ts";
import type { Runtime } from "./runtime.ts";

/** More channels than any processor's block, and an order that differs from the plain one. */
const CHANNELS = 64;

/**
 * The blocked convolution kernels of this processor (16 channels with AVX-512, 8 with AVX2), found by looking at the
 * order in which a tiny tensor comes out; undefined where ONNX Runtime has none.
 */
export async function blockedKernels(load: Runtime["load"]): Promise<BlockedKernels | undefined> {
  const spec = { shape: [1, CHANNELS, 1, 2], dtype: "float32" } as const;
  const graph = new GraphBuilder({ contribOps: true });
  const blocked = toBlocked(graph, { ...spec, name: graph.input("x", spec) });
  graph.output("order", blocked, spec);
  graph.output("back", fromBlocked(graph, blocked, CHANNELS), spec);
  const values = Float32Array.from({ length: 2 * CHANNELS }, (_, i) => i);
  const [order, back] = [
    ndarray(new Float32Array(values.length), spec),
    ndarray(new Float32Array(values.length), spec),
  ];
  try {
    const session = await load(graph.build("blocked kernels"), { threads: 1, optimisation: "none" });
    await session.run({ x: ndarray(values, spec) }, { order, back });
    await session.release();
  } catch {
    return undefined;
  }
  // The second pixel of the first channel follows the first pixels of a whole block.
  const seen = toNumbers(order);
  const block = seen.indexOf(1);
  const expected = values.map((_, i) => {
    const [outer, pixel, channel] = [Math.floor(i / (2 * block)), Math.floor(i / block) % 2, i % block];
    return 2 * (outer * block + channel) + pixel;
  });
  const regular =
    expected.every((value, i) => seen[i] === value) && values.every((value, i) => back.data[i] === value);
  return regular && block > 1 ? { block } : undefined;
}
