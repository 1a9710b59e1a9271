import { createHash } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type TextTokenizer, trainWordTokenizer } from "@concord/data";
import { loadArrays, loadArraysMetadata, saveArrays } from "@concord/papers/files";
import {
  adamw,
  cosineSchedule,
  foldIn,
  type MinimiseState,
  minimise,
  type NDArray,
  randomKey,
  type Tree,
} from "@concord/tensor";
import { tokenCorpus, viewBatches } from "./corpus.ts";
import { type SentenceEncoderParams, type SentenceEncoderShape, sentenceEncoderInit } from "./model.ts";
import { headInit, type ObjectiveOptions, type TrainedParams, viewsLoss } from "./objective.ts";
import { type StemTable, stemTable } from "./stems.ts";

export interface TrainingPaper {
  readonly id: string;
  readonly title: string;
  readonly abstract: string;
}

export interface TrainingSettings {
  readonly maxVocabulary: number;
  /** D */
  readonly width: number;
  readonly batchSize: number;
  readonly steps: number;
  readonly learningRate: number;
  readonly temperature: number;
  readonly dropout: number;
  readonly groupSize: number;
  readonly whitened: number;
  readonly lengths: { readonly anchor: number; readonly title: number; readonly excerpt: number };
  /** Share of the papers that are kept out of training, to judge by; at most `mostHeldOut`. */
  readonly heldOut: number;
  readonly mostHeldOut: number;
  readonly seed: number;
}

/** What `concord index --train` trains with: tuned on papers other than those that the documentation reports. */
export const trainingDefaults: TrainingSettings = {
  maxVocabulary: 32_000,
  width: 256,
  batchSize: 256,
  steps: 300,
  learningRate: 3e-3,
  temperature: 0.05,
  dropout: 0.1,
  groupSize: 8,
  whitened: 0.25,
  lengths: { anchor: 160, title: 24, excerpt: 24 },
  heldOut: 0.05,
  mostHeldOut: 1000,
  seed: 1,
};

export interface TrainingProgress {
  readonly phase: "tokens" | "training";
  readonly step: number;
  readonly steps: number;
  /** Mean since the last report; absent before the first step. */
  readonly loss?: number;
  /** Seconds of this attempt in which a step waited for its batch, and in which it computed. */
  readonly dataSeconds: number;
  readonly computeSeconds: number;
}

export interface TrainingOptions {
  readonly settings?: Partial<TrainingSettings>;
  /** Where checkpoints are kept, so that a killed training goes on. */
  readonly checkpoints?: string;
  readonly checkpointSeconds?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TrainingProgress) => void;
}

export interface TrainedEncoder {
  readonly params: SentenceEncoderParams;
  readonly shape: SentenceEncoderShape;
  readonly tokenizer: TextTokenizer;
  readonly stems: StemTable;
  readonly settings: TrainingSettings;
  readonly papers: number;
  /** Papers that training never saw, to judge by. */
  readonly heldOut: readonly TrainingPaper[];
  readonly loss: number;
  readonly seconds: number;
  /** Step from which this attempt went on. */
  readonly resumedAt: number;
}

/** With fewer papers nothing is learned that words do not tell. */
export const LEAST_PAPERS = 64;
const CHECKPOINT_SECONDS = 30;
const CHECKPOINT_FILE = "training.safetensors";
const REPORT_MS = 500;

/**
 * Trains a sentence encoder on titles and abstracts.
 *
 * Papers are dealt by a fixed key: some are held out, the others give the vocabulary and the batches. Everything is a
 * function of settings, papers and step, so that a training that was killed and goes on ends at the same bits.
 *
 * @throws RangeError for fewer than LEAST_PAPERS papers; the signal's reason when it is aborted, after a checkpoint
 */
