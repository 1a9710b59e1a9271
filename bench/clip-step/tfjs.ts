import * as tf from "@tensorflow/tfjs-core";
import { affine, lookUp, serveTfjs } from "../support/tfjs.ts";
import { imageTokens, workload } from "./model.ts";

await serveTfjs((state, modelSize) => {
  const model = workload.sizes[modelSize];
  const { batch, width, layers, heads, imageSize, patchSize, channels, textTokens } = model;
  const { temperature, learningRate } = model;
  const size = width / heads;
  const tokensOfImage = imageTokens(model);
  const images = state.data("images");
  const embed = lookUp(tf.reshape(state.data("ids"), [-1]) as tf.Tensor1D);
  const diagonal = tf.eye(batch);
  const param = (path: string): tf.Variable => state.param(path);
  const linear = (path: string, x: tf.Tensor): tf.Tensor =>
    affine(x, param(`${path}/weight`), param(`${path}/bias`));

  function layerNorm(name: string, x: tf.Tensor): tf.Tensor {
    const { mean, variance } = tf.moments(x, -1, true);
    const standardized = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5)));
    return tf.add(tf.mul(standardized, param(`${name}/gain`)), param(`${name}/bias`));
  }

  function gelu(x: tf.Tensor): tf.Tensor {
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  }

  function attention(name: string, x: tf.Tensor, tokens: number): tf.Tensor {
    const weights = tf.split(param(`${name}/qkv/weight`), 3, 1);
    const biases = tf.split(param(`${name}/qkv/bias`), 3);
    const [q, k, v] = weights.map((weight, i) => {
      const projected = affine(x, weight, biases[i] as tf.Tensor);
      return tf.transpose(tf.reshape(projected, [batch, tokens, heads, size]), [0, 2, 1, 3]);
    }) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(size));
    const mixed = tf.matMul(tf.softmax(scores), v);
    return linear(`${name}/output`, tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch * tokens, width]));
  }

  /** Transformer and head: [B N, D] to [B, D]. */
  function tower(name: string, x: tf.Tensor, tokens: number): tf.Tensor {
    const positioned = tf.add(tf.reshape(x, [batch, tokens, width]), param(`${name}/positions`));
    let state = tf.reshape(positioned, [batch * tokens, width]);
    for (let i = 0; i < layers; i++) {
      const layer = `${name}/blocks/layers/${i}`;
      state = tf.add(
        state,
        attention(`${layer}/attention`, layerNorm(`${layer}/attentionNorm`, state), tokens),
      );
      const hidden = gelu(linear(`${layer}/expand`, layerNorm(`${layer}/mlpNorm`, state)));
      state = tf.add(state, linear(`${layer}/contract`, hidden));
    }
    const normed = tf.reshape(layerNorm(`${name}/blocks/finalNorm`, state), [batch, tokens, width]);
    return affine(tf.mean(normed, 1), param(`${name}/head/weight`));
  }

  function normalize(x: tf.Tensor): tf.Tensor {
    return tf.div(x, tf.sqrt(tf.sum(tf.square(x), -1, true)));
  }

  function loss(): tf.Scalar {
    const side = imageSize / patchSize;
    const grid = tf.reshape(images, [batch, side, patchSize, side, patchSize, channels]);
    const patches = tf.reshape(tf.transpose(grid, [0, 1, 3, 5, 2, 4]), [batch * tokensOfImage, -1]);
    const a = normalize(tower("image", linear("image/patches", patches), tokensOfImage));
    const b = normalize(tower("text", embed(param("text/words/table")), textTokens));
    const logits = tf.mul(affine(a, tf.transpose(b)), 1 / temperature);
    const oneWay = (x: tf.Tensor): tf.Tensor => tf.sum(tf.mul(tf.logSoftmax(x), diagonal));
    return tf.mul(tf.add(oneWay(logits), oneWay(tf.transpose(logits))), -0.5 / batch);
  }

  return { optimiser: tf.train.adam(learningRate, 0.9, 0.999, 1e-8), loss };
});
