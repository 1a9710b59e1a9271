import { stat } from "node:fs/promises";
import { dirname, isAbsolute, normalize } from "node:path";
import {
  AudioError,
  clipStatistics,
  decodeAudio,
  decodeDepthMap,
  describeProblem,
  ImageFileError,
  type ImageFiles,
  imageDecoder,
  kaldiFbank,
  mixToMono,
  openImageFiles,
  type RowProblem,
  readLocation,
  resample,
  standardise,
  toFloatImages,
} from "@concord/data";
import { foldIn, type Key, type NDArray, permutation, RandomStream } from "@concord/tensor";
import type { UnitContext } from "../../harness/contract.ts";
import { audioChunkFusion, chunkStartRanges } from "./audio-chunks.ts";
import type { LanguageBindConfig } from "./config.ts";
import { PAPER_DEFAULTS, type Sensor } from "./defaults.ts";
import { depthTransform, resizeAndCrop } from "./depth-transform.ts";
import type { OwnRun, SampleFiles } from "./own-data.ts";
import { framesIn, type Report, type Row, readRows } from "./own-rows.ts";

/** Rejected rows that are shown one by one. */
const SHOWN_PROBLEMS = 5;
/** Most bytes of a file's samples as the encoders take them. */
const MAX_BYTES = 8 * 2 ** 30;
/** Of a seed's key: moments of clips that stand for them. */
const CLIP_STREAM = 21;
const MAX_FRAMES = 4096;

/** Samples of a file, decoded. */
export interface OwnSamples {
  /** [n, 3, H, W], of video [n, T, 3, H, W] */
  readonly inputs: NDArray<"float32">;
  readonly captions: readonly string[];
  /** Colour pictures of the same events; null unless every row has one. */
  readonly pictures: NDArray<"float32"> | null;
  readonly labels: readonly (string | undefined)[];
  /** What each sample belongs with across sensors: its class or clip, else its caption. */
  readonly owners: readonly string[];
  /** The file or clip of each sample, which is on one side of the split. */
  readonly names: readonly string[];
}

/** A path in some files to the values that an encoder takes; throws ImageFileError or AudioError with the reason. */
type Decode = (path: string, key: Key) => Promise<Float32Array>;

function bytesOf(files: ImageFiles): (path: string) => Promise<Uint8Array> {
  return async (path) => readLocation(await files.locate(path));
}

function pictureDecoder(
  files: ImageFiles,
  side: number,
): { readonly decode: Decode; close(): Promise<void> } {
  const decoder = imageDecoder({ size: side });
  return {
    async decode(path) {
      const reply = await decoder.decode(await files.locate(path), "pixels");
      if (!reply.ok) throw new ImageFileError(reply.reason);
      const pixels = reply.pixels as Uint8Array<ArrayBuffer>;
      const image = toFloatImages({ dtype: "uint8", shape: [1, 3, side, side], data: pixels });
      return standardise(image, clipStatistics).data;
    },
    close: () => decoder.close(),
  };
}

/** Log-mel chunks of a sound: 16 kHz, mean subtracted, Kaldi's filterbank. */
function audioDecoder(files: ImageFiles, [bins, frames]: readonly [number, number]): Decode {
  const read = bytesOf(files);
  return async (path, key) => {
    const clip = await decodeAudio(await read(path));
    const signal = resample(mixToMono(clip), clip.sampleRate, PAPER_DEFAULTS.sampleRate);
    if (signal.length < PAPER_DEFAULTS.sampleRate / 20) throw new AudioError("less than 50 ms of sound");
    if (!signal.every(Number.isFinite)) throw new AudioError("a sample is not finite");
    const mean = signal.reduce((sum, x) => sum + x, 0) / signal.length;
    const mel = kaldiFbank(
      signal.map((x) => x - mean),
      { sampleRate: PAPER_DEFAULTS.sampleRate, bins },
    );
    const random = new RandomStream(key);
    const length = mel.shape[0] as number;
    const ranges = length > frames ? chunkStartRanges(length, frames) : [];
    const starts = [0, 1, 2].map((i) => {
      const [first, last] = ranges[i] ?? [0, 0];
      return first + random.integer(last - first + 1);
    }) as [number, number, number];
    return audioChunkFusion(mel, { target: frames, starts }).data;
  };
}

