import type { numpy } from "@jax-js/jax";
import { type Arrays, jax, linear, serveJax } from "../support/jax.ts";
import { imageTokens, workload } from "./model.ts";

const { nn, numpy: np } = jax;

await serveJax((modelSize) => {
  const model = workload.sizes[modelSize];
  const { batch, width, layers, heads, imageSize, patchSize, channels, textTokens } = model;
  const { temperature, learningRate } = model;
  const size = width / heads;
  const tokensOfImage = imageTokens(model);

  function layerNorm(p: Arrays, name: string, x: numpy.Array): numpy.Array {
    return nn.standardize(x, -1, { epsilon: 1e-5 }).mul(p[`${name}/gain`]!).add(p[`${name}/bias`]!);
  }

  function attention(p: Arrays, name: string, x: numpy.Array, tokens: number): numpy.Array {
    const qkv = np.split(linear(p, `${name}/qkv`, x), 3, -1);
    const [q, k, v] = qkv.map((part) => part.reshape([batch, tokens, heads, size])) as [
      numpy.Array,
      numpy.Array,
      numpy.Array,
    ];
    const mixed = nn.dotProductAttention(q, k, v);
    return linear(p, `${name}/output`, mixed.reshape([batch, tokens, width]));
  }

  /** Transformer and head: [B N, D] to [B, D]. */
  function tower(p: Arrays, name: string, x: numpy.Array, tokens: number): numpy.Array {
    let state = x.add(p[`${name}/positions`]!);
    for (let i = 0; i < layers; i++) {
      const layer = `${name}/blocks/layers/${i}`;
      const normed = layerNorm(p, `${layer}/attentionNorm`, state.ref);
      state = state.add(attention(p, `${layer}/attention`, normed, tokens));
      const hidden = nn.gelu(linear(p, `${layer}/expand`, layerNorm(p, `${layer}/mlpNorm`, state.ref)), {
        approximate: false,
      });
      state = state.add(linear(p, `${layer}/contract`, hidden));
    }
    const pooled = layerNorm(p, `${name}/blocks/finalNorm`, state).mean(1);
    return linear(p, `${name}/head`, pooled);
  }

  function normalize(x: numpy.Array): numpy.Array {
    const norm = np.sqrt(np.square(x.ref).sum(-1, { keepdims: true }));
    return x.div(norm);
  }

  function loss(p: Arrays, images: numpy.Array, ids: numpy.Array): numpy.Array {
    const side = imageSize / patchSize;
    const patches = images
      .reshape([batch, side, patchSize, side, patchSize, channels])
      .transpose([0, 1, 3, 5, 2, 4])
      .reshape([batch, tokensOfImage, channels * patchSize * patchSize]);
    const a = normalize(tower(p, "image", linear(p, "image/patches", patches), tokensOfImage));
    const words = np.take(p["text/words/table"]!, ids, 0);
    const b = normalize(tower(p, "text", words, textTokens));
    const logits = np.matmul(a, b.transpose()).mul(1 / temperature);
    const oneWay = (x: numpy.Array): numpy.Array =>
      nn
        .logSoftmax(x)
        .mul(np.eye(batch))
        .sum()
        .mul(-1 / batch);
    return oneWay(logits.ref).add(oneWay(logits.transpose())).mul(0.5);
  }

  return {
    optimiser: { kind: "adam", learningRate },
    loss: (p, statistics, { images, ids }) => ({ value: loss(p, images!, ids!), statistics }),
  };
});
