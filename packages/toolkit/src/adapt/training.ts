import { setImmediate as yieldToEvents } from "node:timers/promises";
import type { BatchSource } from "@concord/data";
import type { Feed, Trainer } from "@concord/tensor";
import { isBetter, type MetricInfo } from "./evaluate.ts";
import { copyTree, type Trainable } from "./model.ts";
import type { AdaptProgress } from "./request.ts";

/** One look at the validation rows. */
export interface Look {
  readonly step: number;
  readonly value: number;
  /** Mean over the steps since the look before; null at step 0. */
  readonly loss: number | null;
}

/** All that the next step depends on. */
export interface TrainingPoint<S> {
  readonly step: number;
  readonly state: S;
  readonly best: Trainable;
  readonly bestStep: number;
  readonly looks: readonly Look[];
  /** Sum of the losses since the last look, and how many. */
  readonly lossSum: number;
  readonly lossCount: number;
}

export interface TrainingOptions<S, B> {
  readonly trainer: Trainer<S, B, Record<string, never>> | Trainer<S, B, never>;
  readonly source: Pick<BatchSource<Feed<B>>, "batch">;
  readonly steps: number;
  readonly samplesPerStep: number;
  readonly metric: MetricInfo;
  readonly evaluateEvery: number;
  readonly patience: number;
  readonly start: Trainable;
  readonly saved: TrainingPoint<S> | null;
  /** What of the state is trained. */
  readonly trainableOf: (state: S) => Trainable;
  readonly evaluate: (trainable: Trainable) => Promise<number>;
  readonly save: (point: TrainingPoint<S>) => Promise<void>;
  readonly saveEverySeconds: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: AdaptProgress) => void) | undefined;
}

export interface TrainingReport {
  readonly best: Trainable;
  readonly bestStep: number;
  readonly steps: number;
  /** Whether training ended because nothing better came. */
  readonly stoppedEarly: boolean;
  readonly looks: readonly Look[];
  /** Seconds of this attempt. */
  readonly dataSeconds: number;
  readonly computeSeconds: number;
  readonly samplesPerSecond: number;
}

const PROGRESS_MS = 100;
const YIELD_MS = 20;

/** Whether the last `patience` looks brought nothing better than those before. */
function hasEnded(metric: MetricInfo, looks: readonly Look[], patience: number): boolean {
  const best = bestLook(metric, looks);
  return looks.length - 1 - looks.indexOf(best) >= patience;
}

function bestLook(metric: MetricInfo, looks: readonly Look[]): Look {
  return looks.reduce((best, look) => (isBetter(metric, look.value, best.value) ? look : best));
}

/**
 * Trains and looks at the validation rows from time to time; keeps the best weights and stops when none better came for
 * a while. What it does depends on the request alone: a run that was killed and goes on from a saved point ends with
 * the same bits.
 */
export async function trainToBest<S, B>(options: TrainingOptions<S, B>): Promise<TrainingReport> {
  const {
    trainer,
    source,
    steps,
    samplesPerStep,
    metric,
    evaluateEvery,
    patience,
    saved,
    signal,
    onProgress,
  } = options;
  let step = saved?.step ?? 0;
  let best = saved?.best ?? options.start;
  let bestStep = saved?.bestStep ?? 0;
  let looks: readonly Look[] = saved?.looks ?? [];
  let [lossSum, lossCount] = [saved?.lossSum ?? 0, saved?.lossCount ?? 0];
  if (saved) trainer.restore(saved.state);
  let [dataSeconds, computeSeconds] = [0, 0];
  let [savedTime, shownTime, yieldedTime] = [performance.now(), 0, performance.now()];
  const first = step;

  const look = async (): Promise<void> => {
    const trainable = step === 0 ? options.start : options.trainableOf(trainer.state());
    const value = await options.evaluate(trainable);
    const before = looks.length === 0 ? null : bestLook(metric, looks);
    looks = [...looks, { step, value, loss: lossCount === 0 ? null : lossSum / lossCount }];
    [lossSum, lossCount] = [0, 0];
    if (before === null || isBetter(metric, value, before.value)) {
      best = copyTree(trainable);
      bestStep = step;
    }
  };
  const save = async (): Promise<void> => {
    await options.save({ step, state: trainer.state(), best, bestStep, looks, lossSum, lossCount });
    savedTime = performance.now();
  };
  const show = (loss: number | undefined): void => {
    const seconds = dataSeconds + computeSeconds;
    onProgress?.({
      phase: "training",
      done: step,
      total: steps,
      ...(loss === undefined ? {} : { loss }),
      ...(looks.length === 0
        ? {}
        : { metric: (looks.at(-1) as Look).value, best: bestLook(metric, looks).value }),
      ...(seconds > 0 ? { samplesPerSecond: ((step - first) * samplesPerStep) / seconds } : {}),
      dataSeconds,
      computeSeconds,
    });
  };

  if (looks.length === 0) await look();
  let ended = hasEnded(metric, looks, patience);
  while (step < steps && !ended) {
    if (signal?.aborted) {
      await save();
      signal.throwIfAborted();
    }
    const waiting = performance.now();
    const batch = await source.batch(step);
    const computing = performance.now();
    const { loss } = (await trainer.step(batch as never)) as { readonly loss: number };
    const done = performance.now();
    dataSeconds += (computing - waiting) / 1000;
    computeSeconds += (done - computing) / 1000;
    step++;
    lossSum += loss;
    lossCount++;
    if (step % evaluateEvery === 0 || step === steps) {
      await look();
      ended = hasEnded(metric, looks, patience);
    }
    if (done - shownTime >= PROGRESS_MS || step === steps || ended) {
      show(loss);
      shownTime = done;
    }
    if (step === steps || ended || (performance.now() - savedTime) / 1000 >= options.saveEverySeconds)
      await save();
    if (performance.now() - yieldedTime >= YIELD_MS) {
      await yieldToEvents();
      yieldedTime = performance.now();
    }
  }
  const seconds = dataSeconds + computeSeconds;
  return {
    best,
    bestStep,
    steps: step,
    stoppedEarly: step < steps,
    looks,
    dataSeconds,
    computeSeconds,
    samplesPerSecond: seconds > 0 ? ((step - first) * samplesPerStep) / seconds : 0,
  };
}
