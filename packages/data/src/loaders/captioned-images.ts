import { type ImageDecoder, imageDecoder } from "../images/image-decoder.ts";
import {
  ImageFileError,
  type ImageFiles,
  type ImageFilesLimits,
  normaliseImageName,
  openImageFiles,
} from "../images/image-files.ts";
import { type CaptionedImageSet, captionedImageSet, labelColumn } from "../images/image-set.ts";
import { decodedPixels, filePixels, memoryPixels, type PixelStore } from "../images/pixel-store.ts";
import {
  describeProblem,
  type PairRow,
  type PairSource,
  ProblemLog,
  type RowProblems,
  shownValue,
} from "./rows.ts";

export interface LoadProgress {
  /** Images looked at so far, and in all. */
  readonly done: number;
  readonly total: number;
  /** Images that could not be used. */
  readonly failed: number;
}

export interface LoadCaptionedImagesOptions {
  readonly pairs: PairSource;
  /** Folder, `.tar` or `.tar.gz` that image paths are relative to, or what finds images by name. */
  readonly images: string | ImageFiles;
  /** Side S of the images: shorter side scaled to S, centre cut out. */
  readonly size: number;
  /** Throw at the first row that cannot be used, instead of skipping and counting. Default false. */
  readonly strict?: boolean;
  /**
   * Where decoded images are kept during training. `disk` needs a cacheDirectory; `source` keeps none and decodes
   * at each visit, in the decoding threads. Default `memory`.
   */
  readonly keep?: "memory" | "disk" | "source";
  /** Most bytes of decoded images in memory. Default 4 GiB. */
  readonly maxMemoryBytes?: number;
  /** Folder for decoded images, so that a later load need not decode again. */
  readonly cacheDirectory?: string;
  /** Largest width times height of a source image. Default 64 million. */
  readonly maxPixels?: number;
  /** Limits on image files and archives. */
  readonly limits?: ImageFilesLimits;
  /** Longest caption in characters. Default 10 000. */
  readonly maxCaptionCharacters?: number;
  /** Most rows read. Default 20 million. */
  readonly maxRows?: number;
  /** Decoding threads. */
  readonly workers?: number;
  /** Called at most about ten times a second and once at the end. */
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
}

export interface LoadedCaptionedImages extends AsyncDisposable {
  readonly set: CaptionedImageSet;
  /** Rows that were skipped. */
  readonly problems: RowProblems;
  /** Ends the decoding threads of `keep: source`; nothing to do otherwise. */
  close(): Promise<void>;
}

/** An image with all rows that name it. */
interface Entry {
  readonly name: string;
  readonly rows: PairRow[];
}

/**
 * Reads captioned images: rows are grouped by image, every image is decoded once to [3, S, S] bytes in worker
 * threads. The order of the images is that of their first row. Labels are those of the first row of an image.
 * A row is skipped and counted when its caption is empty or too long, or its image is missing, outside the
 * folder, too large, of another format than JPEG, PNG and WebP, or broken.
 *
 * @throws RowError in strict mode, naming file and line
 * @throws Error when a file cannot be read as a whole, a limit is exceeded, or no row is left
 */
export async function loadCaptionedImages(
  options: LoadCaptionedImagesOptions,
): Promise<LoadedCaptionedImages> {
  const { pairs, size, keep = "memory", cacheDirectory } = options;
  if (keep === "disk" && cacheDirectory === undefined)
    throw new Error("loadCaptionedImages: keep: disk needs a cacheDirectory");
  const problems = new ProblemLog(options.strict ?? false);
  const files = await openImageFiles(options.images, options.limits);
  const entries = await groupByImage(pairs, problems, options);
  checkMemory(entries.length, options);
  const decoder = imageDecoder({
    size,
    ...(options.maxPixels === undefined ? {} : { maxPixels: options.maxPixels }),
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    ...(cacheDirectory === undefined ? {} : { cacheDirectory }),
  });
  let set: CaptionedImageSet;
  try {
    set = await decodedSet(entries, files, decoder, problems, options);
  } catch (error) {
    await decoder.close();
    throw error;
  }
  if (keep !== "source") await decoder.close();
  const close = (): Promise<void> => decoder.close();
  return { set, problems, close, [Symbol.asyncDispose]: close };
}

async function decodedSet(
  entries: readonly Entry[],
  files: ImageFiles,
  decoder: ImageDecoder,
  problems: ProblemLog,
  options: LoadCaptionedImagesOptions,
): Promise<CaptionedImageSet> {
  const { kept, store } = await decodeAll(entries, files, decoder, problems, options);
  options.signal?.throwIfAborted();
  if (kept.length === 0) {
    const first = problems.records[0];
    throw new Error(
      `${options.pairs.file} has no usable row` +
        (first ? `; ${problems.count} were rejected, the first: ${describeProblem(first)}` : ""),
    );
  }
  return captionedImageSet({
    names: kept.map((entry) => entry.name),
    captions: kept.map((entry) => entry.rows.map((row) => row.caption)),
    labels: collectLabels(kept),
    store,
  });
}

