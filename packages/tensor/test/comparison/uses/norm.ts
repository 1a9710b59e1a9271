import type { Draft, Use, Uses } from "../../support/random-graph-draft.ts";

/** Large enough that rows of nearly equal numbers stay well conditioned. */
const EPSILONS = [0.1, 0.5];

function gainAndBias(draft: Draft, size: number): [string, string] {
  return [draft.shaped([size]), draft.shaped([size])];
}

function batchNorm(op: string): Use {
  return (draft) => {
    const x = draft.ranked(2, 4);
    const channels = draft.along(x, 1);
    const statistics = [draft.shaped([channels]), draft.input([channels], [0.4, 1.5])];
    draft.steps(op, [x, ...gainAndBias(draft, channels), ...statistics], { epsilon: draft.pick(EPSILONS) });
  };
}

/** A norm of [B, C, ...] with one gain and one bias a channel. */
function ofChannels(op: string): Use {
  return (draft) => {
    const x = draft.ranked(3);
    draft.step(op, [x, ...gainAndBias(draft, draft.along(x, 1))], { epsilon: draft.pick(EPSILONS) });
  };
}

export const uses: Uses = {
  groupNorm: (draft) => {
    const x = draft.ranked(2);
    const channels = draft.along(x, 1);
    const groups = draft.pick([1, 2, 3, 4].filter((n) => channels % n === 0));
    draft.step("groupNorm", [x, ...gainAndBias(draft, channels)], { groups, epsilon: draft.pick(EPSILONS) });
  },
  instanceNorm: ofChannels("instanceNorm"),
  globalLayerNorm: ofChannels("globalLayerNorm"),
  batchStatisticsNorm: ofChannels("batchStatisticsNorm"),
  rmsNorm: (draft) => {
    const x = draft.ranked(1);
    draft.step("rmsNorm", [x, draft.shaped([draft.along(x, -1)])], { epsilon: draft.pick(EPSILONS) });
  },
  weightNorm: (draft) => {
    const direction = draft.ranked(1);
    const axis = draft.axis(direction);
    const magnitude = draft.shaped([draft.along(direction, axis)]);
    draft.step("weightNorm", [direction, magnitude], { axis, epsilon: draft.pick(EPSILONS) });
  },
  layerNorm: (draft) => {
    const x = draft.ranked(1);
    const operands = [x, ...gainAndBias(draft, draft.along(x, -1))];
    draft.step("layerNorm", operands, { epsilon: draft.pick(EPSILONS) });
  },
  batchNorm: batchNorm("batchNorm"),
  batchNormInference: batchNorm("batchNormInference"),
  l2Normalize: (draft) => draft.step("l2Normalize", [draft.ranked(1)], { epsilon: draft.pick(EPSILONS) }),
};

/** The running statistics follow x, but carry no gradient. */
export const gradientByIntent = ["batchNorm"];
