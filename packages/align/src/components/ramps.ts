import { add, clamp, cos, div, exp, mul, type Schedule, sub } from "@concord/tensor";

export interface RampOptions {
  /** Value at the start. */
  readonly from: number;
  /** Value at the end and afterwards. */
  readonly to: number;
  /** Steps from start to end. */
  readonly steps: number;
  /** Steps at `from` before the ramp begins. Default 0. */
  readonly delay?: number;
}

function ramp(
  operation: string,
  { from, to, steps, delay = 0 }: RampOptions,
  shape: (progress: ReturnType<Schedule>) => ReturnType<Schedule>,
): Schedule {
  if (![from, to].every(Number.isFinite))
    throw new RangeError(`${operation}: from and to must be finite, got ${from} and ${to}`);
  if (!(steps > 0 && delay >= 0))
    throw new RangeError(`${operation}: needs steps > 0 and delay >= 0, got ${steps} and ${delay}`);
  return (step) => add(mul(shape(clamp(div(sub(step, delay), steps), 0, 1)), to - from), from);
}

/**
 * A weight, temperature or momentum that changes linearly: from + (to - from) · p, p = (t - delay) / steps in [0, 1].
 *
 * @returns value as a function of the number of steps done
 * @throws RangeError when steps are not positive, or a value is not finite
 * @source warm-up of the teacher's temperature: Caron et al. 2021 (DINO)
 */
export function linearRamp(options: RampOptions): Schedule {
  return ramp("linearRamp", options, (progress) => progress);
}

/**
 * Half a cosine: from + (to - from) · (1 - cos πp) / 2, p = (t - delay) / steps in [0, 1]. With from 0.996 and to 1 the
 * momentum of a teacher.
 *
 * @returns value as a function of the number of steps done
 * @throws RangeError when steps are not positive, or a value is not finite
 * @source Grill et al. 2020 (BYOL), section 3.3
 */
export function cosineRamp(options: RampOptions): Schedule {
  return ramp("cosineRamp", options, (progress) => div(sub(1, cos(mul(progress, Math.PI))), 2));
}

/**
 * Fast at first, then flat: from + (to - from) · (2 / (1 + e^(-γp)) - 1), p = (t - delay) / steps in [0, 1]; ends at
 * (1 - e^(-γ)) / (1 + e^(-γ)) of the way, 0.9999 for γ = 10. The weight of an adversary, which only confuses features
 * that know nothing yet.
 *
 * @param options.gamma  γ > 0, default 10
 * @returns value as a function of the number of steps done
 * @throws RangeError when steps or γ are not positive, or a value is not finite
 * @source Ganin et al. 2016 (DANN), section 5.2.2
 */
export function sigmoidRamp({ gamma = 10, ...options }: RampOptions & { readonly gamma?: number }): Schedule {
  if (!(gamma > 0)) throw new RangeError(`sigmoidRamp: gamma must be > 0, got ${gamma}`);
  return ramp("sigmoidRamp", options, (progress) => sub(div(2, add(exp(mul(progress, -gamma)), 1)), 1));
}
