/** Element types that tensors can have. `float64` exists for numerical checks and runs on the CPU only. */
export type DType = "float32" | "float64" | "int32" | "int64" | "uint8" | "bool";

export interface TypedArrays {
  float32: Float32Array;
  float64: Float64Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  /** One byte an element: 0 or 1. */
  bool: Uint8Array;
}

export type TypedArray = TypedArrays[DType];

/** A concrete array in memory: row-major data with a shape. The unit in which values enter and leave the engine. */
export interface NDArray<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: TypedArrays[D];
}

const constructors: { readonly [D in DType]: new (length: number) => TypedArrays[D] } = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

export const bytesPerElement: { readonly [D in DType]: number } = {
  float32: 4,
  float64: 8,
  int32: 4,
  int64: 8,
  uint8: 1,
  bool: 1,
};

/** Whether a dtype has fractions, and so gradients. */
export function isFloat(dtype: DType): dtype is "float32" | "float64" {
  return dtype === "float32" || dtype === "float64";
}

const integerLimits = {
  int32: [-(2 ** 31), 2 ** 31],
  int64: [-(2 ** 63), 2 ** 63],
  uint8: [0, 2 ** 8],
} as const;

/** Whether a dtype can hold a number; floats round, booleans tell 0 from the rest, integers must be exact. */
export function holds(dtype: DType, value: number): boolean {
  if (isFloat(dtype) || dtype === "bool") return true;
  const [low, end] = integerLimits[dtype];
  return Number.isInteger(value) && value >= low && value < end;
}

/** Number of elements of an array of this shape. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const n of shape) size *= n;
  return size;
}

/** A zero-filled typed array for `length` elements of a dtype. */
export function allocate<D extends DType>(dtype: D, length: number): TypedArrays[D] {
  return new constructors[dtype](length);
}

/** An array of zeros. */
export function zerosArray<D extends DType = "float32">(shape: readonly number[], dtype?: D): NDArray<D> {
  const type = (dtype ?? "float32") as D;
  return { dtype: type, shape: [...shape], data: allocate(type, sizeOf(shape)) };
}

type Nested = number | boolean | readonly Nested[];

/**
 * An array from (nested) numbers or from a typed array. As booleans, all numbers but 0 are true.
 *
 * @throws RangeError when nested lists are ragged, when the data does not fill the shape, or when a number is not
 *   one of the integers that an integer dtype holds
 */
export function ndarray<D extends DType = "float32">(
  values: Nested | Iterable<number>,
  options: { readonly shape?: readonly number[]; readonly dtype?: D } = {},
): NDArray<D> {
  const dtype = (options.dtype ?? "float32") as D;
  const flat: number[] = [];
  const found: number[] = [];
  let leafDepth: number | undefined;
  const visit = (value: Nested, depth: number): void => {
    if (typeof value === "number" || typeof value === "boolean") {
      leafDepth ??= depth;
      if (leafDepth !== depth)
        throw new RangeError(`ndarray: ragged nesting: numbers at depths ${leafDepth} and ${depth}`);
      flat.push(Number(value));
      return;
    }
    if (found.length === depth) found.push(value.length);
    else if (found[depth] !== value.length) {
      throw new RangeError(
        `ndarray: ragged nesting at depth ${depth}: lengths ${found[depth]} and ${value.length}`,
      );
    }
    for (const item of value) visit(item, depth + 1);
  };
  if (typeof values === "object" && !Array.isArray(values)) {
    for (const value of values as Iterable<number>) flat.push(Number(value));
    found.push(flat.length);
  } else visit(values as Nested, 0);
  const shape = options.shape ?? found;
  if (sizeOf(shape) !== flat.length || shape.some((n) => !Number.isInteger(n) || n < 0)) {
    throw new RangeError(`ndarray: ${flat.length} values do not fill shape [${shape.join(", ")}]`);
  }
  const data = allocate(dtype, flat.length);
  for (let i = 0; i < flat.length; i++) {
    const value = flat[i] as number;
    if (!holds(dtype, value)) throw new RangeError(`ndarray: ${value} at position ${i} is no ${dtype}`);
    if (dtype === "int64") (data as BigInt64Array)[i] = BigInt(value);
    else (data as Float32Array)[i] = dtype === "bool" ? Number(value !== 0) : value;
  }
  return { dtype, shape: [...shape], data };
}

/** The values as plain numbers (int64 converted, which is exact up to 2^53). */
export function toNumbers(array: NDArray): number[] {
  return Array.from(array.data as ArrayLike<number | bigint>, Number);
}

/** Whether a value is a concrete array of any dtype. */
export function isNDArray(value: unknown): value is NDArray {
  return (
    typeof value === "object" &&
    value !== null &&
    "dtype" in value &&
    "shape" in value &&
    "data" in value &&
    ArrayBuffer.isView(value.data)
  );
}
