import { prefetch } from "@concord/data";
import { describeEnvironment } from "@concord/papers/files";
import type { RecipeContext, RecipeTower } from "@concord/papers/recipes";
import { foldIn, randomKey } from "@concord/tensor";
import { adaptBatches, rowPlan } from "./batches.ts";
import type { Dataset } from "./dataset.ts";
import { AdaptRequestError } from "./errors.ts";
import { isBetter } from "./evaluate.ts";
import { type ExportedTower, exportTower } from "./export.ts";
import { digestOfAll } from "./features.ts";
import { makeFeedSource } from "./feeds.ts";
import { checkFolder, type OutputFolder, takeFolder } from "./folder.ts";
import { judge, valueOn, type Yardstick, yardstick } from "./judge.ts";
import { makeEmbedder, startOf, statisticsOf, type Trainable } from "./model.ts";
import { writeEmbeddings, writeExamples } from "./outputs.ts";
import { openEncoders, type Prepared, prepare, readData, streams } from "./prepare.ts";
import { type AdaptRecord, decide, type Outcome } from "./record.ts";
import { adaptReports } from "./report.ts";
import type { AdaptOptions, AdaptRequest } from "./request.ts";
import { type ResolvedRequest, resolveRequest } from "./resolve.ts";
import { spread } from "./split.ts";
import { makeTrainer, type Settings, type StepState } from "./step.ts";
import { gatherRows, type Tower } from "./tower.ts";
import { type Look, type TrainingReport, trainToBest } from "./training.ts";
import { viewTower } from "./view-measure.ts";
import { openViews, viewThreads } from "./views.ts";

/** Validation rows that are looked at again and again, and held-out rows that are measured once. */
const MOST_VALIDATION_ROWS = 1000;
const MOST_HELD_OUT_ROWS = 5000;
const USUAL_LOOKS = 30;
const USUAL_PATIENCE = 10;
const SAVE_EVERY_SECONDS = 10;

export interface AdaptResult {
  readonly record: AdaptRecord;
  /** The output folder. */
  readonly out: string;
  readonly files: readonly ExportedTower[];
}

function contextOf(
  resolved: ResolvedRequest,
  prepared: Prepared,
  request: AdaptRequest,
): {
  readonly context: RecipeContext;
  readonly settings: Settings;
  readonly plan: ReturnType<typeof rowPlan>;
} {
  const { towers, split, groups, labels } = prepared;
  const key = randomKey(resolved.seed);
  const settings = resolved.settings;
  const trainGroups = split.train.map((row) => groups.of[row] as number);
  const plan = rowPlan(foldIn(key, streams.batches), trainGroups, settings.batchSize);
  const recipeTowers = towers.map(
    ({ name, width, anchor, features }): RecipeTower => ({
      name,
      width,
      anchor,
      statistics: statisticsOf(gatherRows(features, split.train)),
    }),
  );
  const context: RecipeContext = {
    options: resolved.options,
    towers: recipeTowers,
    train: resolved.train,
    items: split.train.length,
    labels: labels && resolved.recipe.needs.labels !== "none" ? gatherRows(labels.values, split.train) : null,
    batchSize: plan.batchSize,
    stepsPerEpoch: plan.stepsPerEpoch,
    steps:
      request.steps ??
      Math.max(
        settings.epochs * plan.stepsPerEpoch,
        request.epochs === undefined ? (settings.minimumSteps ?? 1) : 1,
      ),
  };
  return { context, settings, plan };
}

interface CheckpointFacts {
  readonly step: number;
  readonly bestStep: number;
  readonly looks: readonly Look[];
  readonly lossSum: number;
  readonly lossCount: number;
}

