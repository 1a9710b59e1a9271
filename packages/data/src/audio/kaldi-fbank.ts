import type { NDArray } from "@concord/tensor";
import { powerSpectrum } from "./fft.ts";

export interface KaldiFbankOptions {
  /** Samples a second. */
  readonly sampleRate: number;
  /** M, mel bins. Default 80. */
  readonly bins?: number;
  /** Milliseconds under the window, and from one frame to the next. Default 25 and 10. */
  readonly frameLength?: number;
  readonly frameShift?: number;
  /** Lowest and highest frequency of the bins in Hz. Default 20 and half the sample rate. */
  readonly lowest?: number;
  readonly highest?: number;
  /** x[n] ← x[n] - p x[n-1] in every frame. Default 0.97. */
  readonly preEmphasis?: number;
}

/** Energies below the precision of float32 are raised to it before the logarithm. */
const FLOOR = 1.1920928955078125e-7;

/**
 * Log-mel filterbank energies as Kaldi computes them, with Hann's window, without dither and energy.
 *
 * Frames that reach over the end are left out. In each frame the mean is subtracted, then pre-emphasis, the symmetric
 * Hann window, zeros up to a power of two, the power spectrum, triangles that are equally wide on the mel scale
 * 1127 ln(1 + f / 700), and the logarithm.
 *
 * @param signal  [T] in [-1, 1], at least one frame long
 * @returns [F, M] with F = 1 + floor((T - length) / shift), time first; a triangle between two frequencies of the
 *   spectrum holds nothing and gives the smallest energy
 * @throws RangeError when an option is out of its range or the signal is too short
 * @source Povey et al. 2011, Kaldi, compute-fbank-feats
 */
export function kaldiFbank(signal: Float32Array, options: KaldiFbankOptions): NDArray<"float32"> {
  const { sampleRate, bins = 80, frameLength = 25, frameShift = 10, preEmphasis = 0.97 } = options;
  const { lowest = 20, highest = sampleRate / 2 } = options;
  check(sampleRate > 0 && Number.isFinite(sampleRate), `sampleRate must be > 0, got ${sampleRate}`);
  check(Number.isInteger(bins) && bins >= 1, `bins must be an integer >= 1, got ${bins}`);
  check(
    lowest >= 0 && lowest < highest && highest <= sampleRate / 2,
    `no bins from ${lowest} to ${highest} Hz at ${sampleRate} samples a second`,
  );
  const length = Math.floor((sampleRate * frameLength) / 1000);
  const shift = Math.floor((sampleRate * frameShift) / 1000);
  check(length >= 2 && shift >= 1, `frames of ${frameLength} ms every ${frameShift} ms are too short`);
  check(signal.length >= length, `a signal of ${signal.length} samples is shorter than a frame of ${length}`);
  const size = 2 ** Math.ceil(Math.log2(length));
  const filters = melTriangles(bins, sampleRate, size, lowest, highest);
  const window = Float64Array.from(
    { length },
    (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / (length - 1)),
  );
  const frames = 1 + Math.floor((signal.length - length) / shift);
  const data = new Float32Array(frames * bins);
  const frame = new Float64Array(size);
  for (let f = 0; f < frames; f++) {
    const samples = signal.subarray(f * shift, f * shift + length);
    let mean = 0;
    for (const sample of samples) mean += sample / length;
    for (let n = 0; n < length; n++) {
      const before = (samples[Math.max(0, n - 1)] as number) - mean;
      frame[n] = ((samples[n] as number) - mean - preEmphasis * before) * (window[n] as number);
    }
    const power = powerSpectrum(frame);
    filters.forEach(({ first, weights }, m) => {
      let energy = 0;
      for (let k = 0; k < weights.length; k++)
        energy += (weights[k] as number) * (power[first + k] as number);
      data[f * bins + m] = Math.log(Math.max(FLOOR, energy));
    });
  }
  return { dtype: "float32", shape: [frames, bins], data };
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new RangeError(`kaldiFbank: ${message}`);
}

const mel = (hertz: number): number => 1127 * Math.log(1 + hertz / 700);

function melTriangles(
  bins: number,
  sampleRate: number,
  size: number,
  lowest: number,
  highest: number,
): { readonly first: number; readonly weights: Float64Array }[] {
  const [from, to] = [mel(lowest), mel(highest)];
  const width = (to - from) / (bins + 1);
  return Array.from({ length: bins }, (_, m) => {
    const [left, centre, right] = [from + m * width, from + (m + 1) * width, from + (m + 2) * width];
    // The Nyquist frequency itself is left out, as in Kaldi.
    const heights = Array.from({ length: size / 2 }, (_unused, k) => {
      const place = mel((k * sampleRate) / size);
      return Math.max(0, Math.min((place - left) / (centre - left), (right - place) / (right - centre)));
    });
    const first = heights.findIndex((height) => height > 0);
    const last = heights.findLastIndex((height) => height > 0);
    return first < 0
      ? { first: 0, weights: new Float64Array(0) }
      : { first, weights: Float64Array.from(heights.slice(first, last + 1)) };
  });
}
