import { create } from "@bufbuild/protobuf";
import type { NDArray } from "../../core/ndarray.ts";
import type { AttributeProto } from "../onnx_pb.ts";
import { AttributeProtoSchema } from "../onnx_pb.ts";
import { defaultOnnxLimits } from "./limits.ts";
import type { ImportGraph, ImportNode } from "./model.ts";
import { decodeTensor } from "./tensors.ts";

/**
 * Exporters of older opsets write layer norms and GELUs as chains of elementwise nodes. Each node is a pass over memory,
 * and in training none of them can be skipped; put together again they are one kernel each.
 */
class Patterns {
  readonly #graph: ImportGraph;
  readonly #makers = new Map<string, ImportNode>();
  readonly #uses = new Map<string, number>();

  constructor(graph: ImportGraph, wanted: readonly string[]) {
    this.#graph = graph;
    const use = (name: string): void => void this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1);
    for (const node of graph.nodes) {
      for (const output of node.outputs) this.#makers.set(output, node);
      for (const name of [...node.inputs, ...node.captured]) use(name);
    }
    for (const name of wanted) use(name);
  }

  /** The node that makes a value, if it is this operator. */
  maker(name: string | undefined, op: string): ImportNode | undefined {
    const node = this.#makers.get(name ?? "");
    return node?.op === op && node.domain === "" ? node : undefined;
  }

  /** As `maker`, for a value that exactly `uses` places read. */
  private(name: string | undefined, op: string, uses = 1): ImportNode | undefined {
    return this.#uses.get(name ?? "") === uses ? this.maker(name, op) : undefined;
  }

  #array(name: string): NDArray | undefined {
    const stored = this.#graph.initializers.get(name);
    if (stored) return stored;
    const value = this.maker(name, "Constant")?.attributes.get("value")?.t;
    // Large constants are no numbers of a formula.
    return value && value.rawData.length <= 8 ? decodeTensor(value, defaultOnnxLimits, name) : undefined;
  }

  /** The one number that a value is known to be. */
  number(name: string | undefined): number | undefined {
    const array = name === undefined ? undefined : this.#array(name);
    return array?.data.length === 1 && array.shape.length <= 1 ? Number(array.data[0]) : undefined;
  }

  isVector(name: string | undefined): boolean {
    const array = this.#graph.initializers.get(name ?? "");
    return array?.shape.length === 1 && array.dtype === "float32";
  }

  /** The other operand of a node that has these two in any order. */
  other({ inputs }: ImportNode, one: string): string | undefined {
    if (inputs.length !== 2 || inputs[0] === inputs[1]) return undefined;
    return inputs[0] === one ? inputs[1] : inputs[1] === one ? inputs[0] : undefined;
  }

  /** The operand that is not this number; undefined if none of the two is. */
  besides({ inputs }: ImportNode, number: number): string | undefined {
    if (inputs.length !== 2) return undefined;
    const near = (name: string | undefined): boolean => {
      const value = this.number(name);
      return value !== undefined && Math.abs(value - number) <= 1e-6 * Math.abs(number);
    };
    return near(inputs[1]) ? inputs[0] : near(inputs[0]) ? inputs[1] : undefined;
  }
}

function overLastAxis({ attributes, inputs }: ImportNode): boolean {
  const axes = attributes.get("axes")?.ints;
  const keeps = (attributes.get("keepdims")?.i ?? 1n) === 1n;
  return inputs.length === 1 && keeps && axes?.length === 1 && axes[0] === -1n;
}

