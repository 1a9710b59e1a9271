import * as tf from "@tensorflow/tfjs-core";
import { affine, sumRows, type TfState } from "./tfjs.ts";
import { conv2d } from "./tfjs-conv.ts";

const EPSILON = 1e-5;
const MOMENTUM = 0.1;

interface Statistics {
  readonly mean: tf.Variable;
  readonly variance: tf.Variable;
}

function alongRows(x: tf.Tensor): tf.Tensor {
  return tf.reshape(x, [-1, x.shape.at(-1) as number]);
}

/**
 * Batch normalisation of [..., C] that moves its running statistics. With its gradient written out it takes far fewer
 * kernels, and its sums run as products.
 */
export function batchNorm(x: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor, running: Statistics): tf.Tensor {
  const blend = (old: tf.Variable, batch: tf.Tensor): void =>
    old.assign(tf.add(tf.mul(old, 1 - MOMENTUM), tf.mul(batch, MOMENTUM)));
  const normalise = tf.customGrad((...args) => {
    const [input, scale, shift, save] = args as unknown as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      (tensors: tf.Tensor[]) => void,
    ];
    const flat = alongRows(input);
    const rows = flat.shape[0] as number;
    const mean = tf.div(sumRows(flat), rows);
    const centred = tf.sub(flat, mean);
    const variance = tf.div(sumRows(tf.square(centred)), rows);
    blend(running.mean, mean);
    blend(running.variance, tf.mul(variance, rows / Math.max(rows - 1, 1)));
    const inverse = tf.rsqrt(tf.add(variance, EPSILON));
    const standardized = tf.mul(centred, inverse);
    save([standardized, tf.mul(inverse, scale)]);
    return {
      value: tf.reshape(tf.add(tf.mul(standardized, scale), shift), input.shape),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [normal, factor] = saved as [tf.Tensor, tf.Tensor];
        const dFlat = alongRows(dy);
        const dGain = sumRows(tf.mul(dFlat, normal));
        const dBias = sumRows(dFlat);
        const projected = tf.add(tf.mul(normal, tf.div(dGain, rows)), tf.div(dBias, rows));
        return [tf.reshape(tf.mul(tf.sub(dFlat, projected), factor), dy.shape), dGain, dBias];
      },
    };
  });
  return normalise(x, gain, bias);
}

/** The ResNet of the CNN and the SwAV step: [B, H, W, C] to its head's outputs, or to its features. */
export class TfResNet {
  readonly #state: TfState;
  readonly #path: string;
  readonly #blocks: readonly number[];
  readonly #statistics = new Map<string, Statistics>();
  readonly #statisticsPath: string;

  constructor(state: TfState, blocks: readonly number[], path: string, statistics: string) {
    this.#state = state;
    this.#blocks = blocks;
    this.#path = path;
    this.#statisticsPath = statistics;
  }

  #running(layer: string): Statistics {
    let known = this.#statistics.get(layer);
    if (!known) {
      const path = `${this.#statisticsPath}/${layer}`;
      known = {
        mean: this.#state.variable(`${path}/mean`),
        variance: this.#state.variable(`${path}/variance`),
      };
      this.#statistics.set(layer, known);
    }
    return known;
  }

  #param(path: string): tf.Variable {
    return this.#state.param(`${this.#path}${path}`);
  }

  #normedConv(layer: string, x: tf.Tensor, stride: number): tf.Tensor {
    const kernel = this.#param(`${layer}/conv/weight`);
    const filtered = conv2d(x, kernel, stride, ((kernel.shape[0] as number) - 1) / 2);
    const [gain, bias] = [this.#param(`${layer}/norm/gain`), this.#param(`${layer}/norm/bias`)];
    return batchNorm(filtered, gain, bias, this.#running(layer));
  }

  apply(images: tf.Tensor): tf.Tensor {
    let x: tf.Tensor = tf.relu(this.#normedConv("stem", images, 1));
    this.#blocks.forEach((count, stage) => {
      for (let i = 0; i < count; i++) {
        const block = `stages/${stage}/${i}`;
        const stride = stage > 0 && i === 0 ? 2 : 1;
        const hidden = tf.relu(this.#normedConv(`${block}/layers/0`, x, stride));
        const y = this.#normedConv(`${block}/layers/1`, hidden, 1);
        const changes = this.#state.params.has(`${this.#path}${block}/shortcut/conv/weight`);
        x = tf.relu(tf.add(y, changes ? this.#normedConv(`${block}/shortcut`, x, stride) : x));
      }
    });
    const pooled = tf.mean(x, [1, 2]);
    if (!this.#state.params.has(`${this.#path}head/weight`)) return pooled;
    return affine(pooled, this.#param("head/weight"), this.#param("head/bias"));
  }
}
