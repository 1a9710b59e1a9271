import type { Use, Uses } from "../../support/random-graph-draft.ts";
import { untied } from "./ordering.ts";

function reduction(op: string): Use {
  return (draft) => {
    const x = draft.tensor();
    draft.step(op, [x], draft.reduction(x));
  };
}

function alongAxis(op: string): Use {
  return (draft) => {
    const x = draft.ranked(1);
    draft.step(op, [x], { axis: draft.axis(x) });
  };
}

export const uses: Uses = {
  sum: reduction("sum"),
  mean: reduction("mean"),
  max: reduction("max"),
  min: reduction("min"),
  logSumExp: reduction("logSumExp"),
  sumSquares: reduction("sumSquares"),
  variance: reduction("variance"),
  norm: (draft) => {
    const x = draft.tensor();
    draft.step("norm", [x], { ...draft.reduction(x), epsilon: draft.pick([0.01, 0.5]) });
  },
  softmax: alongAxis("softmax"),
  logSoftmax: alongAxis("logSoftmax"),
  argmax: (draft) => {
    const x = untied(draft);
    draft.step("argmax", [x], { axis: draft.axis(x) });
  },
  softmaxCrossEntropy: (draft) => {
    const logits = draft.ranked(1);
    const targets = draft.step("softmax", [draft.shaped(draft.shape(logits))], { axis: -1 });
    draft.step("softmaxCrossEntropy", [logits, targets]);
  },
};
