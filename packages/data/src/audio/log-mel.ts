import type { NDArray } from "@concord/tensor";
import { powerSpectrum } from "./fft.ts";

export interface LogMelOptions {
  /** Samples a second. */
  readonly sampleRate: number;
  /** N, points of the Fourier transform, a power of two. Default 512. */
  readonly fftSize?: number;
  /** Samples under the window, at most N; the rest are zeros on both sides. Default 400. */
  readonly windowLength?: number;
  /** Samples from one frame to the next. Default 160. */
  readonly hop?: number;
  /** M, mel bands. Default 80. */
  readonly bands?: number;
  /** Lowest and highest frequency of the bands in Hz. Default 0 and half the sample rate. */
  readonly lowest?: number;
  readonly highest?: number;
  /** Energies below this are raised to it before the logarithm. Default 1e-10. */
  readonly floor?: number;
}

/**
 * Log-mel spectrogram.
 *
 *   S[m, f] = ln max(floor, Σ_k W[m, k] |Σ_n w[n] x[f·hop + n − N/2] e^(−2πi k n / N)|²)
 *
 * Frames are centred: the signal is mirrored at its ends by N/2 samples. w is the periodic Hann window. W are triangles
 * on Slaney's mel scale (linear up to 1 kHz, logarithmic above), each of area 2 / (its width in Hz), as librosa's
 * defaults and Whisper have them.
 *
 * @param signal  [T], more than N/2 samples
 * @returns [M, F] with F = 1 + floor(T / hop)
 * @throws RangeError when an option is out of its range or the signal is too short to be mirrored
 * @source Slaney, Auditory Toolbox (1998); McFee et al., librosa (2015)
 */
export function logMel(signal: Float32Array, options: LogMelOptions): NDArray<"float32"> {
  const { sampleRate, fftSize = 512, windowLength = 400, hop = 160, bands = 80, floor = 1e-10 } = options;
  const { lowest = 0, highest = sampleRate / 2 } = options;
  check(
    fftSize >= 2 && 2 ** Math.round(Math.log2(fftSize)) === fftSize,
    `fftSize must be a power of two, got ${fftSize}`,
  );
  for (const [name, value] of Object.entries({ windowLength, hop, bands }))
    check(Number.isInteger(value) && value >= 1, `${name} must be an integer >= 1, got ${value}`);
  check(windowLength <= fftSize, `windowLength ${windowLength} is over fftSize ${fftSize}`);
  check(
    lowest >= 0 && lowest < highest && highest <= sampleRate / 2,
    `no band from ${lowest} to ${highest} Hz`,
  );
  check(floor > 0, `floor must be > 0, got ${floor}`);
  const half = fftSize / 2;
  check(signal.length > half, `a signal of ${signal.length} samples cannot be mirrored by ${half}`);
  const filters = melFilters(sampleRate, fftSize, bands, lowest, highest);
  const window = paddedHann(windowLength, fftSize);
  const frames = 1 + Math.floor(signal.length / hop);
  const data = new Float32Array(bands * frames);
  const frame = new Float64Array(fftSize);
  for (let f = 0; f < frames; f++) {
    for (let n = 0; n < fftSize; n++)
      frame[n] = (signal[mirrored(f * hop + n - half, signal.length)] as number) * (window[n] as number);
    const power = powerSpectrum(frame);
    filters.forEach(({ first, weights }, m) => {
      let energy = 0;
      for (let k = 0; k < weights.length; k++)
        energy += (weights[k] as number) * (power[first + k] as number);
      data[m * frames + f] = Math.log(Math.max(floor, energy));
    });
  }
  return { dtype: "float32", shape: [bands, frames], data };
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new RangeError(`logMel: ${message}`);
}

function mirrored(place: number, length: number): number {
  if (place < 0) return -place;
  return place < length ? place : 2 * (length - 1) - place;
}

function paddedHann(length: number, size: number): Float64Array {
  const window = new Float64Array(size);
  const start = Math.floor((size - length) / 2);
  for (let n = 0; n < length; n++) window[start + n] = 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / length);
  return window;
}

/** A triangle over some bins of the spectrum. */
interface MelFilter {
  readonly first: number;
  readonly weights: Float64Array;
}

function melFilters(
  sampleRate: number,
  fftSize: number,
  bands: number,
  lowest: number,
  highest: number,
): MelFilter[] {
  const [from, to] = [hertzToMel(lowest), hertzToMel(highest)];
  const edges = Array.from({ length: bands + 2 }, (_, i) =>
    melToHertz(from + ((to - from) * i) / (bands + 1)),
  );
  return Array.from({ length: bands }, (_, m) => {
    const [left = 0, centre = 0, right = 0] = edges.slice(m, m + 3);
    const first = Math.ceil((left * fftSize) / sampleRate);
    const last = Math.min(fftSize / 2, Math.floor((right * fftSize) / sampleRate));
    const weights = Float64Array.from({ length: Math.max(0, last - first + 1) }, (_, k) => {
      const hertz = ((first + k) * sampleRate) / fftSize;
      const height = Math.min((hertz - left) / (centre - left), (right - hertz) / (right - centre));
      return (Math.max(0, height) * 2) / (right - left);
    });
    return { first, weights };
  });
}

const linearMel = 200 / 3;
const breakHertz = 1000;
const breakMel = breakHertz / linearMel;
const logStep = Math.log(6.4) / 27;

function hertzToMel(hertz: number): number {
  return hertz < breakHertz ? hertz / linearMel : breakMel + Math.log(hertz / breakHertz) / logStep;
}

function melToHertz(mel: number): number {
  return mel < breakMel ? mel * linearMel : breakHertz * Math.exp(logStep * (mel - breakMel));
}
