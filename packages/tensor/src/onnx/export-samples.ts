import type { Polynomial } from "./export-polynomial.ts";
import { evaluatePolynomial, interpolate } from "./export-polynomial.ts";
import type { ModelProto, NodeProto, TensorProto } from "./onnx_pb.ts";

/** A function that cannot become an ONNX file, or not with axes of open size. */
export class OnnxExportError extends Error {
  override readonly name = "OnnxExportError";
}

/** An axis of open size. */
export interface OpenAxis {
  readonly name: string;
  /** Sizes are multiples of this. */
  readonly multipleOf: number;
}

/** The graph at one choice of sizes, which are counted in multiples. */
export interface Sample {
  readonly units: readonly number[];
  readonly model: ModelProto;
}

/** A list of integers that depends on open axes: each entry as a function of their sizes. */
export interface OpenConstant {
  readonly kind: "integers";
  readonly dataType: number;
  readonly scalar: boolean;
  readonly entries: readonly Polynomial[];
}

/** An array of an open shape that holds one value everywhere, or in one axis the numbers from 0 on. */
export interface OpenFilling {
  readonly kind: "filled" | "range";
  readonly dataType: number;
  readonly value: number;
  readonly shape: readonly Polynomial[];
}

export type OpenValue = OpenConstant | OpenFilling;

/** Where a graph takes a constant that depends on open axes. */
export interface OpenInput {
  readonly node: number;
  readonly input: number;
  readonly value: OpenValue;
}

/**
 * The graph at each corner of a box of sizes, and at one point beyond, which checks what the corners suggest. Corner i
 * has axis k at its upper end when bit k of i is set.
 */
export interface Samples {
  readonly axes: readonly OpenAxis[];
  readonly corners: readonly Sample[];
  readonly check: Sample;
}

const INT32 = 6;
const INT64 = 7;

const readers: Readonly<Record<number, (buffer: ArrayBuffer) => ArrayLike<number | bigint>>> = {
  1: (b) => new Float32Array(b),
  2: (b) => new Uint8Array(b),
  [INT32]: (b) => new Int32Array(b),
  [INT64]: (b) => new BigInt64Array(b),
  9: (b) => new Uint8Array(b),
  11: (b) => new Float64Array(b),
};

function numbersOf({ dataType, rawData }: TensorProto): number[] {
  const read = readers[dataType];
  if (!read) throw new OnnxExportError(`exportOnnx: a constant of ONNX type ${dataType} depends on an axis`);
  return Array.from(read(new Uint8Array(rawData).buffer), Number);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.buffer === b.buffer && a.byteOffset === b.byteOffset && a.length === b.length) return true;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function sameTensor(a: TensorProto, b: TensorProto): boolean {
  return a.dataType === b.dataType && a.dims.join() === b.dims.join() && sameBytes(a.rawData, b.rawData);
}

function describe(node: NodeProto): string {
  return `node '${node.name}' (${node.opType})`;
}

/** The values of a quantity at all samples as a function of the sizes. */
function fit(
  samples: Samples,
  of: (sample: Sample, index: number) => number,
  what: () => string,
): Polynomial {
  const { corners, check } = samples;
  const [low, high] = [corners[0] as Sample, corners.at(-1) as Sample];
  const values = corners.map(of);
  const polynomial = interpolate(values, low.units, high.units);
  const expected = polynomial && evaluatePolynomial(polynomial, check.units);
  const found = of(check, corners.length);
  if (!polynomial || expected !== found)
    throw new OnnxExportError(
      `${what()} is ${[...values, found].join(", ")} at ${describeSizes(samples)}: that is no whole-numbered multilinear function of the sizes`,
    );
  return polynomial;
}

function describeSizes({ axes, corners, check }: Samples): string {
  return axes
    .map(
      ({ name, multipleOf }, i) =>
        `${name} = ${[...corners, check].map(({ units }) => (units[i] as number) * multipleOf).join(", ")}`,
    )
    .join("; ");
}

/** Names of the axes on which something depends that is told apart by `same`. */
function dependsOn({ axes, corners }: Samples, same: (a: number, b: number) => boolean): string {
  const names = axes.filter((_, k) => corners.some((_, i) => !((i >> k) & 1) && !same(i, i | (1 << k))));
  return (names.length > 0 ? names : axes).map(({ name }) => `'${name}'`).join(" and ");
}

