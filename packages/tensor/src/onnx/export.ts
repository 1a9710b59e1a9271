import { create, toBinary } from "@bufbuild/protobuf";
import type { DType } from "../core/ndarray.ts";
import { isNDArray } from "../core/ndarray.ts";
import { asTensor, placeholder, Tensor } from "../core/tensor.ts";
import type { Traced } from "../core/tree.ts";
import { treeEntries, treeMap } from "../core/tree.ts";
import { onnxType } from "./builder.ts";
import type { Weight } from "./export-graph.ts";
import {
  constantNodes,
  halve,
  INPUT,
  live,
  namesRead,
  OUTPUT,
  outerNames,
  rename,
  WEIGHT,
} from "./export-graph.ts";
import { describePolynomial } from "./export-polynomial.ts";
import type { OpenAxis, Sample, Samples } from "./export-samples.ts";
import { OnnxExportError, openInputs, openShape } from "./export-samples.ts";
import { ShapeWriter } from "./export-shapes.ts";
import { lowerToBuilder } from "./lower.ts";
import type { GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from "./onnx_pb.ts";
import {
  ModelProtoSchema,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  ValueInfoProtoSchema,
} from "./onnx_pb.ts";

export { OnnxExportError } from "./export-samples.ts";

/** An input of an exported model: axes with a name have open sizes, equal names equal sizes. */
export interface ExportInput {
  readonly shape: readonly (number | string)[];
  /** Default float32. */
  readonly dtype?: DType;
}

/** What sizes an open axis may have; the defaults are any size from 1 on. */
export interface ExportAxis {
  /** Sizes are multiples of this: a model of stride 16 has whole numbers of positions only then. Default 1. */
  readonly multipleOf?: number;
  readonly minimum?: number;
  /** e.g. the number of stored positions. */
  readonly maximum?: number;
}

export type ExportInputs = Readonly<Record<string, ExportInput>>;

export interface ExportOnnxOptions<P = Record<string, never>, I extends ExportInputs = ExportInputs> {
  readonly inputs: I;
  /** Weights, a tree of arrays; they are stored as initializers under their paths. */
  readonly params?: P;
  readonly axes?: Readonly<Record<string, ExportAxis>>;
  /** Name of the graph. Default "concord". */
  readonly name?: string;
  /** Version of the software that makes the model. */
  readonly producerVersion?: string;
  /** Keys and values that are stored with the model. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** "onnx" (default) keeps to the standard, "onnxruntime" may use operators that only ONNX Runtime has. */
  readonly target?: "onnx" | "onnxruntime";
  /** Element type in which weights are stored; "float16" halves the file, and costs precision. Default "float32". */
  readonly weights?: "float32" | "float16";
}

/** Largest message that protobuf can hold. */
const MAX_BYTES = 2 ** 31 - 1;

/** Sizes to trace at: primes, so that they do not meet sizes of the model by chance. */
const PRIMES = [67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137];
const MAX_AXES = 5;

interface Axis extends OpenAxis {
  /** Two sizes to learn from and one to check, in multiples. */
  readonly units: readonly [number, number, number];
}

function openAxes(options: ExportOnnxOptions<unknown>): Axis[] {
  const shapes = Object.values(options.inputs).map(({ shape }) => shape);
  const names = [...new Set(shapes.flat().filter((n) => typeof n === "string"))];
  const unknown = Object.keys(options.axes ?? {}).filter((name) => !names.includes(name));
  if (unknown.length > 0)
    throw new OnnxExportError(
      `exportOnnx: options.axes names '${unknown.join("', '")}', but no input has such an axis`,
    );
  if (names.length > MAX_AXES)
    throw new OnnxExportError(
      `exportOnnx: ${names.length} axes of open size (${names.join(", ")}), at most ${MAX_AXES} are supported`,
    );
  return names.map((name, i): Axis => {
    const { multipleOf = 1, minimum = 1, maximum = Number.POSITIVE_INFINITY } = options.axes?.[name] ?? {};
    const [least, most] = [Math.ceil(minimum / multipleOf), Math.floor(maximum / multipleOf)];
    if (!Number.isInteger(multipleOf) || multipleOf < 1 || most - Math.max(least, 1) < 2)
      throw new OnnxExportError(
        `exportOnnx: axis '${name}' needs at least three sizes between ${minimum} and ${maximum} that are multiples of ${multipleOf}`,
      );
    const primes = PRIMES.slice(3 * i, 3 * i + 3).map((prime) => prime + Math.max(0, least - 1));
    // At the maximum itself a part of a stored table is the whole, and the graph another one.
    const top = most - 3 >= Math.max(least, 1) ? most - 1 : most;
    const units = primes.every((n) => n < most) ? primes : [top - 2, top - 1, top];
    return { name, multipleOf, units: units as unknown as Axis["units"] };
  });
}

/** A placeholder for each weight; arrays that are one in memory become one. */
function placeWeights<P>(params: P): { readonly tree: Traced<P>; readonly weights: readonly Weight[] } {
  const byData = new Map<unknown, Weight>();
  const tree = treeMap(params, (leaf, path) => {
    if (!isNDArray(leaf))
      throw new OnnxExportError(`exportOnnx: params: '${path}' must be an array, got ${typeof leaf}`);
    const known = byData.get(leaf.data);
    if (known?.array.shape.join() === leaf.shape.join()) return known.tensor;
    const tensor = placeholder(path, leaf);
    if (!known) byData.set(leaf.data, { name: path, array: leaf, tensor });
    else byData.set(Symbol(path), { name: path, array: leaf, tensor });
    return tensor;
  }) as Traced<P>;
  return { tree, weights: [...byData.values()] };
}

type Outputs = Tensor | Readonly<Record<string, Tensor>>;

/** What is exported: gets the weights and the inputs as tensors, returns outputs by name, or one. */
export type ExportFunction<P, I extends ExportInputs = ExportInputs> = (
  params: Traced<P>,
  inputs: { readonly [K in keyof I]: Tensor },
) => Outputs;

/** The graph of the function at one choice of sizes. */
function trace<P, I extends ExportInputs>(
  fn: ExportFunction<P, I>,
  options: ExportOnnxOptions<P, I>,
  params: { readonly tree: Traced<P>; readonly weights: readonly Weight[] },
  sizes: ReadonlyMap<string, number>,
): ModelProto {
  const feeds = Object.entries(options.inputs).map(([name, { shape, dtype = "float32" }]) => {
    const sized = shape.map((n) => (typeof n === "string" ? (sizes.get(n) as number) : n));
    return [name, placeholder(name, { shape: sized, dtype })] as const;
  });
  const result = fn(params.tree, Object.fromEntries(feeds) as { [K in keyof I]: Tensor });
  const outputs = result instanceof Tensor ? { output: result } : result;
  const inputs = new Map([
    ...feeds.map(([name, tensor]): [string, Tensor] => [INPUT + name, tensor]),
    ...params.weights.map(({ name, tensor }): [string, Tensor] => [WEIGHT + name, tensor]),
  ]);
  const named = new Map(
    treeEntries(outputs).map(([path, leaf]) => [OUTPUT + path, asTensor(leaf as Tensor)]),
  );
  const { graph } = lowerToBuilder(inputs, named, { contribOps: options.target === "onnxruntime" });
  return graph.model(options.name ?? "concord");
}

function valueInfo(name: string, dtype: DType | number, shape: readonly (number | string)[]): ValueInfoProto {
  const dim = shape.map((n) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof n === "string" ? { case: "dimParam", value: n } : { case: "dimValue", value: BigInt(n) },
    }),
  );
  const elemType = typeof dtype === "number" ? dtype : onnxType[dtype];
  return create(ValueInfoProtoSchema, { name, type: { tensorType: { elemType, shape: { dim } } } });
}

