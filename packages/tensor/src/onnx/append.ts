import { create, toBinary } from "@bufbuild/protobuf";
import { namesRead, rename } from "./export-graph.ts";
import { OnnxExportError } from "./export-samples.ts";
import { openModel } from "./import/files.ts";
import { defaultOnnxLimits, type OnnxLimits } from "./import/limits.ts";
import { canonicalDomain, parseModel } from "./import/model.ts";
import {
  AttributeProtoSchema,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  type ValueInfoProto,
} from "./onnx_pb.ts";

export interface AppendOnnxOptions {
  /** For each input of the second model: an output of the first, or an input of both. */
  readonly connect: Readonly<Record<string, string>>;
  /** Keys and values that are stored with the model, in place of the first one's. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly limits?: Partial<OnnxLimits>;
}

const CAST_TO = "to";
const INTEGER_ATTRIBUTE = 2;
const INTEGERS_ATTRIBUTE = 7;
/** IR version from which initializers need not be inputs, which `exportOnnx` relies on. */
const LEAST_IR = 4n;
/** Sums took their axes as an input first; the other reductions followed. */
const AXES_INPUT_SINCE: Readonly<Record<string, bigint>> = {
  ReduceSum: 13n,
  Squeeze: 13n,
  Unsqueeze: 13n,
  ReduceMean: 18n,
  ReduceMax: 18n,
  ReduceMin: 18n,
  ReduceProd: 18n,
  ReduceL1: 18n,
  ReduceL2: 18n,
  ReduceLogSum: 18n,
  ReduceLogSumExp: 18n,
  ReduceSumSquare: 18n,
};

function opsetOf({ opsetImport }: ModelProto): bigint {
  return opsetImport.find(({ domain }) => canonicalDomain(domain) === "")?.version ?? 1n;
}

function eachGraph(graph: GraphProto, visit: (graph: GraphProto) => void): void {
  visit(graph);
  for (const { attribute } of graph.node)
    for (const { g, graphs } of attribute)
      for (const inner of g ? [g, ...graphs] : graphs) eachGraph(inner, visit);
}

/** All names of values, in inner graphs too. */
function valueNames(graph: GraphProto): Set<string> {
  const names = new Set<string>();
  eachGraph(graph, ({ node, initializer, input, output }) => {
    for (const each of node) for (const name of [...each.input, ...each.output]) names.add(name);
    for (const { name } of [...initializer, ...input, ...output]) names.add(name);
  });
  return names;
}

function freshName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  while (taken.has(name)) name = `_${name}`;
  taken.add(name);
  return name;
}

function integersOf({ int64Data, rawData }: TensorProto): bigint[] {
  if (int64Data.length > 0) return [...int64Data];
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  return Array.from({ length: rawData.byteLength / 8 }, (_, i) => view.getBigInt64(8 * i, true));
}

/** Writes axes as older opsets want them: as an attribute. */
function lower(nodes: readonly NodeProto[], opset: bigint): void {
  const constants = new Map(
    nodes.flatMap(({ opType, output, attribute }) => {
      const value = opType === "Constant" ? attribute.find(({ name }) => name === "value")?.t : undefined;
      return value ? [[output[0] as string, value] as const] : [];
    }),
  );
  for (const node of nodes) {
    const since = AXES_INPUT_SINCE[node.opType];
    const axes = node.input[1];
    if (since === undefined || opset >= since || !axes) continue;
    const stored = constants.get(axes);
    if (!stored)
      throw new OnnxExportError(
        `appendOnnx: '${node.name}' (${node.opType}) has axes that are not constant, which opset ${opset} cannot say`,
      );
    node.input = node.input.slice(0, 1);
    node.attribute = [
      ...node.attribute.filter(({ name }) => name !== "noop_with_empty_axes"),
      create(AttributeProtoSchema, { name: "axes", type: INTEGERS_ATTRIBUTE, ints: integersOf(stored) }),
    ];
  }
}

/** Inner graphs too; names of values, not of nodes. */
function renameAll(graph: GraphProto, names: ReadonlyMap<string, string>): void {
  eachGraph(graph, ({ node, initializer, valueInfo, output }) => {
    rename(node, names);
    for (const each of [...initializer, ...valueInfo, ...output])
      each.name = names.get(each.name) ?? each.name;
  });
}

