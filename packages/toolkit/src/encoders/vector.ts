import type { NDArray } from "@concord/tensor";
import { EncoderError, type EncoderItem } from "./encoder.ts";
import { feedType } from "./feeds.ts";
import type { Preparer } from "./preparer.ts";
import type { ModelInput } from "./signature.ts";

const BATCH = 1024;
const WINDOW = 4096;

function vectorProblem(item: EncoderItem, width: number): string | null {
  if (!("vector" in item)) return "expected a vector";
  const { vector } = item;
  if (vector.length !== width) return `the vector has ${vector.length} values; the model takes ${width}`;
  for (let i = 0; i < width; i++)
    if (!Number.isFinite(vector[i])) return `the vector's value ${i} is ${vector[i]}`;
  return null;
}

/** Vectors to rows of a matrix, as they are. */
export function vectorPreparer(name: string, inputs: readonly ModelInput[]): Preparer<ArrayLike<number>> {
  const input = inputs[0] as ModelInput;
  const width = input.shape[1];
  if (typeof width !== "number" || width < 1)
    throw new EncoderError(`${name}: '${input.name}' does not say how long its vectors are`);
  const dtype = feedType(input);
  if (dtype !== "float32" && dtype !== "float64")
    throw new EncoderError(`${name}: '${input.name}' is ${input.type}; vectors are floats`);
  return {
    settings: { width },
    sample: { vector: new Float32Array(width) },
    batch: BATCH,
    budget: Number.POSITIVE_INFINITY,
    window: WINDOW,
    async prepare(items) {
      const reasons = items.map((item) => vectorProblem(item, width));
      return {
        ready: items.flatMap((item, index) =>
          reasons[index] === null && "vector" in item ? [[index, item.vector] as const] : [],
        ),
        problems: reasons.flatMap((reason, index) => (reason === null ? [] : [{ index, reason }])),
      };
    },
    sizeOf: () => 1,
    together: () => true,
    collate(rows) {
      const data = new (dtype === "float32" ? Float32Array : Float64Array)(rows.length * width);
      for (const [row, vector] of rows.entries()) data.set(vector, row * width);
      return { feeds: { [input.name]: { dtype, shape: [rows.length, width], data } as NDArray } };
    },
    close: async () => {},
  };
}
