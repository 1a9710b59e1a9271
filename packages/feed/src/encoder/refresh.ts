import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { acquireLock } from "@concord/papers/files";
import type { Store, VectorSet } from "../store/ports.ts";
import type { TrainingFigures } from "./figures.ts";
import { dropEncoders, newVersion, writeEncoder, writeFigures } from "./folder.ts";
import { clearlyWorse, titlePlaces, wordQuality } from "./judge.ts";
import { qualityOf } from "./retrieval.ts";
import { openTextEncoder, type TextEncoder } from "./text-encoder.ts";
import {
  forgetCheckpoints,
  type TrainingOptions,
  type TrainingPaper,
  type TrainingProgress,
  trainEncoder,
} from "./training.ts";

export interface EncodingProgress {
  readonly phase: "encoding";
  readonly done: number;
  readonly of: number;
  readonly seconds: number;
}

export interface RefreshOptions extends Pick<TrainingOptions, "settings" | "checkpointSeconds" | "signal"> {
  readonly store: Store;
  /** Folder with one subfolder a version. */
  readonly modelsFolder: string;
  /** Threads of the engine for encoding; default: the number of cores. */
  readonly threads?: number;
  readonly onProgress?: (
    progress: TrainingProgress | EncodingProgress | { readonly phase: "judging" },
  ) => void;
  readonly now?: () => Date;
}

/** Another process works on the encoder of this folder. */
export class EncoderBusyError extends Error {
  override readonly name = "EncoderBusyError";
}

const PAPERS_PER_READ = 1000;
const PAPERS_PER_PUT = 128;

/** What is encoded of a paper. */
export function encodedText({
  title,
  abstract,
}: {
  readonly title: string;
  readonly abstract: string;
}): string {
  return `${title}. ${abstract}`;
}

async function trainingPapers(store: Store): Promise<TrainingPaper[]> {
  const papers: TrainingPaper[] = [];
  for (let after = 0; ; ) {
    const page = await store.papers.changes({ after, limit: PAPERS_PER_READ });
    const last = page.at(-1);
    if (last === undefined) return papers;
    for (const { id, title, abstract } of page) papers.push({ id, title, abstract });
    after = last.revision;
  }
}

