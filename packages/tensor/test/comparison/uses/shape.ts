import type { Draft, Uses } from "../../support/random-graph-draft.ts";

/** The axes in another order. */
export function shuffled(draft: Draft, rank: number): number[] {
  const left = Array.from({ length: rank }, (_, axis) => axis);
  return Array.from({ length: rank }, () => left.splice(draft.integer(0, left.length - 1), 1)[0] as number);
}

export const uses: Uses = {
  reshape: (draft) => {
    const x = draft.tensor();
    const shape = draft.shape(x);
    const size = shape.reduce((product, n) => product * n, 1);
    const front = draft.pick([1, 2, 3, 4].filter((n) => size % n === 0));
    draft.step("reshape", [x], {
      shape: draft.pick([[-1], [...shape].reverse(), [front, -1], [1, -1, front]]),
    });
  },
  broadcastTo: (draft) => {
    const x = draft.tensor();
    const shape = draft.shape(x).map((n) => (n === 1 ? draft.integer(1, 3) : n));
    draft.step("broadcastTo", [x], { shape: [...draft.freshShape(0, 1), ...shape] });
  },
  sumTo: (draft) => {
    const x = draft.tensor();
    const shape = draft.shape(x).slice(draft.integer(0, draft.rank(x)));
    draft.step("sumTo", [x], { shape: shape.map((n) => (draft.once(2) ? 1 : n)) });
  },
  transpose: (draft) => {
    const x = draft.ranked(2);
    draft.step("transpose", [x], draft.once(3) ? {} : { order: shuffled(draft, draft.rank(x)) });
  },
  expandDims: (draft) => {
    const x = draft.tensor();
    const rank = draft.rank(x) + 1;
    draft.step("expandDims", [x], { axis: draft.integer(-rank, rank - 1) });
  },
  squeeze: (draft) => {
    const x = draft.tensor(
      (shape) => shape.includes(1),
      () => [draft.integer(1, 3), 1, draft.integer(1, 3)],
    );
    draft.step("squeeze", [x], { axis: draft.shape(x).indexOf(1) });
  },
  slice: (draft) => {
    const x = draft.ranked(1);
    const shape = draft.shape(x);
    const starts = shape.map((n) => draft.integer(0, n - 1));
    const ends = shape.map((n, axis) => draft.integer((starts[axis] as number) + 1, n));
    const steps = draft.once(2) ? {} : { steps: shape.map(() => draft.integer(1, 3)) };
    draft.step("slice", [x], { starts, ends, ...steps });
  },
  narrow: (draft) => {
    const x = draft.ranked(1);
    const axis = draft.axis(x);
    const length = draft.integer(1, draft.along(x, axis));
    draft.step("narrow", [x], { axis, start: draft.integer(0, draft.along(x, axis) - length), length });
  },
  split: (draft) => {
    const x = draft.ranked(1);
    const axis = draft.axis(x);
    const size = draft.along(x, axis);
    const parts = draft.pick([1, 2, 3, 4].filter((n) => size % n === 0));
    draft.steps("split", [x], { parts, axis });
  },
  pad: (draft) => {
    const x = draft.tensor();
    const amounts = draft.shape(x).map(() => [draft.integer(0, 2), draft.integer(0, 1)]);
    draft.step("pad", [x], { amounts, value: draft.pick([0, 0.5, -1]) });
  },
  concat: (draft) => {
    const x = draft.ranked(1);
    const axis = draft.axis(x);
    const others = Array.from({ length: draft.integer(1, 2) }, () =>
      draft.once(2)
        ? draft.shaped(draft.shape(x))
        : draft.input([...draft.shape(x)].with(axis, draft.integer(1, 3))),
    );
    draft.step("concat", [x, ...others], { axis });
  },
  stack: (draft) => {
    const x = draft.tensor();
    const rank = draft.rank(x) + 1;
    const others = Array.from({ length: draft.integer(1, 2) }, () => draft.shaped(draft.shape(x)));
    draft.step("stack", [x, ...others], { axis: draft.integer(-rank, rank - 1) });
  },
};
