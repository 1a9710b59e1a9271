import { ndarray, zerosArray } from "../core/ndarray.ts";
import { GraphBuilder } from "../onnx/builder.ts";
import type { Runtime } from "./runtime.ts";

/** Multiplies two matrices on a runtime: whether a device works, its first graph shows. */
export async function tryRuntime(runtime: Pick<Runtime, "load">): Promise<void> {
  const graph = new GraphBuilder({ contribOps: false });
  const spec = { shape: [2, 2], dtype: "float32" } as const;
  const x = graph.input("x", spec);
  graph.output("y", graph.node("MatMul", [x, x]), spec);
  const session = await runtime.load(graph.build("trial"), { threads: 1, optimisation: "none" });
  try {
    const y = zerosArray([2, 2]);
    await session.run({ x: ndarray([1, 2, 3, 4], { shape: [2, 2] }) }, { y });
    if (y.data.join() !== "7,10,15,22") throw new Error(`it multiplies wrongly: got ${y.data.join(", ")}`);
  } finally {
    await session.release();
  }
}