/** Replaces the constants that depend on open axes by values computed from the sizes of the inputs. */
function openGraph(graph: GraphProto, samples: Samples, options: ExportOnnxOptions<unknown>): NodeProto[] {
  const sources = samples.axes.map(({ name }) => {
    for (const [input, { shape }] of Object.entries(options.inputs)) {
      const axis = shape.indexOf(name);
      if (axis >= 0) return { input: INPUT + input, axis };
    }
    throw new OnnxExportError(`exportOnnx: no input has the axis '${name}'`);
  });
  const writer = new ShapeWriter(samples.axes, sources);
  for (const { node, input, value } of openInputs(samples)) {
    const target = graph.node[node] as NodeProto;
    target.input[input] = writer.value(value, target.opType === "Reshape" && input === 1);
  }
  return writer.nodes;
}

function weightTensor({ name, array }: Weight): TensorProto {
  const { buffer, byteOffset, byteLength } = array.data;
  return create(TensorProtoSchema, {
    name,
    dims: array.shape.map(BigInt),
    dataType: onnxType[array.dtype],
    rawData: new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength),
  });
}

function makeModel<P, I extends ExportInputs>(
  fn: ExportFunction<P, I>,
  options: ExportOnnxOptions<P, I>,
): ModelProto {
  const axes = openAxes(options);
  const params = placeWeights((options.params ?? {}) as P);
  const sample = (units: readonly number[]): Sample => {
    const sizes = axes.map(({ name, multipleOf }, i) => [name, (units[i] as number) * multipleOf] as const);
    return { units, model: trace(fn, options, params, new Map(sizes)) };
  };
  const corners = Array.from({ length: 2 ** axes.length }, (_, corner) =>
    sample(axes.map(({ units }, i) => units[(corner >> i) & 1] as number)),
  );
  const [first] = corners as [Sample];
  const samples = {
    axes,
    corners,
    check: axes.length > 0 ? sample(axes.map(({ units }) => units[2])) : first,
  };
  const { model } = first;
  const graph = model.graph as GraphProto;
  const shapes = openGraph(graph, samples, options);
  const outputs = graph.output.map(({ name, type }) => {
    const shape = openShape(samples, name, name.slice(OUTPUT.length)).map((size) => {
      const text = describePolynomial(
        size,
        axes.map((axis) => unitName(axis)),
      );
      return /^\d+$/.test(text) ? Number(text) : text;
    });
    return valueInfo(name.slice(OUTPUT.length), type?.tensorType?.elemType ?? 0, shape);
  });
  const nodes = live(
    [...shapes, ...graph.node],
    graph.output.map(({ name }) => name),
  );
  const used = namesRead(nodes);
  graph.node = [...constantNodes(graph, used), ...nodes];
  const weights = params.weights.filter(({ name }) => used.has(WEIGHT + name));
  const names = outerNames(graph.node, weights);
  rename(graph.node, names);
  graph.initializer = weights.map(weightTensor);
  graph.input = Object.entries(options.inputs).map(([name, { dtype = "float32", shape }]) =>
    valueInfo(name, dtype, shape),
  );
  graph.output = outputs;
  if (options.weights === "float16") halve(graph);
  model.producerVersion = options.producerVersion ?? "";
  model.metadataProps = Object.entries(options.metadata ?? {}).map(([key, value]) => ({
    $typeName: "onnx.StringStringEntryProto",
    key,
    value,
  }));
  return model;
}

