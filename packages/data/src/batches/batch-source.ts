import { foldIn, type Key, permutation } from "@concord/tensor";

/**
 * Batches by number. `batch(step)` is a pure function of the step, so that a resumed training sees the batches
 * that it would have seen, in any order of asking.
 */
export interface BatchSource<Batch> extends AsyncDisposable {
  readonly stepsPerEpoch: number;
  /** The batch of a step counted from 0 over all epochs. Its arrays belong to the caller. */
  batch(step: number): Promise<Batch>;
  /** Stops threads. Batches asked for later are refused. */
  close(): Promise<void>;
}

/** @throws RangeError when the step is not an integer >= 0 */
export function checkStep(step: number): void {
  if (!Number.isInteger(step) || step < 0)
    throw new RangeError(`batch: the step must be an integer >= 0, got ${step}`);
}

/** Which items come in a step. */
export interface BatchPlan {
  readonly stepsPerEpoch: number;
  at(step: number): {
    /** Items of the batch. */
    readonly indices: Uint32Array;
    readonly epoch: number;
    /** Key for random choices within the epoch, e.g. which caption. */
    readonly epochKey: Key;
    /** Key for random choices within the step, e.g. augmentation. */
    readonly stepKey: Key;
  };
}

export interface BatchPlanOptions {
  readonly key: Key;
  /** Number of items. */
  readonly count: number;
  readonly batchSize: number;
  /** A new random order in every epoch. Default true; false keeps the items' order. */
  readonly shuffle?: boolean;
  /** Leave out the items that do not fill the last batch. Default true; false makes that batch smaller. */
  readonly dropLast?: boolean;
}

/** Independent uses of a plan's key. */
const streams = { order: 0, epoch: 1, step: 2 } as const;

/**
 * Cuts items into batches, epoch after epoch.
 *
 * @throws RangeError when sizes are not positive integers, or no batch would be full
 */
export function batchPlan(options: BatchPlanOptions): BatchPlan {
  const { key, count, batchSize, shuffle = true, dropLast = true } = options;
  for (const [name, value] of Object.entries({ count, batchSize })) {
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`batchPlan: ${name} must be an integer >= 1, got ${value}`);
  }
  if (dropLast && batchSize > count)
    throw new RangeError(
      `batchPlan: ${count} items do not fill one batch of ${batchSize}; allow a smaller last batch`,
    );
  const stepsPerEpoch = dropLast ? Math.floor(count / batchSize) : Math.ceil(count / batchSize);
  const inOrder = Uint32Array.from({ length: shuffle ? 0 : count }, (_, i) => i);
  let cached: { readonly epoch: number; readonly order: Uint32Array } | undefined;
  const orderOf = (epoch: number): Uint32Array => {
    if (!shuffle) return inOrder;
    if (cached?.epoch !== epoch)
      cached = { epoch, order: permutation(foldIn(foldIn(key, streams.order), epoch), count) };
    return cached.order;
  };
  return {
    stepsPerEpoch,
    at(step) {
      checkStep(step);
      const epoch = Math.floor(step / stepsPerEpoch);
      const start = (step % stepsPerEpoch) * batchSize;
      return {
        indices: orderOf(epoch).slice(start, start + batchSize),
        epoch,
        epochKey: foldIn(foldIn(key, streams.epoch), epoch),
        stepKey: foldIn(foldIn(key, streams.step), step),
      };
    },
  };
}
