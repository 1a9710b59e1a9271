import { fromBinary } from "@bufbuild/protobuf";
import type { DType, NDArray } from "../../core/ndarray.ts";
import type { AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto } from "../onnx_pb.ts";
import { ModelProtoSchema } from "../onnx_pb.ts";
import { located, OnnxImportError } from "./errors.ts";
import type { ExternalReader } from "./files.ts";
import type { OnnxLimits } from "./limits.ts";
import { decodeTensor, elementType, externalLocation } from "./tensors.ts";
import { checkWire } from "./wire.ts";

/** Versions of the default operator set whose meaning the importer knows. */
export const MIN_OPSET = 11;
export const MAX_OPSET = 23;

/** One node, with its subgraphs made ready. */
export interface ImportNode {
  readonly name: string;
  readonly op: string;
  /** "" for the default operator set. */
  readonly domain: string;
  readonly version: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, AttributeProto>;
  readonly subgraphs: ReadonlyMap<string, ImportGraph>;
  /** Values of the graphs around that its subgraphs read. */
  readonly captured: readonly string[];
}

/** What a graph says of one of its inputs or outputs; sizes are numbers, names, or unknown. */
export interface OnnxValueInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape?: readonly (number | string | null)[];
}

/** A graph whose nodes stand in an order in which they can be computed. */
export interface ImportGraph {
  readonly nodes: readonly ImportNode[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly string[];
  readonly initializers: ReadonlyMap<string, NDArray>;
  readonly free: readonly string[];
}

export interface ImportModel {
  readonly graph: ImportGraph;
  readonly outputInfo: ReadonlyMap<string, OnnxValueInfo>;
  readonly opset: number;
  readonly producer: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** "ai.onnx" is another name of the default operator set. */
export function canonicalDomain(domain: string): string {
  return domain === "ai.onnx" ? "" : domain;
}

/** Reads the file format: bytes to messages, within the limits. */
export function parseModel(bytes: Uint8Array, limits: OnnxLimits): ModelProto {
  if (bytes.length > limits.fileBytes)
    throw new OnnxImportError(
      `importOnnx: the model has ${bytes.length} bytes, more than ${limits.fileBytes} (limits.fileBytes)`,
    );
  checkWire(bytes, ModelProtoSchema, limits);
  const model = located(
    () => "importOnnx: this is no ONNX model",
    () => fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false }),
  );
  if (!model.graph) throw new OnnxImportError("importOnnx: this is no ONNX model: it has no graph");
  return model;
}

function valueInfo(proto: ValueInfoProto, where: string): OnnxValueInfo {
  const type = proto.type?.tensorType;
  if (!type)
    throw new OnnxImportError(`${where} '${proto.name}' is no tensor (a sequence, map or optional?)`);
  const { dtype } = elementType(type.elemType, `${where} '${proto.name}'`);
  if (!type.shape) return { name: proto.name, dtype };
  const shape = type.shape.dim.map(({ value }) =>
    value.case === "dimValue" && value.value >= 0n
      ? Number(value.value)
      : value.case === "dimParam" && value.value !== ""
        ? value.value
        : null,
  );
  return { name: proto.name, dtype, shape };
}

interface Reading {
  readonly limits: OnnxLimits;
  readonly versions: ReadonlyMap<string, number>;
  readonly external: ExternalReader;
}

async function readInitializers(graph: GraphProto, reading: Reading): Promise<Map<string, NDArray>> {
  const arrays = new Map<string, NDArray>();
  if (graph.sparseInitializer.length > 0)
    throw new OnnxImportError(
      `importOnnx: sparse initializers are not supported ('${graph.sparseInitializer[0]?.values?.name}'); store them dense`,
    );
  for (const proto of graph.initializer) {
    const where = `importOnnx: initializer '${proto.name}'`;
    if (proto.name === "") throw new OnnxImportError("importOnnx: an initializer has no name");
    if (arrays.has(proto.name)) throw new OnnxImportError(`${where} is there twice`);
    const place = externalLocation(proto, reading.limits, where);
    const bytes = place && (await reading.external(place));
    arrays.set(proto.name, decodeTensor(proto, reading.limits, where, bytes));
  }
  return arrays;
}

/** Orders nodes so that each comes after what it reads; throws when they form a cycle. */
function sorted(nodes: readonly ImportNode[], known: ReadonlySet<string>): ImportNode[] {
  const makers = new Map<string, number>();
  nodes.forEach((node, i) => {
    for (const output of node.outputs) {
      if (output === "") continue;
      if (makers.has(output) || known.has(output))
        throw new OnnxImportError(
          `importOnnx: node '${node.name}' makes '${output}', which is made elsewhere too`,
        );
      makers.set(output, i);
    }
  });
  const makersOf = ({ inputs, captured }: ImportNode): number[] =>
    [...inputs, ...captured].flatMap((name) => makers.get(name) ?? []);
  if (nodes.every((node, i) => makersOf(node).every((maker) => maker < i))) return [...nodes];
  const waiting = nodes.map(() => 0);
  const users = nodes.map((): number[] => []);
  nodes.forEach((node, i) => {
    const before = new Set(makersOf(node));
    waiting[i] = before.size;
    for (const maker of before) (users[maker] as number[]).push(i);
  });
  const ready = nodes.map((_, i) => i).filter((i) => waiting[i] === 0);
  const order: ImportNode[] = [];
  // The list grows while it is walked.
  for (let at = 0; at < ready.length; at++) {
    const i = ready[at] as number;
    order.push(nodes[i] as ImportNode);
    for (const user of users[i] as number[]) {
      waiting[user] = (waiting[user] as number) - 1;
      if (waiting[user] === 0) ready.push(user);
    }
  }
  if (order.length < nodes.length) {
    const stuck = nodes.filter((_, i) => (waiting[i] as number) > 0).map(({ name }) => `'${name}'`);
    throw new OnnxImportError(
      `importOnnx: nodes form a cycle: ${stuck.slice(0, 5).join(", ")}${stuck.length > 5 ? ` and ${stuck.length - 5} more` : ""}`,
    );
  }
  return order;
}