/** (x - mean x) / √(mean (x - mean x)² + ε) · gain + bias, from its last node on. */
function layerNorm(patterns: Patterns, last: ImportNode): ImportNode | undefined {
  if (last.op !== "Add") return undefined;
  for (const [scaledName, bias] of [last.inputs, last.inputs.toReversed()]) {
    const scaled = patterns.private(scaledName, "Mul");
    if (!scaled || !patterns.isVector(bias)) continue;
    for (const [ratioName, gain] of [scaled.inputs, scaled.inputs.toReversed()]) {
      const ratio = patterns.private(ratioName, "Div");
      if (!ratio || !patterns.isVector(gain)) continue;
      const root = patterns.private(ratio.inputs[1], "Sqrt");
      const sum = root && patterns.private(root.inputs[0], "Add");
      const variance = sum?.inputs.map((name) => patterns.private(name, "ReduceMean")).find((node) => node);
      const epsilon = sum && patterns.number(patterns.other(sum, variance?.outputs[0] ?? ""));
      const square = variance && overLastAxis(variance) && patterns.private(variance.inputs[0], "Pow");
      if (!square || epsilon === undefined || patterns.number(square.inputs[1]) !== 2) continue;
      const centred = patterns.maker(square.inputs[0], "Sub");
      const above = patterns.maker(ratio.inputs[0], "Sub");
      if (!centred || !above || centred.inputs.join() !== above.inputs.join()) continue;
      const mean = patterns.maker(centred.inputs[1], "ReduceMean");
      if (!mean || !overLastAxis(mean) || mean.inputs[0] !== centred.inputs[0]) continue;
      const inputs = [centred.inputs[0] as string, gain as string, bias as string];
      return fused(last, "LayerNormalization", "", inputs, { axis: { i: -1n }, epsilon: { f: epsilon } });
    }
  }
  return undefined;
}

/** x · (1 + erf(x / √2)) / 2, in any order of its factors, from its last node on. */
function gelu(patterns: Patterns, last: ImportNode): ImportNode | undefined {
  if (last.op !== "Mul") return undefined;
  const halved = patterns.besides(last, 0.5);
  const product = halved === undefined ? last : patterns.private(halved, "Mul");
  if (product?.inputs.length !== 2) return undefined;
  for (const [left, right] of [product.inputs, product.inputs.toReversed()] as [string, string][]) {
    // Where the half is not the last factor, it belongs to one of the two.
    const halves = halved === undefined ? [left, right].map((name) => halfOf(patterns, name)) : [];
    const candidates: [string | undefined, string | undefined][] =
      halved === undefined
        ? [
            [halves[0], right],
            [left, halves[1]],
          ]
        : [[left, right]];
    for (const [x, cumulative] of candidates) {
      if (x !== undefined && cumulative !== undefined && isErfTerm(patterns, cumulative, x))
        return fused(last, "Gelu", "com.microsoft", [x], {});
    }
  }
  return undefined;
}

/** What is multiplied by a half to make a value. */
function halfOf(patterns: Patterns, name: string): string | undefined {
  const node = patterns.private(name, "Mul");
  return node && patterns.besides(node, 0.5);
}

/** Whether a value is 1 + erf(x / √2). */
function isErfTerm(patterns: Patterns, name: string, x: string): boolean {
  const sum = patterns.private(name, "Add");
  const erf = sum && patterns.private(patterns.besides(sum, 1), "Erf");
  const inner = erf?.inputs[0];
  const divided = patterns.private(inner, "Div");
  if (divided) return divided.inputs[0] === x && patterns.besides(divided, Math.SQRT2) === x;
  const multiplied = patterns.private(inner, "Mul");
  return multiplied !== undefined && patterns.besides(multiplied, Math.SQRT1_2) === x;
}

function fused(
  last: ImportNode,
  op: string,
  domain: string,
  inputs: readonly string[],
  values: Readonly<Record<string, { readonly i: bigint } | { readonly f: number }>>,
): ImportNode {
  const attributes = Object.entries(values).map(([name, value]): [string, AttributeProto] => [
    name,
    create(AttributeProtoSchema, { name, type: "i" in value ? 2 : 1, ...value }),
  ]);
  return { ...last, op, domain, inputs, attributes: new Map(attributes) };
}

/** The graph with chains of nodes that are one operation put together; values that are wanted stay. */
export function fuse(graph: ImportGraph, wanted: readonly string[]): ImportGraph {
  const patterns = new Patterns(graph, wanted);
  const nodes = graph.nodes.map((node) => {
    if (node.domain !== "") return node;
    return layerNorm(patterns, node) ?? gelu(patterns, node) ?? node;
  });
  return { ...graph, nodes };
}
