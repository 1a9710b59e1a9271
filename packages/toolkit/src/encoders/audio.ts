import { readFile, stat } from "node:fs/promises";
import { decodeAudio, mixToMono, resample } from "@concord/data";
import { EncoderError, type EncoderItem, type SoundSamples } from "./encoder.ts";
import { fillFeed } from "./feeds.ts";
import type { ModelFolder } from "./model-folder.ts";
import type { Preparer } from "./preparer.ts";
import { flagOf, integerOf, numberOf } from "./settings.ts";
import type { ModelInput } from "./signature.ts";

const FILE = "preprocessor_config.json";
const DEFAULT_RATE = 16_000;
const BATCH = 16;
const WINDOW = 64;
/** Samples of one run of the model, padding included: eight minutes at 16 kHz. */
const SAMPLES_PER_BATCH = 2 ** 23;
const MAX_SECONDS = 600;
const MAX_FILE_BYTES = 512 * 2 ** 20;
const [MIN_RATE, MAX_RATE] = [1000, 192_000];

interface AudioSettings {
  readonly sampleRate: number;
  /** Bring each sound to mean 0 and variance 1. */
  readonly normalize: boolean;
  readonly padding: number;
  /** Samples that the model takes at once; undefined when it takes any number. */
  readonly length: number | undefined;
}

/** Mean 0 and variance 1, as Wav2Vec2's feature extractor has it. */
function standardise(samples: Float32Array): Float32Array {
  let sum = 0;
  for (const value of samples) sum += value;
  const mean = sum / samples.length;
  let squares = 0;
  for (const value of samples) squares += (value - mean) ** 2;
  const scale = 1 / Math.sqrt(squares / samples.length + 1e-7);
  return samples.map((value) => (value - mean) * scale);
}

/** The samples of an item of one channel, at the rate that it has. */
async function samplesOf(item: EncoderItem): Promise<SoundSamples | string> {
  if ("samples" in item) return item;
  if (!("path" in item) && !("bytes" in item)) return "expected a sound: a file's path, its bytes or samples";
  let bytes: Uint8Array;
  try {
    if ("path" in item) {
      const info = await stat(item.path);
      // A device has no size, and may have no end.
      if (!info.isFile()) return "no regular file";
      const { size } = info;
      if (size > MAX_FILE_BYTES) return `${size} bytes are over the limit of ${MAX_FILE_BYTES}`;
      bytes = await readFile(item.path);
    } else bytes = item.bytes;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? "there is no such file" : `cannot be read (${message})`;
  }
  try {
    const clip = await decodeAudio(bytes);
    return { samples: mixToMono(clip), sampleRate: clip.sampleRate };
  } catch (error) {
    return `cannot be decoded as WAV or FLAC (${(error as Error).message})`;
  }
}

/** A sound's samples at the model's rate, or why there are none. */
async function soundOf(item: EncoderItem, { sampleRate }: AudioSettings): Promise<Float32Array | string> {
  const sound = await samplesOf(item);
  if (typeof sound === "string") return sound;
  const { samples, sampleRate: rate } = sound;
  if (samples.length === 0) return "the sound is empty";
  if (!(rate >= MIN_RATE && rate <= MAX_RATE)) return `a rate of ${rate} samples a second is not supported`;
  if (samples.length > MAX_SECONDS * rate) return `the sound is longer than ${MAX_SECONDS} seconds`;
  if (!samples.every(Number.isFinite)) return "the sound has samples that are not finite";
  return rate === sampleRate ? samples : resample(samples, rate, sampleRate);
}

/** Sounds to samples at the model's rate, padded with silence to the longest of a batch. */
export async function audioPreparer(
  folder: ModelFolder,
  inputs: readonly ModelInput[],
): Promise<Preparer<Float32Array>> {
  const input = inputs.find(({ role }) => role === "samples");
  if (input === undefined)
    throw new EncoderError(
      `${folder.name}: '${inputs[0]?.name}' takes spectrograms; models that take samples (input_values) are supported`,
    );
  const masked = inputs.some(({ role }) => role === "mask");
  const config = await folder.config(FILE);
  const axis = input.shape.at(-1);
  const settings: AudioSettings = {
    sampleRate: integerOf(config, "sampling_rate", FILE, { least: MIN_RATE, most: MAX_RATE }) ?? DEFAULT_RATE,
    normalize: flagOf(config, "do_normalize") ?? false,
    padding: numberOf(config, "padding_value", FILE) ?? 0,
    length: typeof axis === "number" ? axis : undefined,
  };
  const { length: fixed, padding } = settings;
  return {
    settings,
    sample: { samples: new Float32Array(fixed ?? settings.sampleRate), sampleRate: settings.sampleRate },
    batch: BATCH,
    budget: SAMPLES_PER_BATCH,
    window: WINDOW,
    async prepare(items, signal) {
      const ready: (readonly [number, Float32Array])[] = [];
      const problems: { index: number; reason: string }[] = [];
      for (const [index, item] of items.entries()) {
        signal?.throwIfAborted();
        const sound = await soundOf(item, settings);
        if (typeof sound === "string") problems.push({ index, reason: sound });
        else {
          const cut = fixed === undefined ? sound : sound.subarray(0, fixed);
          ready.push([index, settings.normalize ? standardise(cut) : cut]);
        }
      }
      return { ready, problems };
    },
    sizeOf: (samples) => fixed ?? samples.length,
    // Silence that a model cannot tell from sound would change its vectors with the company that a sound is in.
    together: (smaller, larger) => masked || fixed !== undefined || smaller === larger,
    collate(rows) {
      const longest = fixed ?? Math.max(...rows.map(({ length }) => length));
      const shape = input.shape.length === 3 ? [rows.length, 1, longest] : [rows.length, longest];
      const valueAt = (position: number) =>
        (rows[Math.floor(position / longest)] as Float32Array)[position % longest] ?? padding;
      const isSound = (position: number) =>
        Number(position % longest < (rows[Math.floor(position / longest)] as Float32Array).length);
      const feeds = inputs.map(
        (each) =>
          [
            each.name,
            each.role === "samples"
              ? fillFeed(each, shape, valueAt)
              : fillFeed(each, [rows.length, longest], isSound),
          ] as const,
      );
      return { feeds: Object.fromEntries(feeds) };
    },
    close: async () => {},
  };
}
