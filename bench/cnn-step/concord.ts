import { resnet } from "@concord/nn";
import {
  createTrainer,
  mean,
  oneHot,
  sgd,
  softmaxCrossEntropy,
  type Tensor,
  type Traced,
  valueAndGradWithAux,
} from "@concord/tensor";
import { serveConcord, stepOptions } from "../support/concord.ts";
import type { initialState } from "./initial.ts";
import { workload } from "./model.ts";

type Initial = ReturnType<typeof initialState>;

await serveConcord(({ params, statistics, images, labels }: Initial, size) => {
  const { classes, learningRate, momentum } = workload.sizes[size];
  const optimiser = sgd({ learningRate, momentum });
  const lossOf = (
    p: Traced<Initial["params"]>,
    running: Traced<Initial["statistics"]>,
    data: { readonly images: Tensor; readonly labels: Tensor },
  ) => {
    const { y, statistics: aux } = resnet(p, running, data.images);
    return { value: mean(softmaxCrossEntropy(y, oneHot(data.labels, classes))), aux };
  };
  const trainer = createTrainer({
    state: { params, statistics, optimiser: optimiser.init(params) },
    step: (state, data: { images: Tensor; labels: Tensor }) => {
      const { value, aux, gradients } = valueAndGradWithAux(lossOf)(state.params, state.statistics, data);
      const next = optimiser.update(state.params, gradients, state.optimiser);
      return {
        state: { params: next.params, statistics: aux, optimiser: next.state },
        metrics: { loss: value },
      };
    },
    options: stepOptions("cnn-step"),
  });
  return { trainer, batch: { images, labels } };
});
