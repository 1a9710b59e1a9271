import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { foldIn, type Key, type NDArray, RandomStream } from "@concord/tensor";
import { type BatchSource, batchPlan } from "../batches/batch-source.ts";
import { type LabelColumn, labelColumn } from "../images/image-set.ts";
import { ProblemLog, type RowProblems, shownValue } from "../loaders/rows.ts";
import { READ_WITHOUT_WAITING } from "../vectors/byte-file.ts";
import { type AudioClip, AudioError, type AudioLimits, fitLength, mixToMono } from "./clip.ts";
import { decodeFlac } from "./flac.ts";
import { type LogMelOptions, logMel } from "./log-mel.ts";
import { resample } from "./resample.ts";
import { decodeWav } from "./wav.ts";

/**
 * Decodes a WAV or a FLAC file, told by its first bytes.
 *
 * @throws AudioError when it is neither, broken, truncated or over the limit
 */
export async function decodeAudio(bytes: Uint8Array, limits: AudioLimits = {}): Promise<AudioClip> {
  const start = Buffer.from(bytes.subarray(0, 4)).toString("latin1");
  if (start === "RIFF") return decodeWav(bytes, limits);
  if (start === "fLaC") return decodeFlac(bytes, limits);
  throw new AudioError(bytes.length === 0 ? "empty file" : "not a WAV or FLAC file");
}

export interface LoadAudioFolderOptions {
  /** Folder of files, or of one folder for each class. */
  readonly root: string;
  /** Samples a second that every clip is brought to. */
  readonly sampleRate: number;
  /** Throw at the first file that cannot be used, instead of skipping and counting. Default false. */
  readonly strict?: boolean;
  /** Largest file. Default 64 MiB. */
  readonly maxFileBytes?: number;
  /** Most bytes of decoded sound in memory. Default 4 GiB. */
  readonly maxMemoryBytes?: number;
  readonly limits?: AudioLimits;
  /** Called at most about ten times a second and once at the end. */
  readonly onProgress?: (progress: {
    readonly done: number;
    readonly total: number;
    readonly failed: number;
  }) => void;
  readonly signal?: AbortSignal;
}

/** Clips in memory, mono, of one sample rate and different lengths. */
export interface AudioSet {
  readonly count: number;
  readonly sampleRate: number;
  /** Paths relative to the folder. */
  readonly names: readonly string[];
  /** The class folder of each clip. */
  readonly classes: LabelColumn;
  clip(index: number): Float32Array;
}

const audioFile = /\.(wav|wave|flac)$/i;

/**
 * WAV and FLAC files of a folder, or of one folder for each class, in the order of their names: channels are averaged,
 * then brought to one sample rate.
 *
 * @throws Error when the folder cannot be read, has no usable file or exceeds the memory limit; RowError in strict mode
 */
export async function loadAudioFolder(
  options: LoadAudioFolderOptions,
): Promise<{ readonly set: AudioSet; readonly problems: RowProblems }> {
  const { root, sampleRate, maxMemoryBytes = 4 * 2 ** 30, signal, onProgress } = options;
  const problems = new ProblemLog(options.strict ?? false);
  const files = await audioFiles(root);
  const clips: Float32Array[] = [];
  const kept: AudioFile[] = [];
  let bytes = 0;
  let reported = 0;
  for (const [index, file] of files.entries()) {
    signal?.throwIfAborted();
    try {
      const clip = await decodeAudio(
        await readBounded(join(root, file.name), options.maxFileBytes),
        options.limits,
      );
      const mono = resample(mixToMono(clip), clip.sampleRate, sampleRate);
      if (mono.length === 0) throw new AudioError("there is no sound in it");
      if (!mono.every(Number.isFinite)) throw new AudioError("a sample is not finite");
      bytes += mono.byteLength;
      if (bytes > maxMemoryBytes)
        throw new Error(
          `${root}: the clips up to ${file.name} take ${bytes} bytes, over the limit of ${maxMemoryBytes}`,
        );
      clips.push(mono);
      kept.push(file);
    } catch (error) {
      if (!(error instanceof AudioError)) throw error;
      problems.add({ file: root, line: 0, reason: error.message, value: shownValue(file.name) });
    }
    const now = performance.now();
    if (onProgress && (now - reported >= 100 || index + 1 === files.length)) {
      reported = now;
      onProgress({ done: index + 1, total: files.length, failed: problems.count });
    }
  }
  if (kept.length === 0)
    throw new Error(
      `${root} has no usable .wav or .flac file` +
        (problems.records[0]
          ? `; ${problems.count} were rejected, the first: ${problems.records[0].reason}`
          : ""),
    );
  return {
    set: {
      count: kept.length,
      sampleRate,
      names: kept.map(({ name }) => name),
      classes: labelColumn(kept.map((file) => file.folder)),
      clip: (index) => {
        const clip = clips[index];
        if (!clip) throw new RangeError(`clip: ${index} is not a clip of a set of ${clips.length}`);
        return clip;
      },
    },
    problems,
  };
}

