import { embedding, linear } from "@concord/nn";
import { adamw, gru, mean, minimise, oneHot, softmaxCrossEntropy, type Tensor } from "@concord/tensor";
import { serveConcord, stepOptions } from "../support/concord.ts";
import type { initialState } from "./initial.ts";
import { workload } from "./model.ts";

await serveConcord(({ params, ids, targets }: ReturnType<typeof initialState>, size) => {
  const { vocabulary, learningRate } = workload.sizes[size];
  const trainer = minimise({
    params,
    optimiser: adamw({ learningRate, weightDecay: 0 }),
    loss: (p, data: { ids: Tensor; targets: Tensor }) => {
      const { states } = gru(embedding(p.words, data.ids), p.gru);
      return mean(softmaxCrossEntropy(linear(p.head, states), oneHot(data.targets, vocabulary)));
    },
    options: stepOptions("gru-step"),
  });
  return { trainer, batch: { ids, targets } };
});
