import { siblingModule, WorkerPool } from "../threads/worker-pool.ts";
import { type BatchSource, checkStep } from "./batch-source.ts";

/** A module that can make batches in a worker thread. */
export interface BatchSourceModule<Options, Batch> {
  createBatchSource(options: Options): BatchSource<Batch> | Promise<BatchSource<Batch>>;
}

export interface WorkerSourceOptions<Options> {
  /** URL of a `BatchSourceModule`; `.ts` sources work where the main program runs from source. */
  readonly module: URL;
  /** Given to the module's `createBatchSource` in every thread; plain data (structured clone). */
  readonly options: Options;
  /** Threads, each with a source of its own. Default 1. */
  readonly workers?: number;
}

/** Batches that a thread is asked for at a time: it makes the next one while the step of a training blocks the caller. */
const DEPTH = 2;

/** What a thread is asked: its number of steps per epoch, or a batch. */
export type WorkerSourceRequest =
  | { readonly kind: "steps" }
  | { readonly kind: "batch"; readonly step: number };

/** What a thread is started with. */
export interface WorkerSourceData<Options> {
  readonly module: string;
  readonly options: Options;
}

/**
 * A batch source that works in threads of its own, so that making data does not hold up a thread that computes.
 * Arrays of a batch move over without a copy: the source must not keep them. Usually wrapped in `prefetch`.
 *
 * @throws whatever the module throws when its source is made
 */
export async function workerSource<Batch, Options = unknown>(
  options: WorkerSourceOptions<Options>,
): Promise<BatchSource<Batch>> {
  const workerData: WorkerSourceData<Options> = {
    module: options.module.href,
    options: options.options,
  };
  const pool = new WorkerPool<WorkerSourceRequest, Batch | number>(
    siblingModule(import.meta.url, "./batch-worker"),
    { size: options.workers ?? 1, depth: DEPTH, workerData },
  );
  const close = (): Promise<void> => pool.close();
  try {
    const stepsPerEpoch = (await pool.run({ kind: "steps" })) as number;
    return {
      stepsPerEpoch,
      async batch(step) {
        checkStep(step);
        return (await pool.run({ kind: "batch", step })) as Batch;
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
