import { add, cast } from "../ops/arithmetic.ts";
import { sum } from "../ops/structure.ts";
import { NonFiniteError, type NonFiniteTensor } from "./errors.ts";
import type { CompiledGraph, Feeds } from "./graph.ts";
import { compileGraph } from "./graph.ts";
import { allocateLike } from "./leaves.ts";
import type { NDArray } from "./ndarray.ts";
import { isFloat, ndarray, sizeOf } from "./ndarray.ts";
import type { GraphNode, TensorLike } from "./tensor.ts";
import { asTensor, constant, defineUnitOp, describeNode, Tensor } from "./tensor.ts";
import { treeEntries } from "./tree.ts";

/**
 * What is checked for NaN and infinities after each step: the metrics ("loss"), metrics and new state ("all"), or
 * nothing.
 */
export type Guard = "loss" | "all" | false;

/** Number of entries that are NaN or infinite. */
const countOp = defineUnitOp<undefined>({
  name: "countNonFinite",
  infer: () => [{ shape: [], dtype: "int32" }],
  lower: (graph, [x]) => {
    const bad = graph.node("Or", [graph.node("IsNaN", [x as string]), graph.node("IsInf", [x as string])]);
    return [graph.node("ReduceSum", [graph.cast(bad, "int32")], { keepdims: 0 })];
  },
});

/**
 * A float32 scalar that is not finite if an entry of the tree is not: the sum of all sums, one pass over memory.
 * Sums of finite numbers above 1e38 are infinite too, so bad ones are looked at again (`nonFiniteLeaves`).
 */
function finiteSum(tree: unknown): Tensor {
  return treeEntries(tree)
    .map(([, leaf]) => asTensor(leaf as TensorLike))
    .filter(({ dtype, shape }) => isFloat(dtype) && sizeOf(shape) > 0)
    .map((x) => cast(sum(x), "float32"))
    .reduce(add, constant(ndarray([0], { shape: [] })));
}

function countNonFinite({ dtype, data }: NDArray): number {
  if (!isFloat(dtype)) return 0;
  let count = 0;
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) count++;
  return count;
}

/** Names of the arrays that hold a NaN or an infinity. */
export function nonFiniteLeaves(arrays: Iterable<readonly [string, NDArray]>): string[] {
  return [...arrays].filter(([, array]) => countNonFinite(array) > 0).map(([name]) => name);
}

/** The result by which a graph tells whether a tree is finite, where the guard is for all. */
export function finiteResult(guard: Guard | undefined, tree: unknown): { readonly finite?: Tensor } {
  return guard === "all" ? { finite: finiteSum(tree) } : {};
}

/** What a graph with a `finiteResult` writes it into, and the names of what was written that is not finite. */
export function finiteFlag(guard: Guard | undefined): {
  readonly fetches: Readonly<Record<string, NDArray>>;
  readonly bad: (written: () => Iterable<readonly [string, NDArray]>) => string[];
} {
  const flag = allocateLike({ dtype: "float32", shape: [] });
  return {
    fetches: guard === "all" ? { "out/finite": flag } : {},
    bad: (written) => (Number.isFinite(flag.data[0]) ? [] : nonFiniteLeaves(written())),
  };
}

/**
 * Runs a graph again, this time with the number of NaNs and infinities of every float value as results, and finds
 * the first value that is not finite and on which the results depend through values that are not finite. Infinities
 * that the graph takes away again, as those of a mask under a softmax, are thereby left out.
 */
export async function firstNonFinite(
  graph: CompiledGraph,
  feeds: Feeds,
  results: readonly string[],
): Promise<NonFiniteTensor | undefined> {
  const given = new Map(feeds);
  const counts: Record<string, Tensor> = {};
  const known = new Map<string, number>();
  const keyOf = ({ node, index }: Tensor): string => `${node.id}/${index}`;
  for (const node of graph.nodes) {
    node.outputs.forEach(({ dtype, shape }, index) => {
      if (!isFloat(dtype) || sizeOf(shape) === 0) return;
      const value = new Tensor(node, index);
      const { source } = node;
      if (source.kind === "op") counts[keyOf(value)] = countOp([value], undefined);
      else {
        const array = source.kind === "constant" ? source.value : given.get(source.name);
        known.set(keyOf(value), array ? countNonFinite(array) : 0);
      }
    });
  }
  const counting = await compileGraph(
    graph.inputs,
    Object.values(counts),
    { ...graph.options, name: `${graph.name} (search for NaN)` },
    true,
  );
  try {
    const fetched = Object.keys(counts).map(
      (key, i) => [key, `out/${i}`, allocateLike(counts[key] as Tensor)] as const,
    );
    await counting.run(feeds, Object.fromEntries(fetched.map(([, name, array]) => [name, array])));
    for (const [key, , array] of fetched) known.set(key, Number(array.data[0]));
  } finally {
    await counting.release();
  }
  const isBad = (tensor: Tensor): boolean => (known.get(keyOf(tensor)) ?? 0) > 0;
  const byPath = new Map(
    treeEntries(graph.result).map(([path, leaf]) => [path, asTensor(leaf as TensorLike)]),
  );
  const stack = results.flatMap((path) => byPath.get(path) ?? []).filter(isBad);
  const seen = new Set<GraphNode>();
  let first: Tensor | undefined;
  for (let tensor = stack.pop(); tensor; tensor = stack.pop()) {
    if (seen.has(tensor.node)) continue;
    seen.add(tensor.node);
    const { source } = tensor.node;
    const causes = source.kind === "op" ? (source.lean ?? source).inputs.filter(isBad) : [];
    stack.push(...causes);
    if (causes.length === 0 && (!first || tensor.node.id < first.node.id)) first = tensor;
  }
  if (!first) return undefined;
  const { source, origin } = first.node;
  const path = [...byPath].find(([, tensor]) => tensor.node === first.node)?.[0];
  const name = source.kind === "input" ? source.name : path;
  return {
    operation: source.kind === "op" ? source.op.name : source.kind,
    dtype: first.dtype,
    shape: first.shape,
    origin: origin?.place,
    entries: known.get(keyOf(first)) as number,
    ...(name === undefined ? {} : { name }),
    description: describeNode(first.node),
  };
}

/**
 * The error of a step whose results are not finite.
 *
 * @param results  their paths in the graph's result
 * @param labels   what the message calls them
 */
export async function nonFiniteError(
  graph: CompiledGraph,
  feeds: Feeds,
  step: number,
  results: readonly string[],
  labels = results,
): Promise<NonFiniteError> {
  const first = await firstNonFinite(graph, feeds, results);
  const found = first
    ? `The first is ${first.description}: ${first.entries} of ${sizeOf(first.shape)} entries.`
    : "Repeating the step did not show where from.";
  const named = labels
    .slice(0, 4)
    .map((label) => `'${label}'`)
    .join(", ");
  const more = labels.length > 4 ? ` and ${labels.length - 4} more` : "";
  return new NonFiniteError(
    `${graph.name}: NaN or infinity in step ${step}, in ${named}${more}. ${found} ` +
      "The state is that of before the step.",
    { step, results: labels, ...(first && { first }) },
  );
}
