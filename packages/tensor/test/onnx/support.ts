import { readFile } from "node:fs/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as ort from "onnxruntime-node";
import { expect } from "vitest";
import type { DType, ExportOnnxOptions, NDArray, OnnxLayer, Tensor } from "../../src/index.ts";
import { compile, exportOnnx, importOnnx, isFloat, ndarray, sizeOf, toNumbers } from "../../src/index.ts";
import { onnxType } from "../../src/onnx/builder.ts";
import type { GraphProto, ModelProto, TensorProto } from "../../src/onnx/onnx_pb.ts";
import {
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from "../../src/onnx/onnx_pb.ts";

export type AttributeInput =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly tensor: NDArray }
  | { readonly graph: GraphProto };

export interface NodeInput {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  readonly domain?: string;
  readonly name?: string;
}

export interface GraphInput {
  readonly nodes: readonly NodeInput[];
  readonly inputs?: Readonly<
    Record<string, { readonly dtype?: DType; readonly shape: readonly (number | string)[] }>
  >;
  readonly outputs: readonly string[];
  readonly initializers?: Readonly<Record<string, NDArray>>;
}

export function tensorProto(name: string, { dtype, shape, data }: NDArray): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: shape.map(BigInt),
    dataType: onnxType[dtype],
    rawData: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength),
  });
}

function attribute(name: string, value: AttributeInput) {
  const text = (s: string): Uint8Array => new TextEncoder().encode(s);
  const fields =
    typeof value === "number"
      ? { type: 2, i: BigInt(value) }
      : typeof value === "string"
        ? { type: 3, s: text(value) }
        : "floats" in value
          ? { type: 6, floats: [...value.floats] }
          : "float" in value
            ? { type: 1, f: value.float }
            : "tensor" in value
              ? { type: 4, t: tensorProto("", value.tensor) }
              : "graph" in value
                ? { type: 5, g: value.graph }
                : typeof value[0] === "string"
                  ? { type: 8, strings: (value as readonly string[]).map(text) }
                  : { type: 7, ints: (value as readonly number[]).map(BigInt) };
  return create(AttributeProtoSchema, { name, ...fields });
}

function info(name: string, dtype: DType, shape?: readonly (number | string)[]) {
  const dim = shape?.map((n) => ({
    value:
      typeof n === "number"
        ? { case: "dimValue" as const, value: BigInt(n) }
        : { case: "dimParam" as const, value: n },
  }));
  return create(ValueInfoProtoSchema, {
    name,
    type: { tensorType: { elemType: onnxType[dtype], ...(dim && { shape: { dim } }) } },
  });
}

/** A graph written out by hand. Outputs are declared as float32 of unknown shape unless `outputTypes` says otherwise. */
export function graphOf(graph: GraphInput, outputTypes: Readonly<Record<string, DType>> = {}): GraphProto {
  return create(GraphProtoSchema, {
    name: "test",
    node: graph.nodes.map((node, i) => ({
      $typeName: "onnx.NodeProto" as const,
      name: node.name ?? `n${i}`,
      opType: node.op,
      domain: node.domain ?? "",
      input: [...node.inputs],
      output: [...node.outputs],
      attribute: Object.entries(node.attributes ?? {}).map(([name, value]) => attribute(name, value)),
      docString: "",
      overload: "",
    })),
    initializer: Object.entries(graph.initializers ?? {}).map(([name, value]) => tensorProto(name, value)),
    input: Object.entries(graph.inputs ?? {}).map(([name, { dtype, shape }]) =>
      info(name, dtype ?? "float32", shape),
    ),
    output: graph.outputs.map((name) => info(name, outputTypes[name] ?? "float32")),
  });
}

export function modelOf(
  graph: GraphProto,
  opset = 17,
  domains: Readonly<Record<string, number>> = {},
): ModelProto {
  return create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: Object.entries({ "": opset, ...domains }).map(([domain, version]) => ({
      $typeName: "onnx.OperatorSetIdProto" as const,
      domain,
      version: BigInt(version),
    })),
    graph,
  });
}

export function bytesOf(model: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, model);
}

/** Runs a model with ONNX Runtime alone. */
export async function runOrt(
  model: Uint8Array,
  feeds: Readonly<Record<string, NDArray>>,
): Promise<Record<string, NDArray>> {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const tensors = Object.entries(feeds).map(([name, { dtype, data, shape }]) => [
    name,
    new ort.Tensor(dtype, data as Float32Array, shape),
  ]);
  const results = await session.run(Object.fromEntries(tensors));
  const arrays = Object.entries(results).map(([name, { type, dims, data }]) => [
    name,
    { dtype: type as DType, shape: [...dims], data } as NDArray,
  ]);
  await session.release();
  return Object.fromEntries(arrays);
}

