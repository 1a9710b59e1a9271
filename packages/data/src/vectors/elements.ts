/** An element type of a binary file, and how its bytes become numbers. */
export interface ElementType {
  /** NumPy's name, e.g. `float16`. */
  readonly name: string;
  readonly bytes: number;
  /**
   * Numbers from bytes that begin at an address divisible by the size of an element. 64-bit integers beyond 2^53
   * lose their last digits.
   */
  view(bytes: Uint8Array<ArrayBuffer>): ArrayLike<number>;
}

type NumberArray =
  | Int8ArrayConstructor
  | Uint8ArrayConstructor
  | Int16ArrayConstructor
  | Uint16ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | Float32ArrayConstructor
  | Float64ArrayConstructor;

function numbers(name: string, type: NumberArray): ElementType {
  const size = type.BYTES_PER_ELEMENT;
  return {
    name,
    bytes: size,
    view: (bytes) => new type(bytes.buffer, bytes.byteOffset, bytes.byteLength / size),
  };
}

function bigNumbers(name: string, type: BigInt64ArrayConstructor | BigUint64ArrayConstructor): ElementType {
  return {
    name,
    bytes: 8,
    view(bytes) {
      const wide = new type(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
      const result = new Float64Array(wide.length);
      for (let i = 0; i < wide.length; i++) result[i] = Number(wide[i]);
      return result;
    },
  };
}

/** Value of each of the 65 536 half-precision numbers (IEEE 754 binary16). */
let halfValues: Float32Array | undefined;

function halves(): Float32Array {
  if (halfValues) return halfValues;
  halfValues = new Float32Array(65_536);
  for (let bits = 0; bits < 65_536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0) halfValues[bits] = sign * fraction * 2 ** -24;
    else if (exponent === 31) halfValues[bits] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else halfValues[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return halfValues;
}

const float16: ElementType = {
  name: "float16",
  bytes: 2,
  view(bytes) {
    const table = halves();
    const bits = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
    const result = new Float32Array(bits.length);
    for (let i = 0; i < bits.length; i++) result[i] = table[bits[i] as number] as number;
    return result;
  },
};

/** The upper half of a float32. */
const bfloat16: ElementType = {
  name: "bfloat16",
  bytes: 2,
  view(bytes) {
    const bits = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
    const wide = new Uint32Array(bits.length);
    for (let i = 0; i < bits.length; i++) wide[i] = (bits[i] as number) << 16;
    return new Float32Array(wide.buffer);
  },
};

const types = {
  bool: { ...numbers("bool", Uint8Array) },
  int8: numbers("int8", Int8Array),
  uint8: numbers("uint8", Uint8Array),
  int16: numbers("int16", Int16Array),
  uint16: numbers("uint16", Uint16Array),
  int32: numbers("int32", Int32Array),
  uint32: numbers("uint32", Uint32Array),
  int64: bigNumbers("int64", BigInt64Array),
  uint64: bigNumbers("uint64", BigUint64Array),
  float16,
  bfloat16,
  float32: numbers("float32", Float32Array),
  float64: numbers("float64", Float64Array),
};

/** By the type code of NumPy's array protocol, without byte order. */
export const numpyTypes: ReadonlyMap<string, ElementType> = new Map([
  ["b1", types.bool],
  ["i1", types.int8],
  ["u1", types.uint8],
  ["i2", types.int16],
  ["u2", types.uint16],
  ["i4", types.int32],
  ["u4", types.uint32],
  ["i8", types.int64],
  ["u8", types.uint64],
  ["f2", types.float16],
  ["f4", types.float32],
  ["f8", types.float64],
]);

/** By the names of the safetensors format. */
export const safetensorsTypes: ReadonlyMap<string, ElementType> = new Map([
  ["BOOL", types.bool],
  ["I8", types.int8],
  ["U8", types.uint8],
  ["I16", types.int16],
  ["U16", types.uint16],
  ["I32", types.int32],
  ["U32", types.uint32],
  ["I64", types.int64],
  ["U64", types.uint64],
  ["F16", types.float16],
  ["BF16", types.bfloat16],
  ["F32", types.float32],
  ["F64", types.float64],
]);

/** Reverses the bytes of each element in place. */
export function swapBytes(bytes: Uint8Array, size: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else if (size === 8) buffer.swap64();
}