function depthDecoder(files: ImageFiles, side: number): Decode {
  const read = bytesOf(files);
  return async (path) =>
    (await resizeAndCrop(depthTransform(await decodeDepthMap(await read(path))), side)).data;
}

const VIDEO_FILE = /\.(mp4|avi|mov|webm|mkv)$/i;
const PICTURE_FILE = /\.(jpe?g|png|webp)$/i;

/** Frames of a clip: those that its path names, or all that lie in the folder that it names. */
async function frameNames(root: string, path: string): Promise<string[]> {
  const named = path.split("|").filter((name) => name.trim() !== "");
  const [first] = named;
  if (named.length !== 1 || first === undefined || PICTURE_FILE.test(first)) return named;
  const folder = normalize(first.replace(VIDEO_FILE, ""));
  if (isAbsolute(folder) || folder.startsWith(".."))
    throw new ImageFileError("path leads outside the folder");
  return framesIn(root, folder).catch(() => {
    throw new ImageFileError(
      "no folder of frames of this name (videos are read as pictures of their frames)",
    );
  });
}

/** T frames, evenly spaced. */
function videoDecoder(root: string, picture: Decode, frames: number): Decode {
  return async (path, key) => {
    const names = await frameNames(root, path);
    if (names.length < 1 || names.length > MAX_FRAMES)
      throw new ImageFileError(`expected 1 to ${MAX_FRAMES} frames, got ${names.length}`);
    const decoded: Float32Array[] = [];
    for (let t = 0; t < frames; t++) {
      const at = frames === 1 ? 0 : Math.round((t * (names.length - 1)) / (frames - 1));
      decoded.push(await picture(names[at] as string, key));
    }
    const size = decoded[0]?.length ?? 0;
    const all = new Float32Array(frames * size);
    decoded.forEach((frame, t) => {
      all.set(frame, t * size);
    });
    return all;
  };
}

/** Where the paths of a file start if nothing else is said. */
async function folderOf(table: string): Promise<string> {
  return (await stat(table).catch(() => null))?.isDirectory() ? table : dirname(table);
}

/** Shape of one sample of a sensor. */
export function sampleShape(sensor: Sensor | "image", config: LanguageBindConfig): readonly number[] {
  const still = [3, ...config.encoder.inputSize];
  if (sensor === "audio") return [3, ...config.data.own.audio];
  return sensor === "video" ? [config.data.frames, ...still] : still;
}

/**
 * Reads the samples of one file. Rows without a usable file or caption are skipped, counted and told.
 *
 * @throws Error when the file cannot be read, has no usable row, lacks a column, or in strict mode has a bad row
 */
