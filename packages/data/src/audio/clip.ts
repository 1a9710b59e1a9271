/** Sound as numbers. */
export interface AudioClip {
  /** Samples a second. */
  readonly sampleRate: number;
  /** One array a channel, all of one length; full scale is [-1, 1]. */
  readonly channels: readonly Float32Array[];
}

/** An audio file cannot be decoded; the message is the reason, without the file's name. */
export class AudioError extends Error {
  override readonly name = "AudioError";
}

export interface AudioLimits {
  /** Most samples of a clip, all channels together. Default 2^27: 46 minutes of stereo at 24 kHz, 512 MiB as float32. */
  readonly maxSamples?: number;
}

export const defaultMaxSamples = 2 ** 27;

/** @throws AudioError unless the numbers can be those of a clip within the limit */
export function checkClip(sampleRate: number, channels: number, samples: number, limits: AudioLimits): void {
  const { maxSamples = defaultMaxSamples } = limits;
  if (!(sampleRate >= 1 && sampleRate <= 1e6))
    throw new AudioError(`sample rate of ${sampleRate} per second`);
  if (!(channels >= 1 && channels <= 64)) throw new AudioError(`${channels} channels`);
  if (samples > maxSamples) throw new AudioError(`more than ${maxSamples} samples`);
}

/** The mean of all channels. */
export function mixToMono({ channels }: AudioClip): Float32Array {
  const [first = new Float32Array(0), ...rest] = channels;
  if (rest.length === 0) return first;
  const mono = Float32Array.from(first);
  for (const channel of rest)
    for (let i = 0; i < mono.length; i++) mono[i] = (mono[i] as number) + (channel[i] as number);
  for (let i = 0; i < mono.length; i++) mono[i] = (mono[i] as number) / channels.length;
  return mono;
}

/**
 * A piece of exactly `length` samples: cut out from `start` on, or followed by zeros where the signal is shorter.
 *
 * @param start  0 to 1: which of the possible pieces; 0 the first, 0.5 the middle one
 */
export function fitLength(signal: Float32Array, length: number, start = 0): Float32Array {
  const spare = Math.max(0, signal.length - length);
  const from = Math.min(spare, Math.floor(start * (spare + 1)));
  const result = new Float32Array(length);
  result.set(signal.subarray(from, from + length));
  return result;
}