async function train(
  folder: OutputFolder,
  request: AdaptRequest,
  resolved: ResolvedRequest,
  prepared: Prepared,
  made: ReturnType<typeof contextOf>,
  stick: Yardstick,
  viewed: Tower | null,
  start: Trainable,
  validation: Uint32Array,
  options: AdaptOptions,
): Promise<TrainingReport> {
  const { context, settings, plan } = made;
  const { recipe } = resolved;
  const key = randomKey(resolved.seed);
  const { signal, onProgress } = options;
  if (!recipe.loss)
    return {
      best: start,
      bestStep: 0,
      steps: 0,
      stoppedEarly: false,
      looks: [{ step: 0, value: await valueOn(stick, validation, start, signal), loss: null }],
      dataSeconds: 0,
      computeSeconds: 0,
      samplesPerSecond: 0,
    };
  const loaded = await folder.loadCheckpoint();
  const saved = loaded && {
    ...(loaded.facts as CheckpointFacts),
    state: (loaded.tree as { state: StepState }).state,
    best: (loaded.tree as { best: Trainable }).best,
  };
  const trainer = makeTrainer(recipe, context, prepared.towers, start, settings, foldIn(key, streams.state));
  // Threads find a recipe by its slug; one that was handed over is in this thread alone.
  const threads = typeof request.recipe === "string" ? viewThreads() : 0;
  const source = adaptBatches(
    plan,
    prepared.towers,
    prepared.split.train,
    context.labels,
    stick.feedSource,
    viewed && { tower: viewed, maker: openViews(recipe, context, threads) },
    signal,
  );
  const ahead = prefetch(source, { ahead: 1 + Math.max(1, threads), until: context.steps });
  try {
    return await trainToBest({
      trainer: trainer as never,
      source: ahead as never,
      steps: context.steps,
      samplesPerStep: plan.batchSize,
      metric: stick.metric,
      evaluateEvery: request.evaluateEvery ?? Math.max(1, Math.round(context.steps / USUAL_LOOKS)),
      patience: request.patience ?? USUAL_PATIENCE,
      start,
      saved,
      trainableOf: ({ head, encoders }: StepState) => ({ head, encoders }),
      evaluate: (trainable) => valueOn(stick, validation, trainable, signal),
      save: async ({ state, best, ...facts }) =>
        folder.saveCheckpoint({ state, best }, facts satisfies CheckpointFacts),
      saveEverySeconds: options.saveEverySeconds ?? SAVE_EVERY_SECONDS,
      signal,
      onProgress,
    });
  } finally {
    await ahead.close();
    await trainer.close();
  }
}

/** What a recipe says against a request is about the request. */
function checkRecipe({ recipe }: ResolvedRequest, context: RecipeContext): void {
  try {
    recipe.check?.(context);
  } catch (error) {
    throw new AdaptRequestError((error as Error).message, { cause: error });
  }
}

/** Digest of everything that decides the result of a request. */
function requestDigest(request: AdaptRequest, resolved: ResolvedRequest, prepared: Prepared): string {
  const { recipe, options, settings, names, anchor, train: mode, heldOut, validation, seed } = resolved;
  const { steps, evaluateEvery, patience, metric, saveEmbeddings = false } = request;
  return digestOfAll([
    JSON.stringify([recipe.slug, options, settings, names, anchor, mode, heldOut, validation, seed]),
    JSON.stringify([steps ?? null, evaluateEvery ?? null, patience ?? null, metric ?? null, saveEmbeddings]),
    prepared.digest,
  ]);
}

/**
 * Runs a paper's recipe on data of one's own: reads pairs, embeds them with the given encoders (kept on disk), trains
 * what the recipe trains, keeps what was best on validation rows, and writes encoders, report and examples.
 *
 *   const { record } = await adapt({
 *     recipe: "clip-refine",
 *     towers: { image: { encoder: "clip/" }, text: { encoder: "clip/" } },
 *     pairs: "pairs.csv",
 *     out: "adapted",
 *   });
 *
 * What is no better than the encoders as they came is not kept: then they are exported, and the record says so.
 *
 * @throws AdaptRequestError, RecipeOptionError for what the request asks; AdaptDataError for data; AdaptFolderError for
 *   the output folder; EncoderError for encoders; the signal's reason when aborted (`resume` goes on from there)
 */
