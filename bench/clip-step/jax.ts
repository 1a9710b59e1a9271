import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { numpy } from "@jax-js/jax";
import { engineArguments, serve } from "../engine-process.ts";
import { imageTokens, model } from "./model.ts";
import { readState, type StoredArray } from "./state-file.ts";
import { WebWorker } from "./web-worker.ts";

const { stateFile, threads } = engineArguments();
// jax-js decides at import how many threads it has: all of `navigator.hardwareConcurrency`, if there is a Worker.
Object.assign(globalThis, { Worker: WebWorker });
Object.defineProperty(navigator, "hardwareConcurrency", { value: threads });
const { jit, nn, numpy: np, tree, valueAndGrad } = await import("@jax-js/jax");

type Arrays = Record<string, numpy.Array>;

const { batch, width, layers, heads, imageSize, patchSize, channels, textTokens } = model;
const { temperature, learningRate } = model;
const size = width / heads;

// jax-js counts references: a function consumes its arguments, and `.ref` keeps one for later use.

function linear(p: Arrays, name: string, x: numpy.Array): numpy.Array {
  const product = np.matmul(x, p[`${name}/weight`]!);
  const bias = p[`${name}/bias`];
  return bias ? product.add(bias) : product;
}

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
    const attended = attention(
      p,
      `${layer}/attention`,
      layerNorm(p, `${layer}/attentionNorm`, state.ref),
      tokens,
    );
    state = state.add(attended);
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
    .reshape([batch, channels, side, patchSize, side, patchSize])
    .transpose([0, 2, 4, 1, 3, 5])
    .reshape([batch, imageTokens, channels * patchSize * patchSize]);
  const a = normalize(tower(p, "image", linear(p, "image/patches", patches), imageTokens));
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

const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];

/** Value, gradients and Adam as one compiled function. */
const step = jit(
  (params: Arrays, m: Arrays, v: Arrays, count: numpy.Array, images: numpy.Array, ids: numpy.Array) => {
    const [value, gradients] = valueAndGrad(loss)(tree.ref(params) as Arrays, images, ids) as [
      numpy.Array,
      Arrays,
    ];
    const t = count.add(1);
    const correction1 = np.subtract(1, np.power(beta1, t.ref));
    const correction2 = np.subtract(1, np.power(beta2, t.ref));
    const next: { params: Arrays; m: Arrays; v: Arrays } = { params: {}, m: {}, v: {} };
    for (const name of Object.keys(params)) {
      const g = gradients[name]!;
      const newM = m[name]!.mul(beta1).add(g.ref.mul(1 - beta1));
      const newV = v[name]!.mul(beta2).add(np.square(g).mul(1 - beta2));
      next.m[name] = newM.ref;
      next.v[name] = newV.ref;
      const denominator = np.sqrt(newV.div(correction2.ref)).add(epsilon);
      next.params[name] = params[name]!.sub(newM.div(correction1.ref).div(denominator).mul(learningRate));
    }
    correction1.dispose();
    correction2.dispose();
    return { ...next, count: t, value };
  },
);

const load = ({ data, shape }: StoredArray): numpy.Array => np.array(data).reshape(shape);
const stored = readState(stateFile);
const images = load(stored.images);
const ids = load(stored.ids);
const params: Arrays = Object.fromEntries([...stored.params].map(([name, array]) => [name, load(array)]));
const zeros = (): Arrays =>
  Object.fromEntries([...stored.params].map(([name, { shape }]) => [name, np.zeros(shape)]));
let state = { params, m: zeros(), v: zeros(), count: np.array(0) };

const manifest = createRequire(import.meta.url)
  .resolve("@jax-js/jax")
  .replace(/dist.*/, "package.json");
const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
await serve({
  name: `jax-js ${version} wasm`,
  async step() {
    const { value, ...next } = step(state.params, state.m, state.v, state.count, images.ref, ids.ref);
    state = next;
    const [number] = await value.data();
    return number as number;
  },
  // Its workers would keep the process alive.
  close: async () => process.exit(),
});
