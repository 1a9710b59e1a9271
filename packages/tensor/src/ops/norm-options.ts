import { checkAxes } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import { checkDType, type Tensor } from "../core/tensor.ts";

export interface NormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly epsilon?: number;
}

/** Throws unless x has the axes [B, C, ...] and each vector, by its name, one entry for each channel. */
export function checkChannels(operation: string, x: Tensor, vectors: Readonly<Record<string, Tensor>>): void {
  checkDType(operation, [x, ...Object.values(vectors)]);
  if (x.rank < 2)
    throw new ShapeError(`${operation}: x needs the axes [B, C, ...], got ${formatShape(x.shape)}`);
  checkAxes(operation, {
    x: [{ shape: x.shape.slice(0, 2) }, "B C"],
    ...Object.fromEntries(Object.entries(vectors).map(([name, vector]) => [name, [vector, "C"] as const])),
  });
}
