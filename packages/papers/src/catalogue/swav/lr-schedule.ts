import { cast, gather, minimum, type NDArray, type Schedule } from "@concord/tensor";

export interface LrScheduleOptions {
  /** n, iterations of an epoch. */
  readonly stepsPerEpoch: number;
  /** w, from 0 to `epochs`; n w must be a whole number. */
  readonly warmupEpochs: number;
  /** E. */
  readonly epochs: number;
  /** Rate of the first iteration of the warm-up. */
  readonly startWarmup: number;
  readonly baseLr: number;
  readonly finalLr: number;
}

/** Longest table: the 800 epochs of ImageNet at batch 256 are 4 million iterations. */
const MAX_STEPS = 50_000_000;

/**
 * The learning rate of every iteration: a straight line through both ends of the warm-up, then half a cosine.
 *
 *   t < n w:   start + (base - start) t / (n w - 1)
 *   then, with t' from 0:   final + (base - final) (1 + cos(π t' / (n (E - w)))) / 2
 *
 * @returns [n E]
 * @throws RangeError when counts are not in their ranges, a rate is not finite or the table would be too long
 * @source released code
 */
export function lrSchedule(options: LrScheduleOptions): Float64Array {
  const { stepsPerEpoch, warmupEpochs, epochs, startWarmup, baseLr, finalLr } = options;
  if (!Number.isInteger(stepsPerEpoch) || stepsPerEpoch < 1 || !Number.isInteger(epochs) || epochs < 1)
    throw new RangeError(
      `lrSchedule: stepsPerEpoch and epochs must be integers >= 1, got ${stepsPerEpoch} and ${epochs}`,
    );
  const rising = stepsPerEpoch * warmupEpochs;
  if (!Number.isInteger(rising) || rising < 0 || warmupEpochs > epochs)
    throw new RangeError(
      `lrSchedule: warmupEpochs must be from 0 to ${epochs} and a whole number of iterations, got ${warmupEpochs} of ${stepsPerEpoch} iterations each`,
    );
  if (stepsPerEpoch * epochs > MAX_STEPS)
    throw new RangeError(
      `lrSchedule: ${stepsPerEpoch} iterations in ${epochs} epochs are more than ${MAX_STEPS}`,
    );
  for (const [name, value] of Object.entries({ startWarmup, baseLr, finalLr }))
    if (!Number.isFinite(value) || value < 0)
      throw new RangeError(`lrSchedule: ${name} must be a number >= 0, got ${value}`);
  const falling = stepsPerEpoch * epochs - rising;
  return Float64Array.from({ length: rising + falling }, (_, t) =>
    t < rising
      ? startWarmup + ((baseLr - startWarmup) * t) / Math.max(1, rising - 1)
      : finalLr + 0.5 * (baseLr - finalLr) * (1 + Math.cos((Math.PI * (t - rising)) / falling)),
  );
}

/** A table of rates as a schedule inside the graph; after its end the last one holds. */
export function tableSchedule(rates: Float64Array): Schedule {
  if (rates.length === 0) throw new RangeError("tableSchedule: the table is empty");
  const table: NDArray<"float32"> = {
    dtype: "float32",
    shape: [rates.length],
    data: Float32Array.from(rates),
  };
  return (step) => gather(table, cast(minimum(step, rates.length - 1), "int32"));
}