export async function adapt(request: AdaptRequest, options: AdaptOptions = {}): Promise<AdaptResult> {
  const resolved = await resolveRequest(request);
  await checkFolder(request.out, request.resume ?? false);
  const startedAt = new Date().toISOString();
  const opened = await openEncoders(request, resolved.recipe);
  let folder: OutputFolder | undefined;
  let stick: Yardstick | undefined;
  try {
    const dataset = await readData(request, opened, options);
    if (dataset.skipped.count > 0) options.onNote?.(skippedNote(dataset));
    const key = randomKey(resolved.seed);
    const prepared = await prepare(request, resolved, dataset, opened, key, options);
    for (const note of prepared.notes) options.onNote?.(note);
    const made = contextOf(resolved, prepared, request);
    const { context } = made;
    checkRecipe(resolved, context);
    const { recipe } = resolved;
    // Says now, not in the first step, when there is nothing to make views of.
    const feedSource = makeFeedSource();
    const [first] = prepared.towers as readonly [Tower];
    const viewed = recipe.views
      ? await viewTower(first, prepared.split.train, recipe, context, feedSource)
      : null;
    const embedder = makeEmbedder(recipe, context, foldIn(key, streams.base));
    const setup = viewed && {
      tower: viewed,
      measure: recipe.measure,
      key: foldIn(key, streams.views),
    };
    stick = yardstick(request, prepared, context, embedder, feedSource, setup);
    const digest = requestDigest(request, resolved, prepared);
    folder = await takeFolder(request.out, digest, request.resume ?? false);
    if (folder.done) {
      options.onNote?.(`The run in ${request.out} was finished already; this is what came out.`);
      const record = (await folder.readRecord()) as AdaptRecord;
      return { record, out: request.out, files: record.towers.map(({ exported }) => exported) };
    }
    const common = { kind: "concord adapt", version: 1, request: digest } as const;
    await folder.writeRecord({ ...common, status: "running", recipe: recipe.slug, startedAt });

    const validation = spread(prepared.split.validation, MOST_VALIDATION_ROWS);
    const heldOut = spread(prepared.split.heldOut, MOST_HELD_OUT_ROWS);
    const start = await startOf(
      recipe,
      context,
      prepared.towers,
      prepared.split.train,
      foldIn(key, streams.start),
    );
    const baseValue = embedder.base ? await valueOn(stick, validation, null, options.signal) : null;
    const report = await train(
      folder,
      request,
      resolved,
      prepared,
      made,
      stick,
      viewed,
      start,
      validation,
      options,
    );

    options.onProgress?.({ phase: "measuring", done: 0, total: 1 });
    const bestValue = (report.looks.find(({ step }) => step === report.bestStep) as Look).value;
    const judged = await judge(stick, heldOut, report.best, embedder, foldIn(key, streams.intervals));
    const better = baseValue === null || isBetter(stick.metric, bestValue, baseValue);
    const outcome: Outcome = decide(
      judged.comparisons,
      stick.metric.id,
      better,
      new Set(stick.rows(heldOut).groups).size,
      embedder.bits,
    );

    options.onProgress?.({ phase: "exporting", done: 0, total: prepared.towers.length });
    const environment = describeEnvironment();
    const files: ExportedTower[] = [];
    for (const [i, tower] of prepared.towers.entries()) {
      files.push(
        await exportTower(folder, tower, context.towers[i] as RecipeTower, {
          trainable: outcome.kept === "base" ? null : report.best,
          embedder,
          producerVersion: environment.concord ?? "",
          metadata: { recipe: recipe.slug, outcome: outcome.kind, request: digest },
        }),
      );
      options.onProgress?.({ phase: "exporting", done: i + 1, total: prepared.towers.length });
    }
    await writeExamples(folder, prepared, files, heldOut, embedder);
    if (request.saveEmbeddings) await writeEmbeddings(folder, judged);
    const record: AdaptRecord = {
      ...common,
      status: "done",
      recipe: recipe.slug,
      summary: recipe.summary,
      outcome,
      metric: { ...stick.metric, validationBefore: baseValue, validationBest: bestValue },
      comparisons: judged.comparisons,
      data: {
        source:
          request.pairs ??
          Object.fromEntries(prepared.towers.map(({ name }) => [name, vectorsName(request, name)])),
        columns: dataset.columns,
        rows: prepared.rows,
        skipped: { count: dataset.skipped.count, byReason: dataset.skipped.byReason },
        groups: prepared.groups.count,
        labels: prepared.labels?.names.length ?? 0,
        split: {
          train: prepared.split.train.length,
          validation: prepared.split.validation.length,
          heldOut: prepared.split.heldOut.length,
        },
      },
      towers: prepared.towers.map(({ name, width, encoder, anchor, trained }, i) => ({
        name,
        width,
        anchor,
        trained,
        encoder: encoder ? { name: encoder.name, modality: encoder.modality, digest: encoder.digest } : null,
        exported: files[i] as ExportedTower,
      })),
      train: resolved.train,
      options: resolved.options,
      settings: made.settings,
      steps: {
        planned: context.steps,
        done: report.steps,
        best: report.bestStep,
        perEpoch: context.stepsPerEpoch,
        batchSize: context.batchSize,
        stoppedEarly: report.stoppedEarly,
      },
      seed: resolved.seed,
      looks: report.looks,
      seconds: {
        embedding: prepared.embedding.seconds,
        dataWait: report.dataSeconds,
        computing: report.computeSeconds,
        samplesPerSecond: report.samplesPerSecond,
      },
      features: { computed: prepared.embedding.computed, cached: prepared.embedding.cached },
      deviations: recipe.deviations,
      notes: [...(dataset.skipped.count > 0 ? [skippedNote(dataset)] : []), ...prepared.notes],
      startedAt,
      finishedAt: new Date().toISOString(),
      environment,
    };
    for (const [name, page] of await adaptReports(record, judged, stick.directions))
      await folder.write(name, [page]);
    await folder.writeRecord(record);
    await folder.finish();
    return { record, out: request.out, files };
  } finally {
    await stick?.measurer.close();
    await stick?.own?.close();
    await folder?.release();
    await opened.close();
  }
}

function vectorsName(request: AdaptRequest, name: string): string {
  const tower = request.towers[name];
  return tower && "vectors" in tower && typeof tower.vectors === "string" ? tower.vectors : "in memory";
}

function skippedNote({ skipped }: Dataset): string {
  const reasons = Object.entries(skipped.byReason).map(([reason, count]) => `${count} × ${reason}`);
  return `${skipped.count} rows were skipped: ${reasons.join("; ")}. For example ${skipped.examples[0]}`;
}