async function readNode(
  proto: NodeProto,
  position: number,
  reading: Reading,
  depth: number,
): Promise<ImportNode> {
  const domain = canonicalDomain(proto.domain);
  const name = proto.name || proto.output.find((output) => output !== "") || `#${position}`;
  const version = reading.versions.get(domain);
  if (version === undefined)
    throw new OnnxImportError(
      `importOnnx: node '${name}' (${proto.opType}) is of domain '${domain}', for which the model states no version`,
    );
  const attributes = new Map<string, AttributeProto>();
  const subgraphs = new Map<string, ImportGraph>();
  for (const attribute of proto.attribute) {
    if (attributes.has(attribute.name))
      throw new OnnxImportError(`importOnnx: node '${name}' has the attribute '${attribute.name}' twice`);
    attributes.set(attribute.name, attribute);
    if (attribute.g) subgraphs.set(attribute.name, await readGraph(attribute.g, reading, depth + 1));
  }
  const captured = [...subgraphs.values()].flatMap(({ free }) => free);
  const { input: inputs, output: outputs, opType: op } = proto;
  return { name, op, domain, version, inputs, outputs, attributes, subgraphs, captured };
}

async function readGraph(proto: GraphProto, reading: Reading, depth = 0): Promise<ImportGraph> {
  if (depth > reading.limits.depth)
    throw new OnnxImportError(
      `importOnnx: subgraphs are nested more than ${reading.limits.depth} deep (limits.depth)`,
    );
  if (proto.node.length > reading.limits.nodes)
    throw new OnnxImportError(
      `importOnnx: ${proto.node.length} nodes, more than ${reading.limits.nodes} (limits.nodes)`,
    );
  const initializers = await readInitializers(proto, reading);
  const seen = new Set<string>();
  // Inputs of subgraphs may go without a type: what is fed to them has one.
  const inputs = proto.input
    .filter(({ name }) => !initializers.has(name))
    .map((input) => {
      if (seen.has(input.name)) throw new OnnxImportError(`importOnnx: input '${input.name}' is there twice`);
      seen.add(input.name);
      return depth > 0
        ? { name: input.name, dtype: "float32" as const }
        : valueInfo(input, "importOnnx: input");
    });
  const nodes: ImportNode[] = [];
  for (const [i, node] of proto.node.entries()) nodes.push(await readNode(node, i, reading, depth));
  const known = new Set([...initializers.keys(), ...seen]);
  const order = sorted(nodes, known);
  const outputs = proto.output.map(({ name }) => name);
  if (outputs.includes("")) throw new OnnxImportError("importOnnx: an output has no name");
  if (new Set(outputs).size < outputs.length)
    throw new OnnxImportError(`importOnnx: outputs [${outputs.join(", ")}] name one twice`);
  const made = new Set([...known, ...nodes.flatMap((node) => node.outputs)]);
  const wanted = [...nodes.flatMap((node) => [...node.inputs, ...node.captured]), ...outputs];
  const free = [...new Set(wanted.filter((name) => name !== "" && !made.has(name)))];
  return { nodes: order, inputs, outputs, initializers, free };
}

/** Names of the nodes that read each value, for messages. */
function readersOf(graph: ImportGraph, name: string): string {
  const readers = graph.nodes.filter(
    ({ inputs, captured }) => inputs.includes(name) || captured.includes(name),
  );
  return readers.length > 0 ? `node '${readers[0]?.name}' (${readers[0]?.op})` : "the list of outputs";
}

/** Makes a parsed model ready for tracing: arrays decoded, nodes in order, every value accounted for. */
export async function readModel(
  model: ModelProto,
  limits: OnnxLimits,
  external: ExternalReader,
): Promise<ImportModel> {
  const versions = new Map(
    model.opsetImport.map(({ domain, version }) => [canonicalDomain(domain), Number(version)]),
  );
  const opset = versions.get("");
  if (opset === undefined)
    throw new OnnxImportError("importOnnx: the model states no version of the ONNX operator set");
  if (opset < MIN_OPSET || opset > MAX_OPSET)
    throw new OnnxImportError(
      `importOnnx: the model is of opset ${opset}; supported are ${MIN_OPSET} to ${MAX_OPSET}`,
    );
  const proto = model.graph as GraphProto;
  const graph = await readGraph(proto, { limits, versions, external });
  const [missing] = graph.free;
  if (missing !== undefined)
    throw new OnnxImportError(
      `importOnnx: ${readersOf(graph, missing)} reads '${missing}', which nothing makes`,
    );
  return {
    graph,
    outputInfo: new Map(proto.output.map((output) => [output.name, valueInfo(output, "importOnnx: output")])),
    opset,
    producer: [model.producerName, model.producerVersion].filter((text) => text !== "").join(" "),
    metadata: Object.fromEntries(model.metadataProps.map(({ key, value }) => [key, value])),
  };
}
