import { jax, linear, serveJax } from "../support/jax.ts";
import { resnet } from "../support/jax-conv.ts";
import { workload } from "./model.ts";

const { nn } = jax;

await serveJax((size) => {
  const { batch, blocks, classes, learningRate, momentum } = workload.sizes[size];
  return {
    optimiser: { kind: "momentum", learningRate, momentum },
    loss: (p, statistics, { images, labels }) => {
      const result = resnet(p, statistics, images!, blocks, "");
      const logProbabilities = nn.logSoftmax(linear(p, "head", result.features));
      const value = logProbabilities
        .mul(nn.oneHot(labels!, classes))
        .sum()
        .mul(-1 / batch);
      return { value, statistics: result.statistics };
    },
  };
});
