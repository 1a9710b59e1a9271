import { pullback } from "../core/grad.ts";
import { isFloat, sizeOf } from "../core/ndarray.ts";
import { withOrigin } from "../core/origin.ts";
import type { Application, Spec } from "../core/tensor.ts";
import { defineOp, defineUnitOp, GraphNode, placeholder, Tensor } from "../core/tensor.ts";
import { treeEntries, treeMap } from "../core/tree.ts";

/**
 * The first input, computed only after the others are. Costs one pass over it: it is multiplied by a 1 that depends on
 * one entry of each of the others in a way that no optimiser sees through, and that is 1 for NaN and infinity too.
 */
const afterOp = defineUnitOp<undefined>({
  name: "after",
  infer: ([x]) => [x as Spec],
  lower: (graph, [x, ...others], _attributes, { inputs: [spec, ...specs] }) => {
    const entries = others.map((other, i) => {
      const { shape, dtype } = specs[i] as Spec;
      const all = (value: number): string => graph.int64s(shape.map(() => value));
      const first = shape.length === 0 ? other : graph.node("Slice", [other, all(0), all(1)]);
      return graph.reshape(graph.cast(first, dtype === "float64" ? "float32" : dtype), [1]);
    });
    const list = entries.length === 1 ? (entries[0] as string) : graph.node("Concat", entries, { axis: 0 });
    const beyondInfinity = graph.node("Greater", [list, graph.scalar(Number.POSITIVE_INFINITY, "float32")]);
    const zero = graph.node("ReduceMax", [graph.cast(beyondInfinity, "int32")], { keepdims: 0 });
    const one = graph.cast(graph.node("Sub", [graph.scalar(1, "int32"), zero]), (spec as Spec).dtype);
    return [graph.node("Mul", [x as string, one])];
  },
  vjp: ({ inputs, cotangents: [dy] }) => [dy, ...inputs.slice(1).map(() => null)],
});

function after(x: Tensor, others: readonly Tensor[]): Tensor {
  const waited = others.filter(({ shape }) => sizeOf(shape) > 0);
  return waited.length === 0 ? x : afterOp([x, ...waited], undefined);
}

const keyOf = ({ node, index }: Tensor): string => `${node.id}:${index}`;

/** Tensors of a part of the graph by what stands for them in its copy. */
type Replaced = ReadonlyMap<string, Tensor>;

/** Nodes between some tensors and the results, inputs before their users. */
function nodesBetween(sources: ReadonlySet<string>, results: readonly Tensor[]): GraphNode[] {
  const found = new Set<GraphNode>();
  const stack = [...results];
  for (let tensor = stack.pop(); tensor; tensor = stack.pop()) {
    const { node } = tensor;
    if (sources.has(keyOf(tensor)) || found.has(node) || node.source.kind !== "op") continue;
    found.add(node);
    stack.push(...node.source.inputs);
  }
  return [...found].sort((a, b) => a.id - b.id);
}

/** The results computed once more, from the tensors that stand for others. */
function copyOf(results: readonly Tensor[], replaced: Replaced): Tensor[] {
  const copies = new Map<GraphNode, GraphNode>();
  const copied = (tensor: Tensor): Tensor => {
    const replacement = replaced.get(keyOf(tensor));
    if (replacement) return replacement;
    const node = copies.get(tensor.node);
    return node ? new Tensor(node, tensor.index) : tensor;
  };
  for (const node of nodesBetween(new Set(replaced.keys()), results)) {
    const { source } = node;
    if (source.kind !== "op") continue;
    const inputs = source.inputs.map(copied);
    if (inputs.every((input, i) => input === source.inputs[i])) continue;
    const { lean, ...rest } = source;
    const shortcut = lean && copiedShortcut(lean, copied);
    const copy = { ...rest, inputs, ...(shortcut && { lean: shortcut }) };
    copies.set(
      node,
      withOrigin(node.origin, () => new GraphNode(copy, node.outputs)),
    );
  }
  return results.map(copied);
}

/** A shortcut holds for the copy too unless it reads values from before it. */
function copiedShortcut(
  { inputs, attributes }: Application<unknown>,
  copied: (tensor: Tensor) => Tensor,
): Application<unknown> | undefined {
  const own = inputs.map(copied);
  const within = own.every((input, i) => input !== inputs[i] || input.node.source.kind === "constant");
  return within ? { inputs: own, attributes } : undefined;
}

interface RecomputeAttributes {
  /** Number of inputs that the results are computed from; the results follow. */
  readonly sources: number;
  /** How many of them were passed as arguments. */
  readonly passed: number;
}

/** Whether a source of the copy is made to wait, so that what is computed from it is computed anew. */
function waits(source: Tensor, passed: boolean): boolean {
  const { dtype, node } = source;
  if (dtype === "bool" || dtype === "uint8") return false;
  return passed || !isFloat(dtype) || node.source.kind === "op";
}