async function groupByImage(
  pairs: PairSource,
  problems: ProblemLog,
  options: LoadCaptionedImagesOptions,
): Promise<Entry[]> {
  const { maxCaptionCharacters = 10_000, maxRows = 20e6, signal } = options;
  const entries = new Map<string, Entry>();
  let rows = 0;
  for await (const row of pairs.rows((problem) => problems.add(problem))) {
    signal?.throwIfAborted();
    if (++rows > maxRows) throw new Error(`${row.file} has more than ${maxRows} rows`);
    const caption = row.caption.trim();
    const reject = (reason: string, value: string): void =>
      problems.add({ file: row.file, line: row.line, reason, value: shownValue(value) });
    if (caption === "") {
      reject("empty caption", row.caption);
      continue;
    }
    if (caption.length > maxCaptionCharacters) {
      reject(`caption is longer than ${maxCaptionCharacters} characters`, caption);
      continue;
    }
    let name: string;
    try {
      name = normaliseImageName(row.image);
    } catch (error) {
      if (!(error instanceof ImageFileError)) throw error;
      reject(error.message, row.image);
      continue;
    }
    const entry = entries.get(name) ?? { name, rows: [] };
    entry.rows.push({ ...row, caption });
    entries.set(name, entry);
  }
  return [...entries.values()];
}

function checkMemory(count: number, options: LoadCaptionedImagesOptions): void {
  const { size, keep = "memory", maxMemoryBytes = 4 * 2 ** 30 } = options;
  const bytes = count * 3 * size * size;
  if (keep === "memory" && bytes > maxMemoryBytes) {
    throw new Error(
      `${count} images of ${size} x ${size} take ${bytes} bytes in memory, over the limit of ${maxMemoryBytes}; ` +
        "keep them on disk (keep: disk with a cacheDirectory), choose a smaller size or raise maxMemoryBytes.",
    );
  }
}

async function decodeAll(
  entries: readonly Entry[],
  files: ImageFiles,
  decoder: ImageDecoder,
  problems: ProblemLog,
  options: LoadCaptionedImagesOptions,
): Promise<{ readonly kept: readonly Entry[]; readonly store: PixelStore }> {
  const { size, keep = "memory", signal, onProgress } = options;
  const length = 3 * size * size;
  const pixels = keep === "memory" ? new Uint8Array(entries.length * length) : new Uint8Array(0);
  /** Path of the cache file (empty when in memory) or the reason of the failure, per entry. */
  const outcomes: ({ readonly path: string } | { readonly reason: string })[] = new Array(entries.length);
  let next = 0;
  let done = 0;
  let failed = 0;
  let reported = 0;
  const decodeNext = async (): Promise<void> => {
    while (next < entries.length) {
      signal?.throwIfAborted();
      const index = next++;
      const outcome = await decodeOne(entries[index] as Entry, files, decoder, keep);
      if ("reason" in outcome) {
        failed++;
        // Images before this one are under way or done, so the first failure in the file's order is known.
        if (options.strict) next = entries.length;
      } else if (outcome.pixels && keep === "memory") pixels.set(outcome.pixels, index * length);
      outcomes[index] = "reason" in outcome ? outcome : { path: outcome.path };
      done++;
      const now = performance.now();
      if (onProgress && (now - reported >= 100 || done === entries.length)) {
        reported = now;
        onProgress({ done, total: entries.length, failed });
      }
    }
  };
  await Promise.all(Array.from({ length: decoder.parallel }, decodeNext));

  const kept: Entry[] = [];
  const paths: string[] = [];
  entries.forEach((entry, index) => {
    const outcome = outcomes[index] as (typeof outcomes)[number];
    if ("reason" in outcome) {
      rejectRows(entry, outcome.reason, problems);
      return;
    }
    if (keep === "memory") pixels.copyWithin(kept.length * length, index * length, (index + 1) * length);
    kept.push(entry);
    paths.push(outcome.path);
  });
  const store =
    keep === "memory"
      ? memoryPixels(pixels.subarray(0, kept.length * length), size)
      : keep === "disk"
        ? filePixels(paths, size)
        : decodedPixels(
            kept.map((entry) => entry.name),
            files,
            decoder,
            size,
          );
  return { kept, store };
}

async function decodeOne(
  entry: Entry,
  files: ImageFiles,
  decoder: ImageDecoder,
  keep: "memory" | "disk" | "source",
): Promise<{ readonly path: string; readonly pixels?: Uint8Array } | { readonly reason: string }> {
  try {
    const location = await files.locate(entry.name);
    const reply = await decoder.decode(location, keep === "disk" ? "cacheFile" : "pixels");
    if (!reply.ok) return { reason: reply.reason };
    return { path: reply.cacheFile ?? "", ...(reply.pixels ? { pixels: reply.pixels } : {}) };
  } catch (error) {
    if (error instanceof ImageFileError) return { reason: error.message };
    throw error;
  }
}

function rejectRows(entry: Entry, reason: string, problems: ProblemLog): void {
  for (const row of entry.rows)
    problems.add({ file: row.file, line: row.line, reason, value: shownValue(row.image) });
}

function collectLabels(entries: readonly Entry[]): CaptionedImageSet["labels"] {
  const names = new Set<string>();
  for (const entry of entries) for (const name of entry.rows[0]?.labels.keys() ?? []) names.add(name);
  return Object.fromEntries(
    [...names].map((name) => [name, labelColumn(entries.map((entry) => entry.rows[0]?.labels.get(name)))]),
  );
}
