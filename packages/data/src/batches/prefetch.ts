import { type BatchSource, checkStep } from "./batch-source.ts";

export interface PrefetchOptions {
  /** How many batches after the one asked for are begun. Default 2. */
  readonly ahead?: number;
  /** Steps from this one on are not begun ahead, e.g. the end of the training. */
  readonly until?: number;
}

/** A source that begins the next batches early, and knows how long it let its user wait. */
export interface PrefetchedSource<Batch> extends BatchSource<Batch> {
  /** Seconds that the user waited for batches, all together. */
  readonly waitedSeconds: number;
}

/**
 * Begins batches before they are asked for. It gains as much as the source works outside the calling thread:
 * on disk, or in threads (see `workerSource`); work of the calling thread itself is not hidden.
 *
 * Asking for steps out of order is allowed; batches begun in vain are dropped. Closes the source when closed.
 *
 * @throws RangeError when `ahead` is not an integer >= 1
 */
export function prefetch<Batch>(
  source: BatchSource<Batch>,
  options: PrefetchOptions = {},
): PrefetchedSource<Batch> {
  const { ahead = 2, until = Number.POSITIVE_INFINITY } = options;
  if (!Number.isInteger(ahead) || ahead < 1)
    throw new RangeError(`prefetch: ahead must be an integer >= 1, got ${ahead}`);
  const begun = new Map<number, Promise<Batch>>();
  let waited = 0;
  let closed = false;

  const begin = (step: number): Promise<Batch> => {
    const known = begun.get(step);
    if (known) return known;
    const batch = source.batch(step);
    // A failure is handed to whoever asks for this step; until then nobody listens.
    batch.catch(() => {});
    begun.set(step, batch);
    return batch;
  };
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    const pending = [...begun.values()];
    begun.clear();
    await source.close();
    await Promise.allSettled(pending);
  };

  return {
    stepsPerEpoch: source.stepsPerEpoch,
    get waitedSeconds() {
      return waited;
    },
    async batch(step) {
      if (closed) throw new Error("prefetch: the source is closed");
      checkStep(step);
      const start = performance.now();
      const wanted = begin(step);
      for (const other of begun.keys()) if (other < step || other > step + ahead) begun.delete(other);
      for (let next = step + 1; next <= step + ahead && next < until; next++) begin(next);
      try {
        return await wanted;
      } finally {
        begun.delete(step);
        waited += (performance.now() - start) / 1000;
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