interface AudioFile {
  readonly name: string;
  readonly folder: string | undefined;
}

async function audioFiles(root: string): Promise<AudioFile[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch((cause: unknown) => {
    throw new Error(`There is no folder of sounds at ${root}.`, { cause });
  });
  const found: AudioFile[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isFile() && audioFile.test(entry.name)) found.push({ name: entry.name, folder: undefined });
    if (!entry.isDirectory()) continue;
    for (const name of (await readdir(join(root, entry.name))).sort())
      if (audioFile.test(name)) found.push({ name: `${entry.name}/${name}`, folder: entry.name });
  }
  return found;
}

async function readBounded(path: string, maxBytes = 64 * 2 ** 20): Promise<Uint8Array> {
  const file = await open(path, READ_WITHOUT_WAITING);
  try {
    const info = await file.stat();
    // A device has no size, and may have no end.
    if (!info.isFile()) throw new AudioError("not a regular file");
    const { size } = info;
    if (size > maxBytes) throw new AudioError(`file of ${size} bytes is over the limit of ${maxBytes}`);
    return new Uint8Array(await file.readFile());
  } finally {
    await file.close();
  }
}

export interface AudioBatch {
  /** [B, T] samples, or [B, M, F] log-mel spectrograms */
  readonly audio: NDArray<"float32">;
  /** [B] class of each clip, -1 where it lies in no folder */
  readonly classes: NDArray<"int32">;
  /** [B] which clips of the set these are */
  readonly indices: NDArray<"int32">;
}

export interface AudioBatchesOptions {
  readonly key: Key;
  readonly batchSize: number;
  /** Length of every piece; shorter clips are followed by silence. */
  readonly seconds: number;
  /** Which piece of a longer clip: drawn anew at each visit, or always the same. Default `random`. */
  readonly crop?: "random" | "start" | "centre";
  /** Give log-mel spectrograms instead of samples. */
  readonly logMel?: Omit<LogMelOptions, "sampleRate">;
  readonly shuffle?: boolean;
  readonly dropLast?: boolean;
}

/**
 * Batches of pieces of clips, of one length.
 *
 * @throws RangeError when the set does not fill a batch or an option is out of its range
 */
export function audioBatches(set: AudioSet, options: AudioBatchesOptions): BatchSource<AudioBatch> {
  const { key, batchSize, seconds, crop = "random" } = options;
  const length = Math.round(seconds * set.sampleRate);
  if (!(length >= 1)) throw new RangeError(`audioBatches: seconds must be > 0, got ${seconds}`);
  const plan = batchPlan({
    key,
    count: set.count,
    batchSize,
    ...(options.shuffle === undefined ? {} : { shuffle: options.shuffle }),
    ...(options.dropLast === undefined ? {} : { dropLast: options.dropLast }),
  });
  let closed = false;
  const close = async (): Promise<void> => {
    closed = true;
  };
  return {
    stepsPerEpoch: plan.stepsPerEpoch,
    async batch(step) {
      if (closed) throw new Error("audioBatches: the source is closed");
      const { indices, stepKey } = plan.at(step);
      const pieces = Array.from(indices, (index, i) => {
        const start =
          crop === "random" ? new RandomStream(foldIn(stepKey, i)).uniform(0, 1) : crop === "start" ? 0 : 0.5;
        return fitLength(set.clip(index), length, start);
      });
      const features = options.logMel
        ? pieces.map((piece) => logMel(piece, { ...options.logMel, sampleRate: set.sampleRate }))
        : pieces.map((data): NDArray<"float32"> => ({ dtype: "float32", shape: [length], data }));
      return {
        audio: stacked(features),
        classes: {
          dtype: "int32",
          shape: [indices.length],
          data: Int32Array.from(indices, (i) => set.classes.indices[i] as number),
        },
        indices: { dtype: "int32", shape: [indices.length], data: Int32Array.from(indices) },
      };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function stacked(items: readonly NDArray<"float32">[]): NDArray<"float32"> {
  const shape = items[0]?.shape ?? [];
  const size = items[0]?.data.length ?? 0;
  const data = new Float32Array(items.length * size);
  items.forEach((item, i) => {
    data.set(item.data, i * size);
  });
  return { dtype: "float32", shape: [items.length, ...shape], data };
}
