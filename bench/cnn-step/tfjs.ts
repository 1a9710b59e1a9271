import * as tf from "@tensorflow/tfjs-core";
import { serveTfjs } from "../support/tfjs.ts";
import { TfResNet } from "../support/tfjs-resnet.ts";
import { workload } from "./model.ts";

await serveTfjs((state, size) => {
  const { blocks, classes, learningRate, momentum } = workload.sizes[size];
  const resnet = new TfResNet(state, blocks, "", "statistics");
  const images = state.data("images");
  const targets = tf.oneHot(state.data("labels") as tf.Tensor1D, classes);
  return {
    optimiser: tf.train.momentum(learningRate, momentum),
    loss: () =>
      tf.neg(tf.mean(tf.sum(tf.mul(targets, tf.logSoftmax(resnet.apply(images) as tf.Tensor2D)), -1))),
  };
});
