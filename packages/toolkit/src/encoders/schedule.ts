import { setImmediate } from "node:timers/promises";
import { type Encoded, EncoderError, type EncoderItem, type ItemProblem } from "./encoder.ts";
import type { Preparer } from "./preparer.ts";

export interface Schedule<Prepared> {
  /** Most items in one run. */
  readonly most: number;
  readonly width: number;
  readonly signal: AbortSignal | undefined;
  readonly run: (
    items: readonly Prepared[],
  ) => Promise<{ readonly values: Float32Array; readonly width: number }>;
}

type Placed<Prepared> = readonly [index: number, item: Prepared];

/** Cuts items, sorted by size, into batches that keep to the preparer's budget. */
function batches<Prepared>(
  ready: readonly Placed<Prepared>[],
  preparer: Preparer<Prepared>,
  most: number,
): Placed<Prepared>[][] {
  const sorted = ready
    .map((placed) => ({ placed, size: preparer.sizeOf(placed[1]) }))
    .sort((a, b) => b.size - a.size || a.placed[0] - b.placed[0]);
  const result: Placed<Prepared>[][] = [];
  let largest = 0;
  for (const { placed, size } of sorted) {
    const last = result.at(-1);
    const fits =
      last !== undefined &&
      last.length < most &&
      (last.length + 1) * largest <= preparer.budget &&
      preparer.together(size, largest);
    if (fits) last.push(placed);
    else {
      result.push([placed]);
      largest = size;
    }
  }
  return result;
}

/**
 * Encodes items of any number in their order: while the model computes on a window of them, the next one is prepared.
 * Within a window, items of like size share a batch, so that little is computed for padding.
 */
export async function encodeAll<Prepared>(
  items: readonly EncoderItem[],
  preparer: Preparer<Prepared>,
  { most, width, signal, run }: Schedule<Prepared>,
): Promise<Encoded> {
  signal?.throwIfAborted();
  const values = new Float32Array(items.length * width);
  const kept: number[] = [];
  const problems: ItemProblem[] = [];
  const window = Math.max(preparer.window, 2 * most);
  const prepare = (start: number) => {
    const prepared = preparer.prepare(items.slice(start, start + window), signal);
    // Awaited a window later; until then a failure must not count as unhandled.
    prepared.catch(() => {});
    return prepared;
  };
  let next = prepare(0);
  for (let start = 0; start < items.length; start += window) {
    const { ready, problems: found } = await next;
    if (start + window < items.length) next = prepare(start + window);
    for (const { index, reason } of found) problems.push({ index: start + index, reason });
    for (const batch of batches(ready, preparer, most)) {
      signal?.throwIfAborted();
      // The model holds this thread while it runs; between runs, threads that prepare get their answers through.
      await setImmediate();
      const result = await run(batch.map(([, item]) => item));
      if (result.width !== width)
        throw new EncoderError(`the model gave vectors of ${result.width} values; at first it were ${width}`);
      for (const [row, [index]] of batch.entries()) {
        const vector = result.values.subarray(row * width, (row + 1) * width);
        if (vector.every(Number.isFinite)) {
          values.set(vector, (start + index) * width);
          kept.push(start + index);
        } else problems.push({ index: start + index, reason: "the model gave values that are not finite" });
      }
    }
  }
  kept.sort((a, b) => a - b);
  problems.sort((a, b) => a.index - b.index);
  if (kept.length === items.length) return { values, width, rows: kept, problems };
  const packed = new Float32Array(kept.length * width);
  for (const [row, index] of kept.entries())
    packed.set(values.subarray(index * width, (index + 1) * width), row * width);
  return { values: packed, width, rows: kept, problems };
}