function openValue(samples: Samples, tensors: readonly TensorProto[], where: string): OpenValue {
  const [first] = tensors as [TensorProto];
  const axes = dependsOn(samples, (i, j) => sameTensor(tensors[i] as TensorProto, tensors[j] as TensorProto));
  const values = tensors.map(numbersOf);
  const rank = first.dims.length;
  if (tensors.some(({ dims, dataType }) => dims.length !== rank || dataType !== first.dataType))
    throw new OnnxExportError(`${where} changes its type or number of axes with ${axes}`);
  const sameShape = tensors.every(({ dims }) => dims.join() === first.dims.join());
  const integer = first.dataType === INT64 || first.dataType === INT32;
  if (sameShape && integer && rank <= 1) {
    const entries = (values[0] as number[]).map((_, k) =>
      fit(
        samples,
        (_, i) => values[i]?.[k] as number,
        () => `${where}, entry ${k},`,
      ),
    );
    return { kind: "integers", dataType: first.dataType, scalar: rank === 0, entries };
  }
  const shape = first.dims.map((_, k) =>
    fit(
      samples,
      (_, i) => Number(tensors[i]?.dims[k]),
      () => `${where}: size of axis ${k}`,
    ),
  );
  const value = values[0]?.[0] ?? 0;
  if (values.every((list) => list.every((v) => v === value)))
    return { kind: "filled", dataType: first.dataType, value, shape };
  if (rank === 1 && values.every((list) => list.every((v, i) => v === i)))
    return { kind: "range", dataType: first.dataType, value: 0, shape };
  throw new OnnxExportError(
    `${where} holds values that depend on ${axes}; compute them in the function from tensors or shapes, or fix the size of ${axes}`,
  );
}

function sameAttributes(a: NodeProto, b: NodeProto): boolean {
  const encode = ({ attribute }: NodeProto): string =>
    JSON.stringify(attribute, (_, value) => (typeof value === "bigint" ? `${value}n` : value));
  return encode(a) === encode(b);
}

function checkSameNode(samples: Samples, nodes: readonly NodeProto[], constants: readonly Constants[]): void {
  const [first] = nodes as [NodeProto];
  const kind = (node: NodeProto, i: number): string =>
    [
      node.domain,
      node.opType,
      ...node.input.map((name) => (constants[i]?.has(name) ? "constant" : name)),
      ...node.output,
    ].join();
  const differs = nodes.findIndex((node, i) => kind(node, i) !== kind(first, 0));
  if (differs >= 0) {
    const axes = dependsOn(
      samples,
      (i, j) => kind(nodes[i] as NodeProto, i) === kind(nodes[j] as NodeProto, j),
    );
    throw new OnnxExportError(
      `exportOnnx: the graph changes with ${axes}: ${describe(first)} at some sizes is ${describe(nodes[differs] as NodeProto)} at others; keep what the function does independent of the size, or fix the size of ${axes}`,
    );
  }
  if (nodes.some((node) => !sameAttributes(node, first)))
    throw new OnnxExportError(
      `exportOnnx: an attribute of ${describe(first)} depends on ${dependsOn(samples, (i, j) => sameAttributes(nodes[i] as NodeProto, nodes[j] as NodeProto))}; ONNX has no attributes of open size, so fix it`,
    );
}

type Constants = ReadonlyMap<string, TensorProto>;

/**
 * Compares the graph at different sizes node by node and finds the constants that depend on them.
 *
 * @throws OnnxExportError for every difference that ONNX cannot express, naming the node and the axes
 */
export function openInputs(samples: Samples): OpenInput[] {
  const all = [...samples.corners, samples.check];
  const graphs = all.map(({ model }) => model.graph as NonNullable<ModelProto["graph"]>);
  const constants = graphs.map(
    (graph): Constants => new Map(graph.initializer.map((tensor) => [tensor.name, tensor])),
  );
  const [first] = graphs as [(typeof graphs)[0]];
  const found: OpenInput[] = [];
  first.node.forEach((node, i) => {
    const nodes = graphs.map((graph) => graph.node[i]);
    const present = nodes.filter((other) => other !== undefined);
    if (present.length < nodes.length)
      throw new OnnxExportError(
        `exportOnnx: the graph has ${graphs.map((graph) => graph.node.length).join(", ")} nodes at ${describeSizes(samples)}; keep what the function does independent of the size`,
      );
    checkSameNode(samples, present, constants);
    node.input.forEach((name, input) => {
      if (!constants[0]?.has(name)) return;
      const tensors = present.map(
        (other, k) => constants[k]?.get(other.input[input] as string) as TensorProto,
      );
      if (tensors.every((tensor) => sameTensor(tensor, tensors[0] as TensorProto))) return;
      const where = `exportOnnx: the constant input ${input} of ${describe(node)}`;
      found.push({ node: i, input, value: openValue(samples, tensors, where) });
    });
  });
  return found;
}

/**
 * Sizes of an output's axes as functions of the open ones.
 *
 * @param output  its name in the graphs
 * @param shown   its name for the caller
 */
export function openShape(samples: Samples, output: string, shown: string): Polynomial[] {
  const shapes = [...samples.corners, samples.check].map(({ model }) => {
    const info = model.graph?.output.find(({ name }) => name === output);
    return (info?.type?.tensorType?.shape?.dim ?? []).map(({ value }) => Number(value.value));
  });
  return (shapes[0] as number[]).map((_, k) =>
    fit(
      samples,
      (_, i) => shapes[i]?.[k] as number,
      () => `exportOnnx: axis ${k} of output '${shown}'`,
    ),
  );
}
