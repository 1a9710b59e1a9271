import type { DType, NDArray, TypedArray } from "../../core/ndarray.ts";
import { allocate } from "../../core/ndarray.ts";
import type { TensorProto } from "../onnx_pb.ts";
import { OnnxImportError } from "./errors.ts";
import { brainFloatsToFloats, halvesToFloats } from "./half.ts";
import type { OnnxLimits } from "./limits.ts";

interface ElementType {
  readonly name: string;
  /** How values of this type are held here. */
  readonly dtype: DType;
  /** Bytes of one element in a file. */
  readonly bytes: number;
  readonly read: (buffer: ArrayBuffer) => ArrayLike<number | bigint>;
}

/** Element types by their ONNX codes. Types that the engine lacks are widened to one that holds all their values. */
const elementTypes: Readonly<Record<number, ElementType>> = {
  1: { name: "float32", dtype: "float32", bytes: 4, read: (b) => new Float32Array(b) },
  2: { name: "uint8", dtype: "uint8", bytes: 1, read: (b) => new Uint8Array(b) },
  3: { name: "int8", dtype: "int32", bytes: 1, read: (b) => new Int8Array(b) },
  4: { name: "uint16", dtype: "int32", bytes: 2, read: (b) => new Uint16Array(b) },
  5: { name: "int16", dtype: "int32", bytes: 2, read: (b) => new Int16Array(b) },
  6: { name: "int32", dtype: "int32", bytes: 4, read: (b) => new Int32Array(b) },
  7: { name: "int64", dtype: "int64", bytes: 8, read: (b) => new BigInt64Array(b) },
  9: { name: "bool", dtype: "bool", bytes: 1, read: (b) => new Uint8Array(b).map((v) => Number(v !== 0)) },
  10: { name: "float16", dtype: "float32", bytes: 2, read: (b) => halvesToFloats(new Uint16Array(b)) },
  11: { name: "float64", dtype: "float64", bytes: 8, read: (b) => new Float64Array(b) },
  12: { name: "uint32", dtype: "int64", bytes: 4, read: (b) => new Uint32Array(b) },
  13: { name: "uint64", dtype: "int64", bytes: 8, read: (b) => new BigInt64Array(b) },
  16: { name: "bfloat16", dtype: "float32", bytes: 2, read: (b) => brainFloatsToFloats(new Uint16Array(b)) },
};

const otherTypes: Readonly<Record<number, string>> = {
  0: "no type",
  8: "string",
  14: "complex64",
  15: "complex128",
  17: "float8e4m3fn",
  18: "float8e4m3fnuz",
  19: "float8e5m2",
  20: "float8e5m2fnuz",
  21: "uint4",
  22: "int4",
  23: "float4e2m1",
};

/** The element type with an ONNX code; throws for those that no tensor can have. */
export function elementType(code: number, where: string): ElementType {
  const type = elementTypes[code];
  if (!type)
    throw new OnnxImportError(
      `${where} has element type ${otherTypes[code] ?? code}; supported are ${Object.values(elementTypes)
        .map(({ name }) => name)
        .join(", ")}`,
    );
  return type;
}

/** Axes that a tensor may have; no real model needs more. */
export const MAX_RANK = 32;

/** Sizes of axes as numbers; throws when one is negative or their product above what is allowed. */
export function checkDims(dims: readonly bigint[], limits: OnnxLimits, where: string): number[] {
  if (dims.length > MAX_RANK)
    throw new OnnxImportError(`${where} has ${dims.length} axes, more than ${MAX_RANK}`);
  const shape = dims.map(Number);
  const zero = shape.includes(0);
  let size = 1;
  for (const n of shape) {
    if (n < 0) throw new OnnxImportError(`${where} has a negative size in its shape [${dims.join(", ")}]`);
    // Sizes beside a 0 must be small too: later shapes may leave the 0 out.
    size *= zero ? Math.max(n, 1) : n;
  }
  if (size > limits.elements)
    throw new OnnxImportError(
      `${where} has shape [${dims.join(", ")}], more than ${limits.elements} elements (limits.elements)`,
    );
  return shape;
}