async function exclusively<T>(modelsFolder: string, work: () => Promise<T>): Promise<T> {
  await mkdir(modelsFolder, { recursive: true });
  const lock = acquireLock(join(modelsFolder, "lock"));
  if (lock === null)
    throw new EncoderBusyError(
      `Another process trains or encodes in ${modelsFolder}; wait until it is done.`,
    );
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/**
 * Encodes the papers that have no vector of a version yet, in batches that are kept as they are made.
 * @returns how many were encoded; the signal's reason is thrown between batches
 */
async function encodeMissing(
  encoder: TextEncoder,
  version: string,
  { store, signal, onProgress }: RefreshOptions,
): Promise<number> {
  const start = performance.now();
  const total = await store.papers.count();
  const sets = await store.vectors.sets();
  const before = sets.find((set) => set.version === version)?.papers ?? 0;
  const expected = Math.max(0, total - before);
  let done = 0;
  for (let after = ""; ; ) {
    const missing = await store.vectors.missing(version, { after, limit: PAPERS_PER_PUT });
    const last = missing.at(-1);
    if (last === undefined) break;
    signal?.throwIfAborted();
    const vectors = await encoder.encode(missing.map(encodedText));
    await store.vectors.put(
      version,
      missing.map(({ id, textHash }, i) => ({
        id,
        textHash,
        vector: vectors.slice(i * encoder.width, (i + 1) * encoder.width),
      })),
    );
    done += missing.length;
    after = last.id;
    const seconds = (performance.now() - start) / 1000;
    onProgress?.({ phase: "encoding", done, of: Math.max(expected, done), seconds });
  }
  return done;
}

/** Makes a version the one that searches use, and forgets the others. */
async function switchTo(version: string, { store, modelsFolder }: RefreshOptions): Promise<void> {
  await store.vectors.activate(version);
  for (const set of await store.vectors.sets())
    if (set.version !== version) await store.vectors.drop(set.version);
  await dropEncoders(modelsFolder, new Set([version]));
}

export interface Indexed {
  readonly version: string;
  readonly encoded: number;
  readonly seconds: number;
}

/**
 * Encodes the papers that came in since the last time, with the encoder in use.
 * @returns null where there is none yet: train one first
 * @throws EncoderBusyError; EncoderFolderError when its folder is damaged
 */
export function indexNewPapers(options: RefreshOptions): Promise<Indexed | null> {
  return exclusively(options.modelsFolder, async () => {
    const start = performance.now();
    const active = await options.store.vectors.active();
    if (active === null) return null;
    await using encoder = await openTextEncoder(
      join(options.modelsFolder, active.version),
      threadsOf(options),
    );
    const encoded = await encodeMissing(encoder, active.version, options);
    return { version: active.version, encoded, seconds: (performance.now() - start) / 1000 };
  });
}

/**
 * Encodes all papers that lack it with an encoder that the owner points at, and makes it the one that searches use.
 * @throws EncoderFolderError when the folder is no sentence encoder; EncoderBusyError
 */
export function indexWithOutsideEncoder(
  folder: string,
  version: string,
  options: RefreshOptions,
): Promise<Indexed> {
  return exclusively(options.modelsFolder, async () => {
    const start = performance.now();
    await using encoder = await openTextEncoder(folder, threadsOf(options));
    await options.store.vectors.create({ version, dimensions: encoder.width, format: "f16" });
    const encoded = await encodeMissing(encoder, version, options);
    await switchTo(version, options);
    return { version, encoded, seconds: (performance.now() - start) / 1000 };
  });
}

export interface Retrained extends Indexed {
  readonly figures: TrainingFigures;
  /** Whether searches use it now. False when it was clearly worse than the one in use, which stays. */
  readonly activated: boolean;
  /** MRR@10 of the encoder in use before, on the same held-out papers; null where there was none. */
  readonly before: number | null;
}

/**
 * Trains an encoder on the store's papers, encodes all of them beside the vectors in use, and swaps both at once. A
 * training or an encoding that was killed goes on where it was. What is clearly worse than the encoder in use, on papers
 * that training did not see, is thrown away.
 *
 * @throws EncoderBusyError; RangeError for too few papers; the signal's reason, with checkpoints kept
 */
export function retrainEncoder(options: RefreshOptions): Promise<Retrained> {
  const { store, modelsFolder, onProgress, signal } = options;
  return exclusively(modelsFolder, async () => {
    const start = performance.now();
    const active = await store.vectors.active();
    const papers = await trainingPapers(store);
    const trained = await trainEncoder(papers, {
      checkpoints: modelsFolder,
      ...(options.settings && { settings: options.settings }),
      ...(options.checkpointSeconds !== undefined && { checkpointSeconds: options.checkpointSeconds }),
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
    });
    const now = options.now?.() ?? new Date();
    const version = newVersion(now);
    const folder = join(modelsFolder, version);
    await writeEncoder(folder, { ...trained, name: version });
    onProgress?.({ phase: "judging" });
    await using encoder = await openTextEncoder(folder, threadsOf(options));
    const places = await titlePlaces(encoder, trained.heldOut);
    const quality = qualityOf(places);
    const figures: TrainingFigures = {
      version,
      finishedAt: now.toISOString(),
      papers: trained.papers,
      heldOut: trained.heldOut.length,
      steps: trained.settings.steps,
      batchSize: trained.settings.batchSize,
      seconds: trained.seconds,
      loss: trained.loss,
      mrr10: quality.mrr10,
      recall10: quality.recall10,
      bm25Mrr10: wordQuality(trained.heldOut).mrr10,
    };
    await writeFigures(folder, figures);
    const old = active && (await placesOfActive(active, trained.heldOut, options));
    const before = old && qualityOf(old).mrr10;
    if (active && old && clearlyWorse(places, old)) {
      await forgetCheckpoints(modelsFolder);
      await dropEncoders(modelsFolder, new Set([active.version]));
      const seconds = (performance.now() - start) / 1000;
      return { version, encoded: 0, seconds, figures, activated: false, before };
    }
    await store.vectors.create({ version, dimensions: encoder.width, format: "f16" });
    const encoded = await encodeMissing(encoder, version, options);
    await switchTo(version, options);
    await forgetCheckpoints(modelsFolder);
    return {
      version,
      encoded,
      seconds: (performance.now() - start) / 1000,
      figures,
      activated: true,
      before,
    };
  });
}

/** Places of the encoder in use; null when its folder cannot be read any more. */
async function placesOfActive(
  { version }: VectorSet,
  heldOut: readonly TrainingPaper[],
  options: RefreshOptions,
): Promise<number[] | null> {
  try {
    await using encoder = await openTextEncoder(join(options.modelsFolder, version), threadsOf(options));
    return await titlePlaces(encoder, heldOut);
  } catch {
    return null;
  }
}

function threadsOf({ threads }: RefreshOptions) {
  return threads === undefined ? {} : { threads };
}
