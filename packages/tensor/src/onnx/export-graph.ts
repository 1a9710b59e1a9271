import { create } from "@bufbuild/protobuf";
import type { NDArray } from "../core/ndarray.ts";
import type { Tensor } from "../core/tensor.ts";
import { onnxType } from "./builder.ts";
import { OnnxExportError } from "./export-samples.ts";
import { asHalf, integerAttribute } from "./export-shapes.ts";
import type { GraphProto, NodeProto } from "./onnx_pb.ts";
import { AttributeProtoSchema, NodeProtoSchema, TensorProtoSchema } from "./onnx_pb.ts";

/** Beginnings of names while a graph is put together, so that they cannot meet. */
export const INPUT = "in/";
export const WEIGHT = "weight/";
export const OUTPUT = "out/";

/** A stored array of an exported model. */
export interface Weight {
  readonly name: string;
  readonly array: NDArray;
  readonly tensor: Tensor;
}

/** The nodes that the outputs depend on. */
export function live(nodes: readonly NodeProto[], outputs: readonly string[]): NodeProto[] {
  const wanted = new Set(outputs);
  const read = (node: NodeProto): void => {
    for (const name of node.input) wanted.add(name);
    for (const { g } of node.attribute) for (const inner of g?.node ?? []) read(inner);
    for (const { g } of node.attribute) for (const { name } of g?.output ?? []) wanted.add(name);
  };
  const kept = nodes.toReversed().filter((node) => {
    if (!node.output.some((name) => wanted.has(name))) return false;
    read(node);
    return true;
  });
  return kept.reverse();
}

/** Constants of the graph as nodes, so that only weights are initializers. */
export function constantNodes(graph: GraphProto, used: ReadonlySet<string>): NodeProto[] {
  return graph.initializer
    .filter(({ name }) => used.has(name))
    .map((tensor) =>
      create(NodeProtoSchema, {
        opType: "Constant",
        output: [tensor.name],
        name: `Constant/${tensor.name}`,
        attribute: [
          create(AttributeProtoSchema, {
            name: "value",
            type: 4,
            t: create(TensorProtoSchema, { ...tensor, name: "" }),
          }),
        ],
      }),
    );
}

export function namesRead(nodes: readonly NodeProto[]): Set<string> {
  return new Set(
    nodes.flatMap(({ input, attribute }) => [
      ...input,
      ...attribute.flatMap(({ g }) => [
        ...namesRead(g?.node ?? []),
        ...(g?.output ?? []).map(({ name }) => name),
      ]),
    ]),
  );
}

/** Gives values the names that the caller knows; inner names that meet one of those get a prefix. */
export function rename(nodes: readonly NodeProto[], names: ReadonlyMap<string, string>): void {
  for (const node of nodes) {
    node.input = node.input.map((name) => names.get(name) ?? name);
    node.output = node.output.map((name) => names.get(name) ?? name);
    for (const { g } of node.attribute) {
      if (!g) continue;
      rename(g.node, names);
      for (const output of g.output) output.name = names.get(output.name) ?? output.name;
    }
  }
}

export function outerNames(nodes: readonly NodeProto[], weights: readonly Weight[]): Map<string, string> {
  const names = new Map<string, string>();
  const taken = new Map<string, string>();
  const values = [
    ...weights.map(({ name }) => WEIGHT + name),
    ...nodes.flatMap(({ input, output }) => [...input, ...output]),
  ];
  for (const value of values) {
    const prefix = [INPUT, OUTPUT, WEIGHT].find((start) => value.startsWith(start));
    if (!prefix) continue;
    const name = value.slice(prefix.length);
    if ((taken.get(name) ?? value) !== value)
      throw new OnnxExportError(
        `exportOnnx: '${name}' is the name of two of inputs, outputs and weights; ONNX has one name space for all`,
      );
    taken.set(name, value);
    names.set(value, name);
  }
  for (const value of values) {
    if (value === "" || names.has(value)) continue;
    let name = value;
    while (taken.has(name)) name = `_${name}`;
    if (name !== value) names.set(value, name);
    taken.set(name, value);
  }
  return names;
}

/** Stores float32 weights as float16, with a Cast behind each. */
export function halve(graph: GraphProto): void {
  const casts: NodeProto[] = [];
  graph.initializer = graph.initializer.map((tensor) => {
    if (tensor.dataType !== onnxType.float32) return tensor;
    const wide = `${tensor.name}/float32`;
    rename(graph.node, new Map([[tensor.name, wide]]));
    const attribute = [integerAttribute("to", onnxType.float32)];
    casts.push(
      create(NodeProtoSchema, {
        opType: "Cast",
        input: [tensor.name],
        output: [wide],
        name: `Cast/${wide}`,
        attribute,
      }),
    );
    return asHalf(tensor);
  });
  graph.node = [...casts, ...graph.node];
}
