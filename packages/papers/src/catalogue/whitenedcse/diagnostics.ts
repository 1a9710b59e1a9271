import { alignment, spearman, uniformity } from "@concord/align";
import type { NDArray } from "@concord/tensor";

export interface AlignmentUniformity {
  /** mean_i ‖x_i - y_i‖², in [0, 4]; lower: positives lie closer. */
  readonly alignment: number;
  /** ln mean_{i<j} e^{-2 ‖x_i - x_j‖²}, in [-8, 0]; lower: spread more evenly. */
  readonly uniformity: number;
}

/**
 * Where embeddings stand in the alignment-uniformity plane. Both of unit vectors.
 *
 * @param x    [N, D], normalised here
 * @param y    [N, D], normalised here; row i is a positive of x's row i
 * @param all  [M, D] of which the uniformity is taken. Default x
 * @throws RangeError when shapes differ or values are not finite
 * @source Wang, Isola 2020; released code, models.py:30-37
 */
export async function alignmentUniformity(
  x: NDArray,
  y: NDArray,
  all: NDArray = x,
): Promise<AlignmentUniformity> {
  return { alignment: alignment(x, y), uniformity: (await uniformity(all)).log };
}

/** Similarities of the pairs of a set of semantic textual similarity, and what people gave them. */
export interface StsSubset {
  readonly similarity: ArrayLike<number>;
  readonly gold: ArrayLike<number>;
}

export interface StsSpearman {
  /** ρ of each subset. */
  readonly perSubset: readonly number[];
  /** ρ of all pairs together: the setting that papers on sentence embeddings report. */
  readonly all: number;
  /** Mean of the subsets. */
  readonly mean: number;
  /** Mean of the subsets, weighted by their sizes. */
  readonly weightedMean: number;
}

/**
 * Spearman's correlation of similarities with people's scores; tied values share their mean rank. In [-1, 1]; NaN where
 * a subset is constant on one side.
 *
 * @throws RangeError when there is no subset, one has fewer than two pairs, lengths differ or a value is not finite
 * @source released code, evaluation.py:172-186 ("all": subsets put together, then one correlation)
 */
export function stsSpearman(subsets: readonly StsSubset[]): StsSpearman {
  if (subsets.length === 0) throw new RangeError("stsSpearman: needs at least one subset");
  const perSubset = subsets.map(({ similarity, gold }) => spearman(similarity, gold));
  const sizes = subsets.map(({ gold }) => gold.length);
  const pairs = sizes.reduce((sum, size) => sum + size, 0);
  const together = (side: keyof StsSubset): number[] => subsets.flatMap((subset) => Array.from(subset[side]));
  return {
    perSubset,
    all: spearman(together("similarity"), together("gold")),
    mean: perSubset.reduce((sum, rho) => sum + rho, 0) / subsets.length,
    weightedMean: perSubset.reduce((sum, rho, i) => sum + rho * (sizes[i] as number), 0) / pairs,
  };
}
