import type { CompileOptions } from "./graph.ts";
import { compileGraph, GraphCache, runGraph } from "./graph.ts";
import { concreteLeaves, placeholders, prefixed } from "./leaves.ts";
import { setEvaluator } from "./tensor.ts";
import type { Concrete, Feed } from "./tree.ts";
import { treeSignature } from "./tree.ts";

/** A function of concrete arrays. Calls may overlap. */
export interface Compiled<A extends readonly unknown[], R> {
  (...args: { [K in keyof A]: Feed<A[K]> }): Promise<Concrete<R>>;
  /** Releases the graphs, those in use after their runs. A later call compiles anew. */
  close(): Promise<void>;
}

/**
 * Turns a function of tensors into a function of concrete arrays. `fn` is traced once per structure and shapes of
 * its arguments and compiled to one ONNX graph.
 *
 *   const distance = compile((a: Tensor, b: Tensor) => sum(square(sub(a, b))));
 *   const d = await distance(ndarray([1, 2]), ndarray([3, 4]));
 *
 * The function rejects with EngineError when the runtime fails; it names the operation in the caller's code.
 */
export function compile<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  options: CompileOptions = {},
): Compiled<A, R> {
  const cache = new GraphCache(options.graphs);
  const name = options.name ?? "compiled function";
  const call = async (...args: { [K in keyof A]: Feed<A[K]> }): Promise<Concrete<R>> => {
    const leaves = concreteLeaves(args, name);
    return cache.use(
      treeSignature(args),
      async () => {
        const { tree, inputs } = placeholders(args, "in");
        return compileGraph(inputs, fn(...(tree as unknown as A)), options);
      },
      (graph) => runGraph<R>(graph, prefixed(leaves, "in")),
    );
  };
  return Object.assign(call, { close: () => cache.close() });
}

/**
 * Values of any number of tensors that depend on constants only, computed in one graph.
 *
 * @throws EngineError when the runtime fails
 */
export async function evaluate<T>(tree: T): Promise<Concrete<T>> {
  const graph = await compileGraph(new Map(), tree, { name: "evaluate" }, true);
  try {
    return await runGraph(graph, []);
  } finally {
    await graph.release();
  }
}

setEvaluator(async (tensor) => (await evaluate({ tensor })).tensor);
