import * as tf from "@tensorflow/tfjs-core";
import { affine, serveTfjs } from "../support/tfjs.ts";
import { batchNorm, TfResNet } from "../support/tfjs-resnet.ts";
import { workload } from "./model.ts";

function normalize(x: tf.Tensor): tf.Tensor {
  return tf.div(x, tf.sqrt(tf.sum(tf.square(x), -1, true)));
}

await serveTfjs((state, size) => {
  const model = workload.sizes[size];
  const { batch, blocks, temperature, epsilon, iterations, prototypes, learningRate, momentum } = model;
  const views = model.large.crops + model.small.crops;
  const resnet = new TfResNet(state, blocks, "encoder/", "statistics/encoder");
  const [large, small] = [state.data("large"), state.data("small")];
  const running = {
    mean: state.variable("statistics/projector/mean"),
    variance: state.variable("statistics/projector/variance"),
  };
  const linear = (path: string, x: tf.Tensor): tf.Tensor =>
    affine(x, state.param(`${path}/weight`), state.param(`${path}/bias`));

  function sinkhorn(scores: tf.Tensor): tf.Tensor {
    let codes = tf.exp(tf.div(scores, epsilon));
    codes = tf.div(codes, tf.sum(codes));
    for (let i = 0; i < iterations; i++) {
      codes = tf.div(codes, tf.mul(tf.sum(codes, 0, true), prototypes));
      codes = tf.div(codes, tf.mul(tf.sum(codes, 1, true), batch));
    }
    return tf.mul(codes, batch);
  }

  /** The mean of the swapped predictions with its gradient; codes carry none, for which there is no other way. */
  const swappedPrediction = tf.customGrad((...args) => {
    const [scores, save] = args as unknown as [tf.Tensor2D, (tensors: tf.Tensor[]) => void];
    const logProbabilities = tf.logSoftmax(tf.div(scores, temperature) as tf.Tensor2D);
    const codes = tf.split(scores, views).slice(0, model.large.crops).map(sinkhorn);
    const all = tf.addN(codes);
    const targets = tf.concat(
      Array.from({ length: views }, (_, v) => (codes[v] ? tf.sub(all, codes[v]) : all)),
      0,
    );
    const scale = 1 / (batch * model.large.crops * (views - 1));
    save([logProbabilities, targets]);
    return {
      value: tf.mul(tf.sum(tf.mul(targets, logProbabilities)), -scale),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [logs, wanted] = saved as [tf.Tensor, tf.Tensor];
        const mass = tf.sum(wanted, 1, true);
        return tf.mul(tf.sub(tf.mul(tf.exp(logs), mass), wanted), tf.mul(dy, scale / temperature));
      },
    };
  });

  return {
    optimiser: tf.train.momentum(learningRate, momentum),
    before: () => {
      const vectors = state.param("prototypes");
      tf.tidy(() => vectors.assign(normalize(vectors)));
    },
    loss: () => {
      const features = tf.concat([resnet.apply(large), resnet.apply(small)], 0);
      const [gain, bias] = [state.param("projector/norm/gain"), state.param("projector/norm/bias")];
      const hidden = tf.relu(batchNorm(linear("projector/hidden", features), gain, bias, running));
      const embeddings = normalize(linear("projector/output", hidden));
      const scores = affine(embeddings, tf.transpose(state.param("prototypes")));
      return swappedPrediction(scores) as tf.Scalar;
    },
  };
});
