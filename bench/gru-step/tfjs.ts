import * as tf from "@tensorflow/tfjs-core";
import { affine, lookUp, serveTfjs } from "../support/tfjs.ts";
import { workload } from "./model.ts";

await serveTfjs((state, size) => {
  const { batch, steps, vocabulary, hidden, learningRate } = workload.sizes[size];
  const embed = lookUp(tf.reshape(state.data("ids"), [-1]) as tf.Tensor1D);
  const targets = tf.oneHot(tf.reshape(state.data("targets"), [-1]) as tf.Tensor1D, vocabulary);

  /** All steps' products with the input at once; split, whose gradient is one concat, rather than slices. */
  function gru(x: tf.Tensor): tf.Tensor {
    const projected = affine(x, tf.transpose(state.param("gru/inputWeights")), state.param("gru/inputBias"));
    const recurrent = tf.transpose(state.param("gru/recurrentWeights"));
    let h: tf.Tensor = tf.zeros([batch, hidden]);
    const states = tf.split(projected, steps).map((input) => {
      const product = affine(h, recurrent, state.param("gru/recurrentBias"));
      const [inputR, inputZ, inputN] = tf.split(input, 3, 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
      const [stateR, stateZ, stateN] = tf.split(product, 3, 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
      const r = tf.sigmoid(tf.add(inputR, stateR));
      const z = tf.sigmoid(tf.add(inputZ, stateZ));
      const n = tf.tanh(tf.add(inputN, tf.mul(r, stateN)));
      h = tf.add(n, tf.mul(z, tf.sub(h, n)));
      return h;
    });
    return tf.concat(states, 0);
  }

  return {
    optimiser: tf.train.adam(learningRate, 0.9, 0.999, 1e-8),
    loss: () => {
      const logits = affine(
        gru(embed(state.param("words/table"))),
        state.param("head/weight"),
        state.param("head/bias"),
      );
      return tf.mul(
        tf.sum(tf.mul(targets, tf.logSoftmax(logits as tf.Tensor2D))),
        -1 / (batch * steps),
      ) as tf.Scalar;
    },
  };
});
