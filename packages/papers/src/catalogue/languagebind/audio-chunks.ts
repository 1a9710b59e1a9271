import type { NDArray } from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

export interface AudioChunkOptions {
  /** Frames of a chunk. Default 1036. */
  readonly target?: number;
  /** First frames of the three chunks of a longer clip, one in each of `chunkStartRanges`. */
  readonly starts: readonly [front: number, middle: number, back: number];
  /** Mean and deviation of log-mel energies over the training set. Default -4.2677393 and 4.5689974. */
  readonly mean?: number;
  readonly deviation?: number;
}

/**
 * First and last possible start of the front, middle and back chunk: the T - target + 1 possible starts, in three parts
 * whose lengths differ by at most one, the longer ones first. Where a part is empty the chunk starts at 0.
 *
 * @param frames  T, more than `target`
 * @source released code, data/process_audio.py:24-104
 */
export function chunkStartRanges(
  frames: number,
  target: number = PAPER_DEFAULTS.audioFrames,
): [[number, number], [number, number], [number, number]] {
  if (!(Number.isInteger(frames) && Number.isInteger(target) && target >= 1 && frames > target))
    throw new RangeError(`chunkStartRanges: needs more frames than ${target}, got ${frames}`);
  const starts = frames - target + 1;
  const part = (i: number): [number, number] => {
    const length = Math.floor(starts / 3) + (i < starts % 3 ? 1 : 0);
    const first = i * Math.floor(starts / 3) + Math.min(i, starts % 3);
    return length === 0 ? [0, 0] : [first, first + length - 1];
  };
  return [part(0), part(1), part(2)];
}

/**
 * Three chunks of a log-mel spectrogram as the channels of a picture, frequency first: a longer clip gives a chunk from
 * the front, the middle and the back; a shorter one is repeated from its beginning (not followed by zeros), and the
 * three channels are the same. Then (x - mean) / (2 · deviation).
 *
 * @param mel  [T, M] log-mel energies, time first
 * @returns [3, M, target]
 * @throws RangeError when the shape is not [T, M], nothing is in it, or a start leaves its range
 * @source released code, data/process_audio.py:24-104
 */
export function audioChunkFusion(mel: NDArray, options: AudioChunkOptions): NDArray<"float32"> {
  const { target = PAPER_DEFAULTS.audioFrames, starts } = options;
  const { mean = PAPER_DEFAULTS.melMean, deviation = PAPER_DEFAULTS.melDeviation } = options;
  const [T, M] = mel.shape as [number, number];
  if (mel.shape.length !== 2 || T < 1 || M < 1)
    throw new RangeError(`audioChunkFusion: expected [T, M], got [${mel.shape.join(", ")}]`);
  if (!Number.isInteger(target) || target < 1)
    throw new RangeError(`audioChunkFusion: target must be an integer >= 1, got ${target}`);
  if (!(deviation > 0)) throw new RangeError(`audioChunkFusion: deviation must be > 0, got ${deviation}`);
  const long = T > target;
  if (long)
    chunkStartRanges(T, target).forEach(([first, last], i) => {
      const start = starts[i] as number;
      if (!Number.isInteger(start) || start < first || start > last)
        throw new RangeError(`audioChunkFusion: start ${i} must lie in [${first}, ${last}], got ${start}`);
    });
  const data = new Float32Array(3 * M * target);
  for (let channel = 0; channel < 3; channel++) {
    const start = long ? (starts[channel] as number) : 0;
    for (let m = 0; m < M; m++)
      for (let t = 0; t < target; t++) {
        const value = Number(mel.data[((start + t) % T) * M + m]);
        data[(channel * M + m) * target + t] = (value - mean) / (2 * deviation);
      }
  }
  return { dtype: "float32", shape: [3, M, target], data };
}
