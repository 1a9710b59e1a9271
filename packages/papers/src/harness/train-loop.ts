import { setImmediate as yieldToEvents } from "node:timers/promises";
import type { ArrayTree, UnitContext } from "./contract.ts";

const DEFAULT_CHECKPOINT_SECONDS = 20;
const YIELD_MS = 20;

/** Something that learns step by step and whose state can be kept. The engine's trainers are such. */
export interface StepTrainer<Batch> {
  /** Learns from one batch; returns finite numbers such as `loss`. */
  step(batch: Batch): Promise<Readonly<Record<string, number>>>;
  /** Everything that the next step depends on. */
  state(): ArrayTree | Promise<ArrayTree>;
  restore(state: ArrayTree): void | Promise<void>;
}

/** A trainer of the engine as one: its state of records of arrays is an array tree, which interfaces cannot say. */
export function stepTrainer<State, Batch>(trainer: {
  step(batch: Batch): Promise<Readonly<Record<string, number>>>;
  state(): State;
  restore(state: State): void;
}): StepTrainer<Batch> {
  return {
    step: (batch) => trainer.step(batch),
    state: () => trainer.state() as unknown as ArrayTree,
    restore: (state) => trainer.restore(state as unknown as State),
  };
}

export interface TrainLoopOptions<Batch> {
  /** Names the phase on curves and in progress, and the checkpoint; unique within the unit. */
  readonly name: string;
  readonly steps: number;
  readonly trainer: StepTrainer<Batch>;
  /**
   * The batch of a step, counted from 0. Must depend on nothing but the step, so that a resumed training sees the
   * batches of one that was never interrupted. Asked for one step ahead: a loader that works in another thread
   * prepares the next batch while this one is computed.
   */
  readonly batchAt: (step: number) => Batch | Promise<Batch>;
  /** Steps between points of the curves; the last step always makes one. Default: about 100 points in all. */
  readonly logEvery?: number;
  /** Seconds between checkpoints, at least. Default 20. */
  readonly checkpointEverySeconds?: number;
  /** Examples per step, for the samples/s shown. */
  readonly samplesPerStep?: number;
  /** Called after every step with the number of steps done and the step's metrics. */
  readonly onMetrics?: (step: number, metrics: Readonly<Record<string, number>>) => void;
}

export interface TrainLoopReport {
  /** Steps that an earlier attempt had done already. */
  readonly resumedAt: number;
  /** Seconds of this attempt in which computing waited for a batch. */
  readonly dataSeconds: number;
  readonly computeSeconds: number;
}

function seconds(from: number, to: number): number {
  return (to - from) / 1000;
}

function checkFinite(name: string, step: number, metrics: Readonly<Record<string, number>>): void {
  for (const [metric, value] of Object.entries(metrics)) {
    if (!Number.isFinite(value)) throw new Error(`${name}: ${metric} became ${value} at step ${step}.`);
  }
}

/**
 * Trains for a number of steps: resumes from the newest checkpoint, logs, reports progress with data wait and compute
 * time apart, keeps a checkpoint from time to time, when cancelled and at the end.
 *
 * @throws Error when a metric is not finite (the training diverged); the signal's reason when the run is cancelled
 */
export async function trainLoop<Batch>(
  context: UnitContext<unknown>,
  options: TrainLoopOptions<Batch>,
): Promise<TrainLoopReport> {
  const { name, steps, trainer, batchAt, samplesPerStep, onMetrics } = options;
  const logEvery = options.logEvery ?? Math.max(1, Math.floor(steps / 100));
  const checkpointEvery = options.checkpointEverySeconds ?? DEFAULT_CHECKPOINT_SECONDS;
  if (!Number.isSafeInteger(steps) || steps < 0) throw new RangeError(`${name}: ${steps} steps`);
  if (!Number.isSafeInteger(logEvery) || logEvery < 1) throw new RangeError(`${name}: logEvery ${logEvery}`);

  const saved = await context.checkpoint.load(name);
  if (saved) await trainer.restore(saved.state);
  const resumedAt = saved?.step ?? 0;
  let savedAt = resumedAt;
  let savedTime = performance.now();
  let yieldedTime = savedTime;
  let dataSeconds = 0;
  let computeSeconds = 0;

  const save = async (step: number): Promise<void> => {
    if (step === savedAt) return;
    await context.checkpoint.save(name, step, await trainer.state());
    savedAt = step;
    savedTime = performance.now();
  };
  const fetchBatch = (step: number): Promise<Batch> | null => {
    if (step >= steps) return null;
    const batch = (async () => batchAt(step))();
    // Awaited a step later; until then a failure must not count as unhandled.
    batch.catch(() => {});
    return batch;
  };

  const begin = performance.now();
  let upcoming = fetchBatch(resumedAt);
  dataSeconds += seconds(begin, performance.now());
  for (let step = resumedAt; upcoming; ) {
    if (context.signal.aborted) {
      await save(step);
      context.signal.throwIfAborted();
    }
    const waiting = performance.now();
    const batch = await upcoming;
    upcoming = fetchBatch(step + 1);
    const computing = performance.now();
    const metrics = await trainer.step(batch);
    const done = performance.now();
    step++;
    dataSeconds += seconds(waiting, computing);
    computeSeconds += seconds(computing, done);

    checkFinite(name, step, metrics);
    onMetrics?.(step, metrics);
    if (step % logEvery === 0 || step === steps) context.log(name, step, metrics);
    context.progress({
      phase: name,
      step,
      steps,
      ...(metrics.loss === undefined ? {} : { loss: metrics.loss }),
      ...(samplesPerStep === undefined
        ? {}
        : { samplesPerSecond: ((step - resumedAt) * samplesPerStep) / (dataSeconds + computeSeconds) }),
      dataSeconds,
      computeSeconds,
    });
    if (step === steps || seconds(savedTime, done) >= checkpointEvery) await save(step);
    if (done - yieldedTime >= YIELD_MS) {
      await yieldToEvents();
      yieldedTime = performance.now();
    }
  }
  return { resumedAt, dataSeconds, computeSeconds };
}
