import { unet3d } from "@concord/nn";
import {
  adamw,
  mean,
  minimise,
  oneHot,
  reshape,
  softmaxCrossEntropy,
  type Tensor,
  transpose,
} from "@concord/tensor";
import { serveConcord, stepOptions } from "../support/concord.ts";
import type { initialState } from "./initial.ts";
import { workload } from "./model.ts";

await serveConcord(({ params, volumes, labels }: ReturnType<typeof initialState>, size) => {
  const { classes, learningRate } = workload.sizes[size];
  const trainer = minimise({
    params,
    optimiser: adamw({ learningRate, weightDecay: 0 }),
    loss: (p, data: { volumes: Tensor; labels: Tensor }) => {
      const { y } = unet3d(p, data.volumes);
      const logits = reshape(transpose(y, [0, 2, 3, 4, 1]), [-1, classes]);
      return mean(softmaxCrossEntropy(logits, oneHot(data.labels, classes)));
    },
    options: stepOptions("unet3d-step"),
  });
  return { trainer, batch: { volumes, labels } };
});