/** Runs an imported layer. */
export async function runLayer(
  layer: OnnxLayer,
  feeds: Readonly<Record<string, NDArray>>,
  params: Readonly<Record<string, NDArray>> = layer.params,
): Promise<Record<string, NDArray>> {
  const run = compile((p: Record<string, Tensor>, f: Record<string, Tensor>) => layer.apply(p, f));
  return await run(params, feeds);
}

/** Largest distance of two arrays, relative to the largest value where that is above 1. */
export function distance(a: NDArray, b: NDArray): number {
  expect(a.shape).toEqual(b.shape);
  const [left, right] = [toNumbers(a), toNumbers(b)];
  const scale = Math.max(1, ...right.map((v) => (Number.isFinite(v) ? Math.abs(v) : 0)));
  return Math.max(
    0,
    ...left.map((v, i) => (Object.is(v, right[i]) ? 0 : Math.abs(v - (right[i] as number)) / scale)),
  );
}

/** Imports a model and demands ONNX Runtime's own results. */
export async function expectSameAsOrt(
  model: Uint8Array,
  feeds: Readonly<Record<string, NDArray>>,
  tolerance = 1e-5,
): Promise<void> {
  const expected = await runOrt(model, feeds);
  const found = await runLayer(await importOnnx(model), feeds);
  for (const [name, array] of Object.entries(expected)) {
    expect(found[name]?.dtype, name).toBe(array.dtype);
    expect(distance(found[name] as NDArray, array), name).toBeLessThanOrEqual(tolerance);
  }
}

/** Numbers that look random and are the same every time: shape to array. */
export function numbers(shape: readonly number[], seed = 1, dtype: DType = "float32"): NDArray {
  const values = Array.from({ length: sizeOf(shape) }, (_, i) => {
    const v = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 2;
    return isFloat(dtype) ? v : Math.floor(Math.abs(v) * 3);
  });
  return ndarray(values, { shape, dtype });
}

export const fixtures = new URL("fixtures/", import.meta.url);

export async function fixture(name: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(new URL(name, fixtures)));
}

/** Arrays of a safetensors file by their names. */
export async function recorded(name: string): Promise<Map<string, NDArray>> {
  const bytes = await fixture(`${name}.safetensors`);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<
    string,
    { dtype: "F32" | "I64"; shape: number[]; data_offsets: [number, number] }
  >;
  return new Map(
    Object.entries(header).map(
      ([
        key,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        const buffer = bytes.slice(8 + length + from, 8 + length + to).buffer;
        return [
          key,
          dtype === "F32"
            ? { dtype: "float32", shape, data: new Float32Array(buffer) }
            : { dtype: "int64", shape, data: new BigInt64Array(buffer) },
        ];
      },
    ),
  );
}

export type Inputs = Record<string, Tensor>;
/** A function to export: parameters and inputs to outputs by their names. */
export type Fn<P> = (params: P, inputs: Inputs) => Record<string, Tensor>;

export function parseModel(bytes: Uint8Array): ModelProto {
  return fromBinary(ModelProtoSchema, bytes);
}

/** What the engine computes. */
export async function runEngine(
  fn: Fn<never>,
  params: unknown,
  feeds: Record<string, NDArray>,
): Promise<Record<string, NDArray>> {
  return await compile((p: never, inputs: Inputs) => fn(p, inputs))(params as never, feeds);
}

/** Exports, runs with ONNX Runtime at several sizes, and demands what the engine computes at each of them. */
export async function expectEqualAtSizes<P>(
  fn: Fn<never>,
  options: ExportOnnxOptions<P>,
  sizes: readonly Readonly<Record<string, number>>[],
): Promise<Uint8Array> {
  const model = exportOnnx(fn as never, options);
  for (const [i, size] of sizes.entries()) {
    const feeds = Object.fromEntries(
      Object.entries(options.inputs).map(([name, { shape, dtype }]) => [
        name,
        numbers(
          shape.map((n) => (typeof n === "string" ? (size[n] as number) : n)),
          i + 1,
          dtype,
        ),
      ]),
    );
    const found = await runOrt(model, feeds);
    const expected = await runEngine(fn as never, options.params ?? {}, feeds);
    expect(Object.keys(found)).toEqual(Object.keys(expected));
    for (const [name, array] of Object.entries(expected))
      expect(distance(found[name] as NDArray, array), `${name} at ${JSON.stringify(size)}`).toBeLessThan(
        1e-5,
      );
  }
  return model;
}
