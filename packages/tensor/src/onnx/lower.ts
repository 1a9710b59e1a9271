import type { GraphNode, Source, Tensor } from "../core/tensor.ts";
import type { GraphTarget } from "./builder.ts";
import { GraphBuilder } from "./builder.ts";

type Inputs = (source: Source & { readonly kind: "op" }) => readonly Tensor[];

/** All nodes that the outputs depend on by way of `inputsOf`, inputs before their users. */
export function reachable(
  outputs: readonly Tensor[],
  inputsOf: Inputs = (source) => source.inputs,
): GraphNode[] {
  const seen = new Set<GraphNode>();
  const stack = outputs.map((output) => output.node);
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (node.source.kind === "op") for (const input of inputsOf(node.source)) stack.push(input.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

/** For each node the numbers of its outputs that another node or the caller reads. */
function usedOutputs(
  nodes: readonly GraphNode[],
  results: Iterable<Tensor>,
): ReadonlyMap<GraphNode, ReadonlySet<number>> {
  const used = new Map<GraphNode, Set<number>>();
  const mark = ({ node, index }: Tensor): void => {
    const indices = used.get(node) ?? new Set();
    used.set(node, indices.add(index));
  };
  for (const { source } of nodes) if (source.kind === "op") (source.lean ?? source).inputs.forEach(mark);
  for (const result of results) mark(result);
  return used;
}

/** A compiled graph before a runtime has loaded it. */
export interface LoweredGraph {
  readonly model: Uint8Array;
  /** Inputs that the graph really uses; others were optimised away and must not be fed. */
  readonly usedInputs: ReadonlySet<string>;
  readonly nodeCount: number;
  /** Whether any value is float64. */
  readonly usesFloat64: boolean;
  /** What the graph was made of. ONNX nodes that belong to `nodes[i]` have names that end in `@i`. */
  readonly nodes: readonly GraphNode[];
}

/**
 * Writes the part of the lazy graph that the outputs depend on as one ONNX model.
 *
 * @param inputs   placeholders by the names under which they are fed
 * @param outputs  values by the names under which they are fetched
 */
export function lowerGraph(
  name: string,
  inputs: ReadonlyMap<string, Tensor>,
  outputs: ReadonlyMap<string, Tensor>,
  target: GraphTarget,
): LoweredGraph {
  const { graph, ...facts } = lowerToBuilder(inputs, outputs, target);
  return { model: graph.build(name), ...facts };
}

/** As `lowerGraph`, before the model is serialised. */
export function lowerToBuilder(
  inputs: ReadonlyMap<string, Tensor>,
  outputs: ReadonlyMap<string, Tensor>,
  target: GraphTarget,
): Omit<LoweredGraph, "model"> & { readonly graph: GraphBuilder } {
  const graph = new GraphBuilder(target);
  const names = new Map<GraphNode, readonly string[]>();
  const nameOf = (tensor: Tensor): string => names.get(tensor.node)?.[tensor.index] as string;
  const inputNames = new Map([...inputs].map(([inputName, tensor]) => [tensor.node, inputName]));
  const usedInputs = new Set<string>();
  const nodes = reachable([...outputs.values()], (source) => (source.lean ?? source).inputs);
  const used = usedOutputs(nodes, outputs.values());
  for (const [position, node] of nodes.entries()) {
    const { source } = node;
    graph.tag = `@${position}`;
    if (source.kind === "constant") {
      names.set(node, [graph.constant(source.value)]);
    } else if (source.kind === "input") {
      const inputName = inputNames.get(node);
      if (inputName === undefined) {
        throw new Error(
          `the graph depends on the placeholder '${source.name}' of another trace; pass that value as an argument`,
        );
      }
      usedInputs.add(inputName);
      names.set(node, [
        graph.input(inputName, {
          shape: node.outputs[0]?.shape ?? [],
          dtype: node.outputs[0]?.dtype ?? "float32",
        }),
      ]);
    } else {
      const { inputs: operands, attributes } = source.lean ?? source;
      const specs = {
        inputs: operands.map(({ shape, dtype }) => ({ shape, dtype })),
        outputs: node.outputs,
        used: node.outputs.map((_, index) => used.get(node)?.has(index) ?? false),
      };
      names.set(node, source.op.lower(graph, operands.map(nameOf), attributes, specs));
    }
  }
  for (const [outputName, tensor] of outputs) graph.output(outputName, nameOf(tensor), tensor);
  const usesFloat64 = nodes.some(({ outputs }) => outputs.some(({ dtype }) => dtype === "float64"));
  return { graph, usedInputs, nodeCount: graph.nodeCount, usesFloat64, nodes };
}
