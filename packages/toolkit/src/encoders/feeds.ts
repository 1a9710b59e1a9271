import { allocate, type DType, type NDArray, sizeOf } from "@concord/tensor";
import { EncoderError } from "./encoder.ts";
import type { ModelInput } from "./signature.ts";

/** The engine's type of the values that an input takes. */
export function feedType({ name, type }: ModelInput): DType {
  if (type === "float16") return "float32";
  if (["float32", "float64", "int32", "int64", "bool"].includes(type)) return type as DType;
  throw new EncoderError(`input '${name}' is ${type}, which is not supported`);
}

/** An array for an input, its values computed from their position. */
export function fillFeed(
  input: ModelInput,
  shape: readonly number[],
  valueAt: (position: number) => number,
): NDArray {
  const dtype = feedType(input);
  const data = allocate(dtype, sizeOf(shape));
  if (dtype === "int64") {
    for (let i = 0; i < data.length; i++) (data as BigInt64Array)[i] = BigInt(valueAt(i));
  } else {
    for (let i = 0; i < data.length; i++) (data as Float32Array)[i] = valueAt(i);
  }
  return { dtype, shape, data } as NDArray;
}

/** Sizes that an input's open axes get when it is fed with zeros only. */
const IDLE_SIZES: Readonly<Record<string, number>> = {
  ids: 2,
  mask: 2,
  types: 2,
  positions: 2,
  pixels: 224,
  "pixel mask": 224,
};

/** Zeros for an input of a tower that is not asked: as few as the model allows. */
export function idleFeed(input: ModelInput): NDArray {
  const shape = input.shape.map((size, axis) =>
    typeof size === "number"
      ? size
      : axis === 0
        ? 1
        : input.role === "pixels" && axis === 1
          ? 3
          : (IDLE_SIZES[input.role] ?? 1),
  );
  if (shape.length === 0)
    throw new EncoderError(
      `the model does not say which shape '${input.name}' has, which this kind of input leaves out`,
    );
  return fillFeed(input, shape, () => (input.role.endsWith("mask") ? 1 : 0));
}