/** Where the bytes of a tensor lie outside of the model file. */
export interface ExternalLocation {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

function exactInteger(text: string | undefined, fallback: number, what: string): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new OnnxImportError(`${what} is '${text}', expected a whole number of bytes`);
  return value;
}

/** Where a tensor's data lies, if it is in another file; its length must be what the shape needs. */
export function externalLocation(
  proto: TensorProto,
  limits: OnnxLimits,
  where: string,
): ExternalLocation | undefined {
  if (proto.dataLocation !== 1) return undefined;
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get("location");
  if (location === undefined) throw new OnnxImportError(`${where} is said to lie in a file without a name`);
  const shape = checkDims(proto.dims, limits, where);
  const needed = shape.reduce((a, b) => a * b, 1) * elementType(proto.dataType, where).bytes;
  const offset = exactInteger(entries.get("offset"), 0, `${where}: the offset in '${location}'`);
  const length = exactInteger(entries.get("length"), needed, `${where}: the length in '${location}'`);
  if (length !== needed)
    throw new OnnxImportError(
      `${where} takes ${length} bytes of '${location}', but its shape [${shape.join(", ")}] needs ${needed}`,
    );
  return { location, offset, length };
}

/** A copy that starts its buffer. Not by `slice`, which in Node's Buffer is a view of the same memory. */
function aligned(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

/** The field in which numbers stand that are not stored as raw bytes. */
function listed(proto: TensorProto, type: ElementType): ArrayLike<number | bigint> {
  const { name } = type;
  if (name === "float32") return proto.floatData;
  if (name === "float64") return proto.doubleData;
  if (name === "int64") return proto.int64Data;
  if (name === "uint64" || name === "uint32") return proto.uint64Data;
  if (name === "float16") return halvesToFloats(Uint16Array.from(proto.int32Data));
  if (name === "bfloat16") return brainFloatsToFloats(Uint16Array.from(proto.int32Data));
  if (name === "bool") return proto.int32Data.map((v) => Number(v !== 0));
  return proto.int32Data;
}

/**
 * The array that a TensorProto holds.
 *
 * @param external  the bytes of its data if they lie in another file
 */
export function decodeTensor(
  proto: TensorProto,
  limits: OnnxLimits,
  where: string,
  external?: Uint8Array,
): NDArray {
  const type = elementType(proto.dataType, where);
  const shape = checkDims(proto.dims, limits, where);
  const size = shape.reduce((a, b) => a * b, 1);
  if (proto.dataLocation === 1 && !external)
    throw new OnnxImportError(`${where} lies in another file, which is allowed for initializers only`);
  const raw = external ?? (proto.rawData.length > 0 ? proto.rawData : undefined);
  const found = raw ? raw.length / type.bytes : undefined;
  if (found !== undefined && found !== size)
    throw new OnnxImportError(
      `${where} has shape [${shape.join(", ")}] of ${type.name}, which needs ${size * type.bytes} bytes, but ${raw?.length} are there`,
    );
  const values = raw ? type.read(aligned(raw)) : listed(proto, type);
  if (values.length !== size)
    throw new OnnxImportError(
      `${where} has shape [${shape.join(", ")}], which needs ${size} values, but ${values.length} are there`,
    );
  return { dtype: type.dtype, shape, data: converted(values, type.dtype) } as NDArray;
}

function converted(values: ArrayLike<number | bigint>, dtype: DType): TypedArray {
  const data = allocate(dtype, 0);
  if (ArrayBuffer.isView(values) && values.constructor === data.constructor)
    return values as unknown as TypedArray;
  const result = allocate(dtype, values.length) as { [index: number]: number | bigint } & TypedArray;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number | bigint;
    result[i] = dtype === "int64" ? BigInt.asIntN(64, BigInt(value)) : Number(value);
  }
  return result;
}
