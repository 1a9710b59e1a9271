import type { Conv2dOptions, DType, ReduceOptions, Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";

type Attributes = Readonly<Record<string, unknown>>;
export type Application = (inputs: readonly Tensor[], attributes: Attributes) => Tensor | readonly Tensor[];

function unary(op: (x: Tensor) => Tensor): Application {
  return ([x]) => op(x as Tensor);
}

function binary(op: (a: Tensor, b: Tensor) => Tensor): Application {
  return ([a, b]) => op(a as Tensor, b as Tensor);
}

function reduction(op: (x: Tensor, options: ReduceOptions) => Tensor): Application {
  return ([x], attributes) => op(x as Tensor, attributes);
}

function alongAxis(op: (x: Tensor, axis: number) => Tensor): Application {
  return ([x], { axis }) => op(x as Tensor, axis as number);
}

function batchNormOf(inputs: readonly Tensor[], attributes: Attributes): readonly Tensor[] {
  const [x, gain, bias, mean, variance] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor];
  const { y, running } = engine.batchNorm(x, gain, bias, { mean, variance }, attributes);
  return [y, running.mean, running.variance];
}

/** How each operation is called with the inputs and attributes of its fixtures. */
export const applications: Readonly<Record<string, Application>> = {
  add: binary(engine.add),
  sub: binary(engine.sub),
  mul: binary(engine.mul),
  div: binary(engine.div),
  maximum: binary(engine.maximum),
  minimum: binary(engine.minimum),
  greater: binary(engine.greater),
  greaterOrEqual: binary(engine.greaterOrEqual),
  less: binary(engine.less),
  lessOrEqual: binary(engine.lessOrEqual),
  equal: binary(engine.equal),
  logicalAnd: binary(engine.logicalAnd),
  logicalOr: binary(engine.logicalOr),
  logicalNot: unary(engine.logicalNot),
  neg: unary(engine.neg),
  pow: ([x], { exponent }) => engine.pow(x as Tensor, exponent as number),
  cast: ([x], { dtype }) => engine.cast(x as Tensor, dtype as DType),
  where: ([condition, a, b]) => engine.where(condition as Tensor, a as Tensor, b as Tensor),
  clamp: ([x], { low, high }) => engine.clamp(x as Tensor, low as number, high as number),
  stopGradient: unary(engine.stopGradient),
  exp: unary(engine.exp),
  log: unary(engine.log),
  sqrt: unary(engine.sqrt),
  tanh: unary(engine.tanh),
  sigmoid: unary(engine.sigmoid),
  erf: unary(engine.erf),
  relu: unary(engine.relu),
  abs: unary(engine.abs),
  sin: unary(engine.sin),
  cos: unary(engine.cos),
  softplus: unary(engine.softplus),
  floor: unary(engine.floor),
  sign: unary(engine.sign),
  square: unary(engine.square),
  logSigmoid: unary(engine.logSigmoid),
  gelu: unary(engine.gelu),
  quickGelu: unary(engine.quickGelu),
  sum: reduction(engine.sum),
  mean: reduction(engine.mean),
  max: reduction(engine.max),
  min: reduction(engine.min),
  logSumExp: reduction(engine.logSumExp),
  variance: reduction(engine.variance),
  norm: reduction(engine.norm),
  softmax: alongAxis(engine.softmax),
  logSoftmax: alongAxis(engine.logSoftmax),
  argmax: alongAxis(engine.argmax),
  softmaxCrossEntropy: binary(engine.softmaxCrossEntropy),
  matmul: ([a, b], attributes) => engine.matmul(a as Tensor, b as Tensor, attributes),
  dot: binary(engine.dot),
  outer: binary(engine.outer),
  reshape: ([x], { shape }) => engine.reshape(x as Tensor, shape as number[]),
  broadcastTo: ([x], { shape }) => engine.broadcastTo(x as Tensor, shape as number[]),
  sumTo: ([x], { shape }) => engine.sumTo(x as Tensor, shape as number[]),
  transpose: ([x], { order }) => engine.transpose(x as Tensor, order as number[] | undefined),
  expandDims: alongAxis(engine.expandDims),
  squeeze: alongAxis(engine.squeeze),
  slice: ([x], { starts, ends, steps }) =>
    engine.slice(x as Tensor, starts as number[], ends as number[], steps as number[] | undefined),
  narrow: ([x], { axis, start, length }) =>
    engine.narrow(x as Tensor, axis as number, start as number, length as number),
  split: ([x], { parts, axis }) => engine.split(x as Tensor, parts as number, axis as number),
  pad: ([x], { amounts, value }) => engine.pad(x as Tensor, amounts as [number, number][], value as number),
  concat: (inputs, { axis }) => engine.concat(inputs, axis as number),
  stack: (inputs, { axis }) => engine.stack(inputs, axis as number),
  gather: ([x, indices], { axis }) => engine.gather(x as Tensor, indices as Tensor, axis as number),
  segmentSum: ([x, ids], { segments }) => engine.segmentSum(x as Tensor, ids as Tensor, segments as number),
  takeAlong: ([x, indices], { axis }) => engine.takeAlong(x as Tensor, indices as Tensor, axis as number),
  scatterAddAlong: ([x, indices], { shape, axis }) =>
    engine.scatterAddAlong(x as Tensor, indices as Tensor, shape as number[], axis as number),
  oneHot: ([indices], { depth }) => engine.oneHot(indices as Tensor, depth as number),
  conv2d: ([x, weights, bias], attributes) =>
    engine.conv2d(x as Tensor, weights as Tensor, {
      ...(attributes as Conv2dOptions),
      ...(bias && { bias }),
    }),
  maxPool2d: ([x], { size, ...options }) => engine.maxPool2d(x as Tensor, size as number, options),
  averagePool2d: ([x], { size, ...options }) => engine.averagePool2d(x as Tensor, size as number, options),
  globalAveragePool: unary(engine.globalAveragePool),
  layerNorm: ([x, gain, bias], attributes) =>
    engine.layerNorm(x as Tensor, gain as Tensor, bias as Tensor, attributes),
  batchNorm: batchNormOf,
  batchNormInference: (inputs, attributes) => {
    const [x, gain, bias, mean, variance] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor];
    return engine.batchNormInference(x, gain, bias, { mean, variance }, attributes);
  },
  l2Normalize: ([x], attributes) => engine.l2Normalize(x as Tensor, attributes),
};

/** Operations that ONNX Runtime computes in float32 only; they refuse float64. */
export const FLOAT32_ONLY: ReadonlySet<string> = new Set([
  "erf",
  "softplus",
  "logSigmoid",
  "gelu",
  "conv2d",
  "averagePool2d",
  "layerNorm",
]);
