import type { numpy } from "@jax-js/jax";
import { type Arrays, jax, serveJax } from "../support/jax.ts";
import { conv, doubled, instanceNorm } from "../support/jax-conv.ts";
import { workload } from "./model.ts";

const { nn, numpy: np } = jax;

await serveJax((size) => {
  const { batch, widths, classes, learningRate } = workload.sizes[size];

  function layers(p: Arrays, path: string, x: numpy.Array, stride: number): numpy.Array {
    return [0, 1].reduce((y, i) => {
      const filtered = conv(y, p[`${path}/${i}/conv/weight`]!, i === 0 ? stride : 1, 1);
      return nn.relu(instanceNorm(p, `${path}/${i}/norm`, filtered));
    }, x);
  }

  function unet(p: Arrays, x: numpy.Array): numpy.Array {
    const skips: numpy.Array[] = [];
    let y = x;
    widths.forEach((_, i) => {
      y = layers(p, `encoder/${i}`, y, i === 0 ? 1 : 2);
      if (i < widths.length - 1) skips.push(y.ref);
    });
    widths.slice(1).forEach((_, i) => {
      const joined = np.concatenate([skips.pop()!, doubled(y, p[`decoder/${i}/up/weight`]!)], 4);
      y = layers(p, `decoder/${i}/layers`, joined, 1);
    });
    return conv(y, p["head/weight"]!, 1, 0).add(p["head/bias"]!);
  }

  return {
    optimiser: { kind: "adam", learningRate },
    // The whole batch at once exceeds the 4 GiB of WebAssembly.
    parts: batch,
    loss: (p, statistics, { volumes, labels }) => {
      const logits = unet(p, volumes!).reshape([-1, classes]);
      const voxels = logits.shape[0] as number;
      const value = nn
        .logSoftmax(logits)
        .mul(nn.oneHot(labels!, classes))
        .sum()
        .mul(-1 / voxels);
      return { value, statistics };
    },
  };
});
