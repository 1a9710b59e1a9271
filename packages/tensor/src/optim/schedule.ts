import type { Tensor } from "../core/tensor.ts";
import { add, div, less, minimum, mul, sub, where } from "../ops/arithmetic.ts";
import { cos } from "../ops/math.ts";

/** A learning rate as a function of the number of steps already done (a float32 scalar). */
export type Schedule = (step: Tensor) => Tensor;

export interface CosineScheduleOptions {
  /** Learning rate after warm-up. */
  readonly peak: number;
  /** Steps from first to last; the schedule stays at `floor` afterwards. */
  readonly steps: number;
  /** Steps of linear warm-up from peak / warmup. Default 0. */
  readonly warmup?: number;
  /** Final learning rate. Default 0. */
  readonly floor?: number;
}

/**
 * Linear warm-up, then half a cosine:
 * lr(t) = peak · (t + 1) / warmup for t < warmup, else floor + (peak - floor) · (1 + cos π (t - warmup) / (steps - warmup)) / 2.
 *
 * @source Loshchilov, Hutter 2017 (SGDR), without restarts
 */
export function cosineSchedule({ peak, steps, warmup = 0, floor = 0 }: CosineScheduleOptions): Schedule {
  if (!(warmup >= 0 && warmup < steps))
    throw new RangeError(`cosineSchedule: warmup must lie in [0, steps), got ${warmup} of ${steps}`);
  return (step) => {
    const progress = minimum(div(sub(step, warmup), steps - warmup), 1);
    const decayed = add(mul(add(cos(mul(progress, Math.PI)), 1), (peak - floor) / 2), floor);
    return warmup === 0 ? decayed : where(less(step, warmup), mul(add(step, 1), peak / warmup), decayed);
  };
}