const recomputeOp = defineOp<RecomputeAttributes>({
  name: "recompute",
  infer: (inputs, { sources }) => inputs.slice(sources),
  lower: (_graph, results) => results,
  vjp: ({ inputs, cotangents, needed, attributes: { sources, passed } }) => {
    const [origins, results] = [inputs.slice(0, sources), inputs.slice(sources)];
    const arrived = cotangents.filter((dy) => dy !== null);
    const stands = origins.map((source, i) =>
      waits(source, i < passed) ? after(source, arrived.slice(0, 1)) : withoutHistory(source),
    );
    const replaced = new Map(origins.map((source, i) => [keyOf(source), stands[i] as Tensor]));
    const copies = copyOf(results, replaced);
    const pairs = copies.flatMap((copy, k): [Tensor, Tensor][] => {
      const dy = cotangents[k];
      return dy ? [[copy, dy]] : [];
    });
    const wanted = origins.map((source, i) => (needed[i] ?? false) && isFloat(source.dtype));
    const gradients = pullback(
      pairs,
      stands.filter((_, i) => wanted[i]),
    );
    const found = wanted.map((is) => (is ? (gradients.shift() as Tensor) : null));
    // What flows on waits for the gradients of parameters, which would otherwise keep all that was recomputed alive.
    const final = found.filter(
      (gradient, i) => gradient && origins[i]?.node.source.kind !== "op",
    ) as Tensor[];
    return [
      ...found.map((gradient, i) =>
        gradient && origins[i]?.node.source.kind === "op" ? after(gradient, final) : gradient,
      ),
      ...results.map(() => null),
    ];
  },
});

const sameOp = defineUnitOp<undefined, [x: Tensor]>({
  name: "same",
  infer: ([x]) => [x],
  lower: (_graph, inputs) => inputs,
  vjp: ({ cotangents }) => [cotangents[0]],
});

/** The same value as a tensor of its own, to take gradients with respect to it. */
function withoutHistory(x: Tensor): Tensor {
  return sameOp([x], undefined);
}

/**
 * The same function, whose activations are not kept for the gradient: the backward pass computes them again from the
 * arguments. Values and gradients are those of `fn`; the price is one more forward pass of `fn` and a pass over its
 * arguments. Wrap each block of a deep network to train with the memory of one block and of the inputs of all.
 *
 *   const block = recompute((x: Tensor) => mlp(layerNorm(x, gain, bias), weights));
 *
 * Parameters are best captured by closure, as above: they are used where they are. Arguments, which are trees of
 * tensors, and captured results of other operations are copied once for the recomputation. Random keys may be either.
 * Results are tensors or a tree of them; it may be nested and differentiated again (second derivatives keep their
 * activations).
 *
 * @throws TypeError when `fn` returns something else than a tree of tensors
 * @source Chen et al. 2016 (training deep nets with sublinear memory cost)
 */
export function recompute<A extends readonly unknown[], R>(fn: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    const given = treeEntries(args).flatMap(([, leaf]) => (leaf instanceof Tensor ? [leaf] : []));
    // Ids grow, so whatever the function makes has a larger one than this.
    const start = placeholder("start of recompute", { shape: [], dtype: "bool" }).node.id;
    const result = fn(...args);
    const entries = treeEntries(result).map(([path, leaf]): [string, Tensor] => {
      if (!(leaf instanceof Tensor))
        throw new TypeError(
          `recompute: the function must return tensors, got ${typeof leaf}${path === "" ? "" : ` at '${path}'`}`,
        );
      return [path, leaf];
    });
    const results = entries.map(([, tensor]) => tensor);
    const passed = new Map(given.map((tensor) => [keyOf(tensor), tensor]));
    const captured = new Map<string, Tensor>();
    const note = (tensor: Tensor): void => {
      const { node } = tensor;
      if (node.id < start && node.source.kind !== "constant" && !passed.has(keyOf(tensor)))
        captured.set(keyOf(tensor), tensor);
    };
    const older = (tensor: Tensor): boolean => tensor.node.id < start;
    results.filter(older).forEach(note);
    for (const node of innerNodes(results, start))
      if (node.source.kind === "op") node.source.inputs.filter(older).forEach(note);
    const sources = [...passed.values(), ...captured.values()];
    const attributes = { sources: sources.length, passed: passed.size };
    const outputs = recomputeOp([...sources, ...results], attributes, { inputs: results, attributes });
    const byPath = new Map(entries.map(([path], i) => [path, outputs[i]]));
    return treeMap(result, (_, path) => byPath.get(path)) as R;
  };
}

/** Nodes that the results depend on and that are at least as new as `start`. */
function innerNodes(results: readonly Tensor[], start: number): GraphNode[] {
  const found = new Set<GraphNode>();
  const stack = results.map(({ node }) => node);
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (found.has(node) || node.id < start || node.source.kind !== "op") continue;
    found.add(node);
    for (const input of node.source.inputs) stack.push(input.node);
  }
  return [...found];
}
