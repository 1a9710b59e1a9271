import {
  add,
  allocate,
  arange,
  cast,
  type DType,
  gather,
  less,
  minimum,
  mul,
  type NDArray,
  narrow,
  remainder,
  ShapeError,
  scatterSet,
  sizeOf,
  stopGradient,
  sub,
  type Tensor,
} from "@concord/tensor";

/** The last L items that went by (first in, first out): a part of a trainer's state. */
export interface QueueState<T = Tensor> {
  /** [L, ...] a ring: item `next - 1` is the newest. */
  readonly items: T;
  /** int32 scalar in [0, L): where the next item goes. */
  readonly next: T;
  /** int32 scalar in [0, L]: places that hold something. */
  readonly filled: T;
}

/**
 * An empty queue, as initial state of a trainer.
 *
 * @param length  L ≥ 1
 * @param item    shape of one item, e.g. [D] for embeddings, [] for their labels
 * @throws RangeError when a size is no positive integer
 */
export function emptyQueue<D extends DType = "float32">(
  length: number,
  item: readonly number[],
  dtype?: D,
): QueueState<NDArray> {
  const shape = [length, ...item];
  if (shape.some((size) => !Number.isInteger(size) || size < 1))
    throw new RangeError(`emptyQueue: sizes must be integers >= 1, got [${shape.join(", ")}]`);
  const type = (dtype ?? "float32") as D;
  const counter = (): NDArray<"int32"> => ({ dtype: "int32", shape: [], data: new Int32Array(1) });
  return {
    items: { dtype: type, shape, data: allocate(type, sizeOf(shape)) },
    next: counter(),
    filled: counter(),
  };
}

function sizes(operation: string, { items, next, filled }: QueueState, news?: Tensor): number {
  const [length, ...item] = items.shape;
  for (const [name, counter] of Object.entries({ next, filled }))
    if (counter.rank !== 0)
      throw new ShapeError(`${operation}: ${name} must be a scalar, got [${counter.shape.join(", ")}]`);
  if (
    length === undefined ||
    (news && (news.rank !== items.rank || news.shape.slice(1).join() !== item.join()))
  )
    throw new ShapeError(
      `${operation}: items of shape [${news?.shape.slice(1).join(", ")}] do not fit a queue of shape [${items.shape.join(", ")}]`,
    );
  return length;
}

/**
 * The queue after B items more; the oldest give way. Read before you write, so that a batch does not meet itself.
 * Of more items than the queue has places, the last L stay.
 *
 * @param state  L places
 * @param items  [B, ...], stored without gradient
 * @throws ShapeError when items and queue do not fit
 * @source He et al. 2020 (MoCo), section 3.2
 */
export function enqueue(state: QueueState, items: Tensor): QueueState {
  const L = sizes("enqueue", state, items);
  const given = items.shape[0] as number;
  const B = Math.min(given, L);
  const news = narrow(stopGradient(items), 0, given - B, B);
  const places = remainder(add(arange(B, "int32"), state.next), L);
  return {
    items: scatterSet(state.items, places, news),
    next: remainder(add(state.next, B), L),
    filled: minimum(add(state.filled, B), L),
  };
}

/**
 * What a queue holds, without gradient.
 *
 * @param options.order  "stored" (default): as they lie in the ring, at no cost; "newest": from the newest to the oldest
 * @returns items [L, ...] and valid [L] bool: places that hold something. Mask the others out of losses.
 */
export function readQueue(
  state: QueueState,
  { order = "stored" }: { readonly order?: "stored" | "newest" } = {},
): { readonly items: Tensor; readonly valid: Tensor } {
  const L = sizes("readQueue", state);
  const valid = less(arange(L, "int32"), state.filled);
  if (order === "stored") return { items: stopGradient(state.items), valid };
  const back = remainder(sub(sub(state.next, 1), arange(L, "int32")), L);
  return { items: stopGradient(gather(state.items, back)), valid };
}

/**
 * A memory bank with one row for each item of a data set: the rows of this batch move towards their new values.
 *
 *   M_i ← m M_i + (1 - m) x_i   for the items i of the batch
 *
 * Reading is `gather(bank, indices)`. With m = 0 rows are replaced. Note which factor a paper quotes: 0.9 for the new
 * value is m = 0.1.
 *
 * @param bank     [N, ...]
 * @param indices  [B] integers in [0, N), each at most once
 * @param rows     [B, ...], stored without gradient
 * @param options.momentum  m in [0, 1), default 0
 * @returns [N, ...]
 * @throws ShapeError when axes do not fit; RangeError when m is out of range
 * @source Wu et al. 2018 (instance discrimination), section 3.2
 */
export function updateBank(
  bank: Tensor,
  indices: Tensor,
  rows: Tensor,
  { momentum = 0 }: { readonly momentum?: number } = {},
): Tensor {
  if (!(momentum >= 0 && momentum < 1))
    throw new RangeError(`updateBank: momentum must lie in [0, 1), got ${momentum}`);
  const news = cast(stopGradient(rows), bank.dtype);
  if (momentum === 0) return scatterSet(bank, indices, news);
  const old = gather(bank, indices);
  if (old.shape.join() !== news.shape.join())
    throw new ShapeError(
      `updateBank: rows of shape [${rows.shape.join(", ")}] do not replace rows of shape [${old.shape.join(", ")}]`,
    );
  return scatterSet(bank, indices, add(mul(old, momentum), mul(news, 1 - momentum)));
}