function unitName({ name, multipleOf }: OpenAxis): string {
  return multipleOf === 1 ? name : `${name}/${multipleOf}`;
}

function bytesOf({ initializer }: GraphProto): number {
  return initializer.reduce((total, { rawData }) => total + rawData.length, 0);
}

function encode(model: ModelProto): Uint8Array {
  const stored = bytesOf(model.graph as GraphProto);
  // The structure of any real model fits in what is left.
  if (stored > MAX_BYTES - 2 ** 24)
    throw new OnnxExportError(
      `exportOnnx: the weights take ${stored} bytes, and an ONNX file holds at most 2 GiB; write them to a second file with exportOnnxWithData`,
    );
  return toBinary(ModelProtoSchema, model);
}

/**
 * A function of tensors as an ONNX model: opset 21, IR version 10, standard operators only unless told otherwise.
 * It runs wherever ONNX does; nothing of this library is needed.
 *
 *   const bytes = exportOnnx((params, { image }) => ({ embedding: encoder(params, image) }), {
 *     inputs: { image: { shape: ["batch", 3, 224, 224] } },
 *     params: trainer.state().params,
 *   });
 *
 * Graphs have fixed sizes here. For axes with a name the function is traced at several sizes and the graphs are
 * compared: what differs must be integers (shapes, bounds) that are multilinear functions of the sizes, and is
 * replaced by nodes that compute them from the inputs.
 *
 * @param fn  gets the weights and the inputs as tensors, returns outputs by name, or one, which is called "output"
 * @throws OnnxExportError that names the node and the axis where anything else depends on an open axis
 */
export function exportOnnx<P = Record<string, never>, const I extends ExportInputs = ExportInputs>(
  fn: ExportFunction<P, I>,
  options: ExportOnnxOptions<P, I>,
): Uint8Array {
  return encode(makeModel(fn, options));
}

/** A model whose larger weights lie in a second file. */
export interface OnnxFiles {
  readonly model: Uint8Array;
  /** Contents of the file `location`, to be stored beside the model. */
  readonly data: Uint8Array;
}

/** Smaller weights stay in the model. */
const EXTERNAL_FROM = 1024;
/** Weights in the second file begin at multiples of this, so that runtimes can map them into memory. */
const PAGE = 4096;

/**
 * As `exportOnnx`, with the weights in a second file: models of more than 2 GiB need that.
 *
 * @param options.location  name of the second file, relative to the model's folder
 */
export function exportOnnxWithData<P = Record<string, never>, const I extends ExportInputs = ExportInputs>(
  fn: ExportFunction<P, I>,
  options: ExportOnnxOptions<P, I> & { readonly location: string },
): OnnxFiles {
  const model = makeModel(fn, options);
  const { initializer } = model.graph as GraphProto;
  const large = initializer.filter(({ rawData }) => rawData.length >= EXTERNAL_FROM);
  let end = 0;
  const places = large.map(({ rawData }) => {
    const offset = Math.ceil(end / PAGE) * PAGE;
    end = offset + rawData.length;
    return offset;
  });
  const data = new Uint8Array(end);
  large.forEach((tensor, i) => {
    const [offset, length] = [places[i] as number, tensor.rawData.length];
    data.set(tensor.rawData, offset);
    tensor.rawData = new Uint8Array(0);
    tensor.dataLocation = 1;
    tensor.externalData = Object.entries({ location: options.location, offset, length }).map(
      ([key, value]) => ({
        $typeName: "onnx.StringStringEntryProto",
        key,
        value: String(value),
      }),
    );
  });
  return { model: encode(model), data };
}
