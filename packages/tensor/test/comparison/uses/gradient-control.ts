import type { Uses } from "../../support/random-graph-draft.ts";

export const uses: Uses = {
  straightThrough: (draft) => {
    const soft = draft.tensor();
    draft.step("straightThrough", [draft.step("round", [soft]), soft]);
  },
  gradientReversal: (draft) =>
    draft.step("gradientReversal", [draft.tensor()], { scale: draft.pick([0.3, 1]) }),
  scaleGradient: (draft) => draft.step("scaleGradient", [draft.tensor()], { factor: draft.pick([0.5, -2]) }),
  clampGradient: (draft) => draft.step("clampGradient", [draft.tensor()], { limit: draft.pick([0.2, 1]) }),
  customGradient: (draft) => draft.step("customGradient", [draft.bounded()]),
  recompute: (draft) => {
    const x = draft.ranked(2, 3);
    const width = draft.along(x, -1);
    draft.steps("recompute", [x, draft.shaped([width, width])]);
  },
};
