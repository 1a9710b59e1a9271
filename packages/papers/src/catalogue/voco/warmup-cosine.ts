import { add, cos, div, less, minimum, mul, type Schedule, sub, where } from "@concord/tensor";

export interface WarmupCosineOptions {
  /** Rate after the warm-up. Default 1: the plain multiplier. */
  readonly peak?: number;
  /** Steps of linear warm-up from 0. */
  readonly warmup: number;
  /** Steps from first to last; the rate is 0 afterwards. */
  readonly steps: number;
}

/**
 * Linear warm-up from 0, then half a cosine to 0:
 *
 *   η(t) = peak · t / w for t < w,   peak · (1 + cos π (t - w) / (T - w)) / 2 afterwards
 *
 * The engine's `cosineSchedule` begins at peak / w instead, so that its first step learns.
 *
 * All steps may be warm-up.
 *
 * @throws RangeError unless 0 <= warmup <= steps
 * @source released code, WarmupCosineSchedule
 */
export function warmupCosine({ peak = 1, warmup, steps }: WarmupCosineOptions): Schedule {
  if (!(warmup >= 0 && warmup <= steps))
    throw new RangeError(`warmupCosine: warmup must lie in [0, steps], got ${warmup} of ${steps}`);
  return (step) => {
    const progress = minimum(div(sub(step, warmup), Math.max(1, steps - warmup)), 1);
    const decayed = mul(add(cos(mul(progress, Math.PI)), 1), peak / 2);
    return warmup === 0 ? decayed : where(less(step, warmup), mul(step, peak / warmup), decayed);
  };
}
