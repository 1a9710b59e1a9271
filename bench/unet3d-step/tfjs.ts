import * as tf from "@tensorflow/tfjs-core";
import { affine, serveTfjs } from "../support/tfjs.ts";
import { conv3d, instanceNorm } from "../support/tfjs-conv.ts";
import { workload } from "./model.ts";

/**
 * Transposed convolution with a kernel of 2³ and stride 2: every voxel becomes a cube of eight, one matrix product.
 * [B, D, H, W, C] and the kernel [2, 2, 2, O, C] to [B, 2 D, 2 H, 2 W, O].
 */
function doubled(x: tf.Tensor, kernel: tf.Tensor): tf.Tensor {
  const [batch, depth, height, width, channels] = x.shape as [number, number, number, number, number];
  const filters = kernel.shape[3] as number;
  const rows = batch * depth * height * width;
  const weights = tf.transpose(tf.reshape(kernel, [8 * filters, channels]));
  const cubes = affine(tf.reshape(x, [rows, channels]), weights);
  // The library transposes up to six axes, so the depth of the cube moves first, then its rows.
  const slabs = tf.transpose(
    tf.reshape(cubes, [batch * depth, height * width, 2, 4 * filters]),
    [0, 2, 1, 3],
  );
  const lines = tf.transpose(
    tf.reshape(slabs, [batch * depth * 2 * height, width, 2, 2 * filters]),
    [0, 2, 1, 3],
  );
  return tf.reshape(lines, [batch, 2 * depth, 2 * height, 2 * width, filters]);
}

await serveTfjs((state, size) => {
  const { batch, widths, classes, learningRate, size: side } = workload.sizes[size];
  const volumes = state.data("volumes");
  const targets = tf.oneHot(state.data("labels") as tf.Tensor1D, classes);
  const levels = widths.map((_, i) => i);

  function layers(path: string, x: tf.Tensor, stride: number): tf.Tensor {
    return [0, 1].reduce((y, i) => {
      const layer = `${path}/${i}`;
      const filtered = conv3d(y, state.param(`${layer}/conv/weight`), i === 0 ? stride : 1, 1);
      const [gain, bias] = [state.param(`${layer}/norm/gain`), state.param(`${layer}/norm/bias`)];
      return tf.relu(instanceNorm(filtered, gain, bias));
    }, x);
  }

  function unet(x: tf.Tensor): tf.Tensor {
    const skips: tf.Tensor[] = [];
    let y = x;
    for (const i of levels) {
      y = layers(`encoder/${i}`, y, i === 0 ? 1 : 2);
      skips.push(y);
    }
    skips.pop();
    for (const i of levels.slice(1).map((level) => level - 1)) {
      const joined = tf.concat(
        [skips.pop() as tf.Tensor, doubled(y, state.param(`decoder/${i}/up/weight`))],
        4,
      );
      y = layers(`decoder/${i}/layers`, joined, 1);
    }
    const flat = tf.reshape(y, [-1, widths[0] as number]);
    const head = tf.reshape(state.param("head/weight"), [widths[0] as number, classes]);
    return affine(flat, head, state.param("head/bias"));
  }

  return {
    optimiser: tf.train.adam(learningRate, 0.9, 0.999, 1e-8),
    loss: () => {
      const logProbabilities = tf.logSoftmax(unet(volumes) as tf.Tensor2D);
      return tf.mul(tf.sum(tf.mul(targets, logProbabilities)), -1 / (batch * side ** 3)) as tf.Scalar;
    },
  };
});