function castTo(input: string, output: string, type: number): NodeProto {
  return create(NodeProtoSchema, {
    opType: "Cast",
    name: `append/${output}`,
    input: [input],
    output: [output],
    attribute: [create(AttributeProtoSchema, { name: CAST_TO, type: INTEGER_ATTRIBUTE, i: BigInt(type) })],
  });
}

/**
 * Puts a second model behind a first one: whatever operators the first has, it is not taken apart, so that quantised
 * models and those with operators of a runtime stay as they are, bit for bit. The second must come from `exportOnnx`.
 *
 * The second model's nodes are written in the first one's opset, where reductions took their axes otherwise. That the
 * runtime takes the whole is for the caller to see, by running it.
 *
 * @param first   path of the first model's file; its external data stays where it is
 * @param second  bytes of the second model; its outputs are those of the whole
 * @returns the bytes of the whole; in its folder it needs the external data of the first
 * @throws OnnxExportError when the two do not fit; OnnxImportError when `first` is no ONNX model
 */
export async function appendOnnx(
  first: string,
  second: Uint8Array,
  { connect, metadata, limits: given }: AppendOnnxOptions,
): Promise<Uint8Array> {
  const limits = { ...defaultOnnxLimits, ...given };
  const model = parseModel((await openModel(first, limits)).bytes, limits);
  const tail = parseModel(second, limits);
  const [graph, end] = [model.graph, tail.graph];
  if (!graph || !end) throw new OnnxExportError("appendOnnx: a model without a graph");
  const opset = opsetOf(model);

  // The new outputs keep their names: those of the first model give way.
  const taken = valueNames(graph);
  const clashes = end.output.filter(({ name }) => taken.has(name)).map(({ name }) => name);
  const fixed = new Set([...graph.input.map(({ name }) => name)]);
  const input = clashes.find((name) => fixed.has(name));
  if (input !== undefined) throw new OnnxExportError(`appendOnnx: '${input}' is an input of the first model`);
  const moved = new Map(clashes.map((name) => [name, freshName(`${name}/encoder`, taken)]));
  for (const name of clashes) taken.delete(name);
  renameAll(graph, moved);

  const casts: NodeProto[] = [];
  const inputs: ValueInfoProto[] = [];
  const inner = new Map<string, string>();
  const outer = new Set(end.output.map(({ name }) => name));
  const made = new Set([
    ...graph.node.flatMap(({ output }) => output),
    ...graph.input.map(({ name }) => name),
    ...graph.initializer.map(({ name }) => name),
  ]);
  for (const value of end.input) {
    const source = connect[value.name];
    if (source === undefined)
      throw new OnnxExportError(`appendOnnx: nothing is connected to '${value.name}'`);
    const from = moved.get(source) ?? source;
    if (!made.has(from)) {
      if (source !== value.name)
        throw new OnnxExportError(`appendOnnx: the first model makes no '${source}' for '${value.name}'`);
      inputs.push(value);
      continue;
    }
    const name = freshName(`append/${value.name}`, taken);
    inner.set(value.name, name);
    casts.push(castTo(from, name, Number(value.type?.tensorType?.elemType ?? 1)));
  }
  for (const name of namesRead(end.node)) {
    if (name === "" || inner.has(name) || inputs.some((value) => value.name === name)) continue;
    if (!outer.has(name)) inner.set(name, freshName(`append/${name}`, taken));
  }
  for (const { output } of end.node)
    for (const name of output)
      if (!inner.has(name) && !outer.has(name)) inner.set(name, freshName(`append/${name}`, taken));
  renameAll(end, inner);
  lower(end.node, opset);
  for (const node of end.node) node.name = `append/${node.name}`;

  graph.node.push(...casts, ...end.node);
  graph.initializer.push(...end.initializer);
  graph.input.push(...inputs);
  graph.output = end.output;
  if (model.irVersion < LEAST_IR) model.irVersion = LEAST_IR;
  model.producerVersion = tail.producerVersion;
  if (metadata)
    model.metadataProps = Object.entries(metadata).map(([key, value]) => ({
      $typeName: "onnx.StringStringEntryProto",
      key,
      value,
    }));
  return toBinary(ModelProtoSchema, model);
}
