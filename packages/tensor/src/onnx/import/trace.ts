import type { NDArray } from "../../core/ndarray.ts";
import { Tensor } from "../../core/tensor.ts";
import type { LinearHook, Trace, Value, WeightOrigin } from "./call.ts";
import { describeNode, FoldAside, NodeCall } from "./call.ts";
import { located, OnnxImportError } from "./errors.ts";
import type { OnnxLimits } from "./limits.ts";
import type { ImportGraph, ImportNode } from "./model.ts";
import type { Results } from "./ops/entry.ts";
import { findOp } from "./registry.ts";

function asList(results: Results): readonly (Value | undefined)[] {
  return Array.isArray(results) ? results : [results as Value];
}

/** Results of a node: computed here and now if everything is known, as tensors otherwise. */
function translate(call: NodeCall): readonly (Value | undefined)[] {
  const entry = findOp(call.node.domain, call.node.op);
  if (!entry) return call.fail("is not supported");
  call.canDefer = entry.lazy !== undefined;
  const { inputs } = call;
  if (entry.fold && inputs.every((value) => !(value instanceof Tensor))) {
    try {
      return asList(entry.fold(call, inputs.filter((value) => value !== undefined) as NDArray[]));
    } catch (error) {
      if (!(error instanceof FoldAside)) throw error;
    }
  }
  if (entry.lazy) return asList(entry.lazy(call));
  const present = inputs.flatMap((value, i) => (value === undefined ? [] : [i]));
  return asList(
    (entry.fold as NonNullable<typeof entry.fold>)(
      call,
      present.map((i) => call.known(i, "input")),
    ),
  );
}

function runNode(node: ImportNode, scope: Map<string, Value>, trace: Trace): void {
  trace.visit(1 + ((node.inputs.length + node.outputs.length) >> 4));
  const inputs = node.inputs.map((name) => {
    if (name === "") return undefined;
    const value = scope.get(name);
    if (value === undefined)
      throw new OnnxImportError(`${describeNode(node)}: its input '${name}' has no value`);
    return value;
  });
  while (inputs.length > 0 && inputs.at(-1) === undefined) inputs.pop();
  const call = new NodeCall(node, trace, inputs, scope);
  const results = located(
    () => describeNode(node),
    () => translate(call),
  );
  node.outputs.forEach((name, i) => {
    if (name === "") return;
    const value = results[i] ?? call.fail(`its output ${i} ('${name}') is not supported`);
    call.checkSize(value.shape);
    scope.set(name, value);
  });
}

/** Which nodes the wanted values depend on. */
export function needed(graph: ImportGraph, wanted: readonly string[]): ImportNode[] {
  const open = new Set(wanted);
  const nodes: ImportNode[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => open.has(name))) continue;
    nodes.push(node);
    for (const name of [...node.inputs, ...node.captured]) open.add(name);
  }
  return nodes.reverse();
}

export interface TraceOptions {
  readonly limits: OnnxLimits;
  readonly linear: LinearHook | undefined;
  /** Which tensors are stored weights. */
  readonly weights: ReadonlyMap<string, Tensor>;
}

/** Computes the wanted values of a graph from those of its inputs and initializers. */
export function traceGraph(
  graph: ImportGraph,
  wanted: readonly string[],
  values: ReadonlyMap<string, Value>,
  { limits, linear, weights }: TraceOptions,
): (Value | undefined)[] {
  let [visited, folded] = [0, 0];
  const origins = new Map<Tensor, WeightOrigin>();
  for (const [name, weight] of weights) origins.set(weight, { name, weight, transposed: false });
  const nodes = needed(graph, wanted);
  const uses = new Map<string, number>();
  for (const name of [...nodes.flatMap(({ inputs, captured }) => [...inputs, ...captured]), ...wanted])
    uses.set(name, (uses.get(name) ?? 0) + 1);
  const bodies = new Map<ImportGraph, readonly ImportNode[]>();
  const trace: Trace = {
    limits,
    weights: origins,
    linear,
    convolutions: new Map(),
    uses,
    visit: (count) => {
      visited += count;
      if (visited > limits.nodes)
        throw new OnnxImportError(`importOnnx: more than ${limits.nodes} nodes are to be run (limits.nodes)`);
    },
    charge: (elements) => {
      folded += elements;
      if (folded > limits.folded)
        throw new OnnxImportError(
          `importOnnx: shapes and constants take more than ${limits.folded} elements to work out (limits.folded)`,
        );
    },
    subgraph: (inner, inputs, call) => {
      trace.visit((inner.free.length + inner.initializers.size) >> 4);
      const scope = new Map<string, Value>();
      for (const name of inner.free) {
        const value = call.scope.get(name);
        if (value !== undefined) scope.set(name, value);
      }
      for (const [name, array] of inner.initializers) scope.set(name, array);
      inner.inputs.forEach(({ name }, i) => {
        const value = inputs[i];
        if (value !== undefined) scope.set(name, value);
      });
      const body = bodies.get(inner) ?? needed(inner, inner.outputs);
      bodies.set(inner, body);
      for (const node of body) runNode(node, scope, trace);
      return inner.outputs.map((name) => scope.get(name));
    },
  };
  const scope = new Map(values);
  for (const node of nodes) runNode(node, scope, trace);
  return wanted.map((name) => scope.get(name));
}
