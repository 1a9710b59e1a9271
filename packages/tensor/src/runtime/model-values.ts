import { allocate, type DType, isFloat, type NDArray } from "../core/ndarray.ts";
import { floatsToHalves, halvesToFloats } from "../onnx/import/half.ts";
import type { ModelValue } from "./runtime.ts";

/** A tensor of ONNX Runtime, as far as it matters here. */
export interface RuntimeValue {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
}

/** What ONNX Runtime tells of a value. */
type Metadata =
  | { readonly name: string; readonly isTensor: false }
  | {
      readonly name: string;
      readonly isTensor: true;
      readonly type: string;
      readonly shape: readonly (number | string)[];
    };

export function modelValues(metadata: readonly Metadata[]): ModelValue[] {
  return metadata.map((value) =>
    value.isTensor
      ? { name: value.name, type: value.type, shape: [...value.shape] }
      : { name: value.name, type: null, shape: [] },
  );
}

const same = ["float32", "float64", "int32", "int64", "uint8", "bool"] as const;
/** Types that the engine lacks, and the one that holds their values. */
const widened: Readonly<Record<string, DType>> = {
  float16: "float32",
  int8: "int32",
  int16: "int32",
  uint16: "int32",
  uint32: "int64",
};

function isSame(type: string): type is DType {
  return same.some((known) => known === type);
}

function converted(values: ArrayLike<number | bigint>, dtype: DType): NDArray["data"] {
  const data = allocate(dtype, values.length);
  if (dtype === "int64") {
    for (let i = 0; i < values.length; i++) (data as BigInt64Array)[i] = BigInt(values[i] as number | bigint);
  } else {
    for (let i = 0; i < values.length; i++) (data as Float32Array)[i] = Number(values[i]);
  }
  return data;
}

/**
 * An array in the type that a model states for an input.
 *
 * @throws TypeError when the array's values are not of that kind
 */
export function toModelValue(array: NDArray, input: ModelValue): RuntimeValue {
  const { type, name } = input;
  const dims = array.shape;
  if (array.dtype === type) return { type, dims, data: array.data };
  const wanted = type !== null && isSame(type) ? type : type === null ? undefined : widened[type];
  if (type === null || wanted === undefined || isFloat(wanted) !== isFloat(array.dtype))
    throw new TypeError(`input '${name}' is ${type ?? "no tensor"}, which ${array.dtype} cannot be fed to`);
  if (type === "float16") {
    const floats =
      array.data instanceof Float32Array ? array.data : Float32Array.from(array.data as Float64Array);
    return { type, dims, data: floatsToHalves(floats) };
  }
  if (type !== wanted) throw new TypeError(`input '${name}' is ${type}, which is not supported as an input`);
  return { type, dims, data: converted(array.data as ArrayLike<number | bigint>, wanted) };
}

/** @throws TypeError when the type cannot be had as an array, e.g. text */
export function fromModelValue(name: string, { type, dims, data }: RuntimeValue): NDArray {
  if (isSame(type)) return { dtype: type, shape: [...dims], data } as NDArray;
  const dtype = widened[type];
  if (dtype === undefined)
    throw new TypeError(`output '${name}' is ${type}, which is not supported as an output`);
  // Where JavaScript has no 16-bit floats, ONNX Runtime hands their bits on.
  const floats = type === "float16" && data instanceof Uint16Array ? halvesToFloats(data) : undefined;
  return {
    dtype,
    shape: [...dims],
    data: floats ?? converted(data as ArrayLike<number | bigint>, dtype),
  } as NDArray;
}

/** The inputs by name, in the model's types. @throws TypeError naming inputs that are missing */
export function modelFeeds(
  inputs: readonly ModelValue[],
  feeds: Readonly<Record<string, NDArray>>,
): Record<string, RuntimeValue> {
  return Object.fromEntries(
    inputs.map((input) => {
      const array = Object.hasOwn(feeds, input.name) ? feeds[input.name] : undefined;
      if (array === undefined) throw new TypeError(`input '${input.name}' is missing`);
      return [input.name, toModelValue(array, input)];
    }),
  );
}
