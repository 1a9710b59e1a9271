import type { Draft, Use, Uses } from "../../support/random-graph-draft.ts";

/** Booleans that broadcast to the shape of a value. */
function mask(draft: Draft, value: string): string {
  const shape = draft.shape(value).map((n) => (draft.once(4) ? 1 : n));
  return draft.step("greater", [
    draft.shaped(shape.slice(draft.once(4) ? 1 : 0)),
    draft.given({ shape: [], data: [-0.3] }),
  ]);
}

function alongAxis(op: string): Use {
  return (draft) => {
    const x = draft.ranked(1);
    draft.step(op, [x, mask(draft, x)], { axis: draft.axis(x) });
  };
}

function reduction(op: string): Use {
  return (draft) => {
    const x = draft.ranked(1);
    draft.step(op, [x, mask(draft, x)], draft.reduction(x));
  };
}

export const uses: Uses = {
  maskedSoftmax: alongAxis("maskedSoftmax"),
  maskedLogSoftmax: alongAxis("maskedLogSoftmax"),
  maskedLogSumExp: reduction("maskedLogSumExp"),
  maskedMean: reduction("maskedMean"),
  sparsemax: (draft) => {
    const x = draft.ranked(1);
    draft.step("sparsemax", [x], { axis: draft.axis(x) });
  },
  bceWithLogits: (draft) => {
    const x = draft.ranked(1);
    const [weighted, positive] = [draft.once(2), draft.once(2)];
    const targets = draft.step("sigmoid", [draft.shaped(draft.shape(x))], {}, [0, 1]);
    const factors = [weighted, positive]
      .filter((given) => given)
      .map(() => draft.input([draft.along(x, -1)], [0.2, 2]));
    draft.step("bceWithLogits", [x, targets, ...factors], { weighted, positive });
  },
  crossEntropy: (draft) => {
    const x = draft.ranked(2);
    const axis = draft.axis(x);
    const classes = draft.along(x, axis);
    const rest = draft.shape(x).filter((_, i) => i !== (axis < 0 ? axis + draft.rank(x) : axis));
    const reduction = draft.pick(["mean", "sum", "none"]);
    const ignored = reduction !== "mean" && draft.once(3) ? { ignoreIndex: 0 } : {};
    const smoothing = draft.once(2) ? { labelSmoothing: draft.pick([0.1, 0.25]) } : {};
    const weights = draft.once(2) ? [draft.input([classes], [0.3, 2])] : [];
    draft.step("crossEntropy", [x, draft.indices(rest, classes), ...weights], {
      axis,
      reduction,
      ...ignored,
      ...smoothing,
    });
  },
  smoothL1: (draft) => {
    const x = draft.tensor();
    draft.step("smoothL1", [x, draft.shaped(draft.shape(x))], { beta: draft.pick([0.3, 1, 2.5]) });
  },
  mse: (draft) => {
    const x = draft.tensor();
    draft.step("mse", [x, draft.shaped(draft.shape(x))]);
  },
};
