import {
  add,
  less,
  maximum,
  type Optimiser,
  sub,
  type Tensor,
  treeEntries,
  treeMap,
  where,
} from "@concord/tensor";

type Leaves = Readonly<Record<string, unknown>>;

/** The leaves of a tree in two records by path. */
function divide(tree: unknown, frozen: (path: string) => boolean): { frozen: Leaves; free: Leaves } {
  const entries = treeEntries(tree);
  return {
    frozen: Object.fromEntries(entries.filter(([path]) => frozen(path))),
    free: Object.fromEntries(entries.filter(([path]) => !frozen(path))),
  };
}

/** A tree of the given structure whose leaves are found by their paths. */
function gathered<P>(like: P, leaves: Leaves): P {
  return treeMap(like, (_, path) => leaves[path]) as P;
}

export interface FreezeFirstOptions {
  /** Steps in which nothing happens to the frozen parameters. */
  readonly steps: number;
  /** Which parameters are frozen, by path. */
  readonly frozen: (path: string) => boolean;
}

/**
 * An optimiser that leaves some parameters alone in the first steps: they get no update, no decay and no momentum, and
 * afterwards begin as in a first step. The others are optimised throughout.
 *
 * @param free    optimises the others
 * @param frozen  optimises the frozen ones afterwards; counts its own steps, from 0 when they begin
 * @throws RangeError when `steps` is not an integer ≥ 0
 * @source released code: the gradient of the prototypes is dropped before the optimiser's step
 */
export function freezeFirst(
  free: Optimiser,
  frozen: Optimiser,
  { steps, frozen: isFrozen }: FreezeFirstOptions,
): Optimiser {
  if (!(Number.isInteger(steps) && steps >= 0))
    throw new RangeError(`freezeFirst: steps must be an integer >= 0, got ${steps}`);
  return {
    init(params) {
      const parts = divide(params, isFrozen);
      const [a, b] = [free.init(parts.free), frozen.init(parts.frozen)];
      // Slots hold records by path; what they are to the type does not matter to those who only carry them.
      return { step: a.step, slots: { free: a.slots, frozen: b.slots } as never };
    },
    update(params, gradients, state) {
      const [p, g] = [divide(params, isFrozen), divide(gradients, isFrozen)];
      const slots = state.slots as { readonly free: Leaves; readonly frozen: Leaves };
      const moved = free.update(p.free, g.free, { step: state.step, slots: slots.free });
      const begun = maximum(sub(state.step, steps), 0);
      const later = frozen.update(p.frozen, g.frozen, { step: begun, slots: slots.frozen });
      const waiting = less(state.step, steps);
      const kept = <T>(before: T, after: T): T => {
        const old = new Map(treeEntries(before));
        return treeMap(after, (leaf, path) => where(waiting, old.get(path) as Tensor, leaf as Tensor)) as T;
      };
      const next = { ...moved.params, ...kept(p.frozen, later.params) };
      return {
        params: gathered(params, next),
        state: {
          step: add(state.step, 1),
          slots: { free: moved.state.slots, frozen: kept(slots.frozen, later.state.slots as Leaves) },
        } as unknown as typeof state,
      };
    },
  };
}
