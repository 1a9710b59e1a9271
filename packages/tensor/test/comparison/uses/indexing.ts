import type { Uses } from "../../support/random-graph-draft.ts";

export const uses: Uses = {
  gather: (draft) => {
    const x = draft.ranked(1);
    const axis = draft.axis(x);
    const indices = draft.indices(draft.freshShape(0, 2), draft.along(x, axis));
    draft.step("gather", [x, indices], { axis });
  },
  segmentSum: (draft) => {
    const x = draft.ranked(1);
    const segments = draft.integer(1, 4);
    const ids = draft.indices([draft.along(x, 0)], segments);
    draft.step("segmentSum", [x, ids], { segments });
  },
  takeAlong: (draft) => {
    const x = draft.ranked(1);
    const axis = draft.axis(x);
    const shape = [...draft.shape(x)].with(axis, draft.integer(1, 4));
    draft.step("takeAlong", [x, draft.indices(shape, draft.along(x, axis))], { axis });
  },
  scatterAddAlong: (draft) => {
    const x = draft.ranked(1);
    const axis = draft.axis(x);
    const size = draft.integer(1, 4);
    const shape = [...draft.shape(x)].with(axis, size);
    draft.step("scatterAddAlong", [x, draft.indices(draft.shape(x), size)], { shape, axis });
  },
  oneHot: (draft) => {
    const depth = draft.integer(1, 4);
    draft.step("oneHot", [draft.indices(draft.freshShape(0, 2), depth + 1)], { depth });
  },
};

/** Its result is float32 unless another dtype is asked for. */
export const float32Only = ["oneHot"];
