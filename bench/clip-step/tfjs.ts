import { getThreadsCount, setThreadsCount } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { engineArguments, serve } from "../engine-process.ts";
import { imageTokens, model } from "./model.ts";
import { readState } from "./state-file.ts";
import { registerGradients } from "./tfjs-gradients.ts";

const { batch, width, layers, heads, imageSize, patchSize, channels, textTokens, vocabulary } = model;
const { temperature, learningRate } = model;
const size = width / heads;

const { stateFile, threads } = engineArguments();
setThreadsCount(threads);
if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js could not start its WebAssembly backend");
await registerGradients();

const stored = readState(stateFile);
const params = new Map(
  [...stored.params].map(([name, { data, shape }]) => [
    name,
    tf.variable(tf.tensor(data, shape), true, name),
  ]),
);
const images = tf.tensor(stored.images.data, stored.images.shape);
const ids = tf.tensor1d(stored.ids.data, "int32");
const diagonal = tf.eye(batch);

function param(name: string): tf.Variable {
  const variable = params.get(name);
  if (!variable) throw new Error(`no parameter '${name}'`);
  return variable;
}

/** A differentiable function of tensors with its gradient, which gets the tensors and the gradient of the value. */
function withGradient(
  value: (...inputs: tf.Tensor[]) => tf.Tensor,
  gradient: (dy: tf.Tensor, inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[],
): (...inputs: tf.Tensor[]) => tf.Tensor {
  return tf.customGrad((...args) => {
    const save = args.at(-1) as (tensors: tf.Tensor[]) => void;
    const inputs = args.slice(0, -1) as tf.Tensor[];
    save(inputs);
    return { value: value(...inputs), gradFunc: gradient };
  });
}

// The backend calls XNNPACK only for a product without transposed operands and is about ten times slower otherwise.
// The gradient that TensorFlow.js has for matMul uses such products; this one transposes explicitly.
const affine = withGradient(
  (x, weight, bias) =>
    tf.fused.matMul({ a: x as tf.Tensor2D, b: weight as tf.Tensor2D, ...(bias ? { bias } : {}) }),
  (dy, [x, weight, bias]) => {
    const dx = tf.matMul(dy, tf.transpose(weight as tf.Tensor));
    const dWeight = tf.matMul(tf.transpose(x as tf.Tensor), dy);
    return bias ? [dx, dWeight, sumRows(dy)] : [dx, dWeight];
  },
);

/** [N, D] to [D], as a matrix product: the backend's own sum over rows takes about twenty times as long. */
function sumRows(x: tf.Tensor): tf.Tensor {
  return tf.reshape(tf.matMul(tf.ones([1, x.shape[0] as number]), x), [-1]);
}

// The backend lacks UnsortedSegmentSum, which the gradient of gather needs; scatterND adds up duplicates too.
const lookUp = withGradient(
  (table) => tf.gather(table as tf.Tensor, ids),
  (dy) => tf.scatterND(tf.expandDims(ids, 1), dy, [vocabulary, width]),
);

function linear(name: string, x: tf.Tensor): tf.Tensor {
  return affine(x, param(`${name}/weight`), param(`${name}/bias`));
}

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
  const grid = tf.reshape(images, [batch, channels, side, patchSize, side, patchSize]);
  const patches = tf.reshape(tf.transpose(grid, [0, 2, 4, 1, 3, 5]), [batch * imageTokens, -1]);
  const a = normalize(tower("image", linear("image/patches", patches), imageTokens));
  const b = normalize(tower("text", lookUp(param("text/words/table")), textTokens));
  const logits = tf.mul(affine(a, tf.transpose(b)), 1 / temperature);
  const oneWay = (x: tf.Tensor): tf.Tensor => tf.sum(tf.mul(tf.logSoftmax(x), diagonal));
  return tf.mul(tf.add(oneWay(logits), oneWay(tf.transpose(logits))), -0.5 / batch);
}

const optimiser = tf.train.adam(learningRate, 0.9, 0.999, 1e-8);
const variables = [...params.values()];

await serve({
  name: `TensorFlow.js ${tf.version_core} wasm`,
  // One: in Node the backend switches its threads off.
  threads: getThreadsCount(),
  async step() {
    const value = optimiser.minimize(loss, true, variables);
    if (!value) throw new Error("TensorFlow.js returned no loss");
    const [number] = await value.data();
    value.dispose();
    return number as number;
  },
});
