import { normalizeRows } from "@concord/align";
import type { NDArray } from "@concord/tensor";

/**
 * Several sensors of one event as one embedding: unit vectors summed, then brought to length 1.
 *
 * @param features  one [N, D] for each sensor; row i belongs to event i everywhere
 * @returns [N, D] of unit length; zeros where the sum vanishes
 * @throws RangeError when there is no set or shapes differ
 * @source ours: the released code does not hold the rule of the paper
 */
export function jointEmbedding(features: readonly NDArray[]): NDArray<"float32"> {
  const [first, ...others] = features;
  if (!first) throw new RangeError("jointEmbedding: needs at least one set of features");
  const wrong = others.find(({ shape }) => shape.join() !== first.shape.join());
  if (wrong)
    throw new RangeError(
      `jointEmbedding: sets of shapes [${first.shape.join(", ")}] and [${wrong.shape.join(", ")}] do not pair`,
    );
  const units = features.map(normalizeRows);
  const data = Float64Array.from({ length: first.data.length }, (_, i) =>
    units.reduce((sum, unit) => sum + (unit.data[i] as number), 0),
  );
  return normalizeRows({ dtype: "float64", shape: first.shape, data });
}