export async function trainEncoder(
  papers: readonly TrainingPaper[],
  options: TrainingOptions = {},
): Promise<TrainedEncoder> {
  const start = performance.now();
  const settings: TrainingSettings = { ...trainingDefaults, ...options.settings };
  if (papers.length < LEAST_PAPERS) {
    throw new RangeError(
      `An encoder is trained on at least ${LEAST_PAPERS} papers; there are ${papers.length}.`,
    );
  }
  const { heldOut, training } = dealt(papers, settings);
  const progress = reporter(settings.steps, options.onProgress);
  progress("tokens", 0);
  const tokenizer = trainWordTokenizer(
    training.flatMap(({ title, abstract }) => [title, abstract]),
    { maxVocabulary: settings.maxVocabulary, minCount: 2 },
  );
  const stems = stemTable(tokenizer);
  const corpus = tokenCorpus(training, tokenizer, stems);
  const batchSize = Math.min(settings.batchSize, corpus.papers.length);
  const shape: SentenceEncoderShape = { stems: stems.count, width: settings.width };
  const key = randomKey(settings.seed);
  const batches = viewBatches(corpus, {
    key: foldIn(key, 0),
    batchSize,
    padId: stems.of[tokenizer.padId] as number,
    lengths: settings.lengths,
  });
  const params: TrainedParams = {
    encoder: sentenceEncoderInit(foldIn(key, 1), shape, corpus.rarity),
    head: headInit(foldIn(key, 2), settings.width),
  };
  const objective: ObjectiveOptions = settings;
  const { steps, learningRate } = settings;
  const trainer = minimise({
    params,
    optimiser: adamw({
      learningRate: cosineSchedule({
        peak: learningRate,
        steps,
        warmup: Math.min(20, Math.floor(steps / 10)),
      }),
      weightDecay: 0,
    }),
    loss: (traced, batch: Parameters<typeof viewsLoss>[1]) => viewsLoss(traced, batch, objective),
    options: { name: "sentence encoder" },
  });
  try {
    const keeper = checkpointKeeper(options, fingerprintOf(training, settings));
    const saved = await keeper.load();
    if (saved) trainer.restore(saved.state as unknown as MinimiseState<TrainedParams>);
    const resumedAt = saved?.step ?? 0;
    let loss = saved?.loss ?? Number.NaN;
    for (let step = resumedAt; step < steps; step++) {
      if (options.signal?.aborted) {
        await keeper.save(step, loss, trainer.state() as unknown as Tree<NDArray>);
        options.signal.throwIfAborted();
      }
      const waiting = performance.now();
      const batch = batches.at(step);
      const computing = performance.now();
      const metrics = await trainer.step(batch);
      loss = Number.isNaN(loss) ? metrics.loss : 0.95 * loss + 0.05 * metrics.loss;
      progress("training", step + 1, {
        loss,
        data: computing - waiting,
        compute: performance.now() - computing,
      });
      await keeper.saveIfDue(step + 1, loss, () => trainer.state() as unknown as Tree<NDArray>);
    }
    const { params: trained } = trainer.state();
    return {
      params: trained.encoder,
      shape,
      tokenizer,
      stems,
      settings,
      papers: training.length,
      heldOut,
      loss,
      seconds: (performance.now() - start) / 1000,
      resumedAt,
    };
  } finally {
    await trainer.close();
  }
}

/** Held out are the papers with the lowest hashes: mostly the same ones when papers come in. */
function dealt(papers: readonly TrainingPaper[], { heldOut, mostHeldOut, seed }: TrainingSettings) {
  const hashOf = ({ id }: TrainingPaper) => createHash("sha256").update(`${seed} ${id}`).digest("hex");
  const order = papers
    .map((paper) => ({ paper, hash: hashOf(paper) }))
    .sort((a, b) => (a.hash < b.hash ? -1 : 1))
    .map(({ paper }) => paper);
  const count = Math.min(mostHeldOut, Math.ceil(papers.length * heldOut));
  return { heldOut: order.slice(0, count), training: order.slice(count) };
}

function fingerprintOf(training: readonly TrainingPaper[], settings: TrainingSettings): string {
  const hash = createHash("sha256").update(JSON.stringify(settings));
  for (const { title, abstract } of training) hash.update(title).update("\0").update(abstract).update("\0");
  return hash.digest("hex");
}

function reporter(steps: number, report: TrainingOptions["onProgress"]) {
  let [dataSeconds, computeSeconds, last, phaseBefore] = [0, 0, Number.NEGATIVE_INFINITY, ""];
  return (
    phase: TrainingProgress["phase"],
    step: number,
    done: { readonly loss?: number; readonly data?: number; readonly compute?: number } = {},
  ) => {
    dataSeconds += (done.data ?? 0) / 1000;
    computeSeconds += (done.compute ?? 0) / 1000;
    if (phase === phaseBefore && step < steps && performance.now() - last < REPORT_MS) return;
    [last, phaseBefore] = [performance.now(), phase];
    const loss = done.loss === undefined ? {} : { loss: done.loss };
    report?.({ phase, step, steps, ...loss, dataSeconds, computeSeconds });
  };
}

/** Keeps the state of a training, with what it was a training of. */
function checkpointKeeper(
  { checkpoints, checkpointSeconds = CHECKPOINT_SECONDS }: TrainingOptions,
  fingerprint: string,
) {
  const path = checkpoints === undefined ? null : join(checkpoints, CHECKPOINT_FILE);
  let savedAt = performance.now();
  const save = async (step: number, loss: number, state: Tree<NDArray>) => {
    if (path === null || checkpoints === undefined) return;
    await mkdir(checkpoints, { recursive: true });
    await saveArrays(path, state, { fingerprint, step: String(step), loss: String(loss) });
    savedAt = performance.now();
  };
  return {
    save,
    async saveIfDue(step: number, loss: number, state: () => Tree<NDArray>) {
      if (path !== null && performance.now() - savedAt >= checkpointSeconds * 1000)
        await save(step, loss, state());
    },
    async load() {
      if (path === null) return null;
      try {
        const metadata = await loadArraysMetadata(path);
        // Of other papers or settings: this training starts anew.
        if (metadata.fingerprint !== fingerprint) return null;
        return {
          step: Number(metadata.step),
          loss: Number(metadata.loss),
          state: (await loadArrays(path)).tree,
        };
      } catch {
        return null;
      }
    },
  };
}

/** Forgets the checkpoints of a training that has ended. */
export async function forgetCheckpoints(folder: string): Promise<void> {
  await rm(join(folder, CHECKPOINT_FILE), { force: true });
}