export async function loadOwnSamples(
  context: UnitContext<unknown>,
  run: OwnRun,
  sensor: Sensor | "image",
  { table, files: place }: SampleFiles,
): Promise<OwnSamples> {
  const { config } = run;
  const problems: RowProblem[] = [];
  const report: Report = (problem) => {
    const full = { file: table, ...problem };
    if (run.strict) throw new Error(describeProblem(full));
    problems.push(full);
  };
  const root = place ?? (await folderOf(table));
  const pictureRoot = run.pairs.files ?? (await folderOf(run.pairs.table));
  const rows = await readRows({
    table,
    root,
    pictureRoot,
    sensor,
    labelColumn: run.labelColumn,
    key: foldIn(context.key, CLIP_STREAM),
    report,
  });
  const files = await openImageFiles(root);
  const [side] = config.encoder.inputSize;
  const still = pictureDecoder(files, side);
  const pictureFiles = await openImageFiles(pictureRoot);
  const paired = pictureDecoder(pictureFiles, side);
  const decode: Decode = {
    image: still.decode,
    infrared: still.decode,
    video: videoDecoder(root, still.decode, config.data.frames),
    depth: depthDecoder(files, side),
    audio: audioDecoder(files, config.data.own.audio),
  }[sensor];
  const shape = sampleShape(sensor, config);
  const size = shape.reduce((a, b) => a * b, 1);
  if (rows.length * size * 4 > MAX_BYTES)
    throw new Error(
      `${table}: ${rows.length} samples of [${shape.join(", ")}] take more than ${MAX_BYTES / 2 ** 30} GiB; give fewer or smaller ones.`,
    );
  const kept: { readonly row: Row; readonly values: Float32Array; readonly picture: Float32Array | null }[] =
    [];
  const read = new Map<string, Float32Array>();
  const shown = new Map<string, Float32Array>();
  try {
    for (const [i, row] of rows.entries()) {
      context.signal.throwIfAborted();
      try {
        // A file with several captions is read once, and so is a picture that many samples show.
        const values = read.get(row.path) ?? (await decode(row.path, foldIn(context.key, row.line)));
        read.set(row.path, values);
        const picture =
          row.picture === undefined
            ? null
            : (shown.get(row.picture) ?? (await paired.decode(row.picture, context.key)));
        if (row.picture !== undefined && picture) shown.set(row.picture, picture);
        kept.push({ row, values, picture });
      } catch (error) {
        if (!(error instanceof ImageFileError || error instanceof AudioError || error instanceof RangeError))
          throw error;
        // Sounds and maps come from the same folders and archives as images.
        const reason = error.message.replace(/\bimage (file|folder)/, "$1");
        report({ line: row.line, reason, value: row.path.slice(0, 200) });
      }
      if (i % 16 === 0) context.progress({ phase: `reading ${sensor}`, step: i, steps: rows.length });
    }
  } finally {
    await still.close();
    await paired.close();
  }
  if (problems.length > 0) {
    context.note(`${table}: ${problems.length} rows were skipped.`, "warning");
    for (const problem of problems.slice(0, SHOWN_PROBLEMS))
      context.note(describeProblem(problem), "warning");
  }
  if (kept.length === 0)
    throw new Error(
      problems[0]
        ? `${table} has no usable row; the first problem: ${describeProblem(problems[0])}.`
        : `${table} has no rows: expected a heading with the columns ${sensor} and caption, then a row for each sample.`,
    );
  const stacked = (values: readonly Float32Array[], of: readonly number[]): NDArray<"float32"> => {
    const data = new Float32Array(values.length * of.reduce((a, b) => a * b, 1));
    values.forEach((item, i) => {
      data.set(item, i * item.length);
    });
    return { dtype: "float32", shape: [values.length, ...of], data };
  };
  const pictures = kept.map(({ picture }) => picture);
  return {
    inputs: stacked(
      kept.map(({ values }) => values),
      shape,
    ),
    captions: kept.map(({ row }) => row.caption),
    labels: kept.map(({ row }) => row.label),
    owners: kept.map(({ row }) => row.owner ?? row.label ?? row.caption),
    names: kept.map(({ row }) => row.group ?? row.path),
    pictures: pictures.every((picture) => picture !== null)
      ? stacked(pictures, sampleShape("image", config))
      : null,
  };
}

/**
 * Which samples train and which are held out. All samples of a file are on one side, and of a held-out file the first
 * sample stands for all.
 *
 * @param names  the file of each sample
 * @throws Error when there are too few files for both
 */
export function splitRows(
  key: Key,
  names: readonly string[],
  heldOut: number,
  what: string,
): { readonly training: readonly number[]; readonly evaluation: readonly number[] } {
  const first = new Map<string, number>();
  names.forEach((name, i) => {
    if (!first.has(name)) first.set(name, i);
  });
  const files = [...first.keys()];
  const held = Math.max(1, Math.round(files.length * heldOut));
  if (files.length - held < 2)
    throw new Error(
      `${what}: ${files.length} usable files are too few to train on and to hold some out; expected at least 3.`,
    );
  const order = Array.from(permutation(key, files.length), (i) => files[i] as string);
  const kept = new Set(order.slice(held));
  return {
    training: Array.from(names.keys()).filter((i) => kept.has(names[i] as string)),
    evaluation: order.slice(0, held).map((name) => first.get(name) as number),
  };
}
