import {
  abs,
  add,
  checkAxes,
  div,
  greater,
  logicalAnd,
  max,
  mul,
  type NDArray,
  norm,
  type Optimiser,
  type Schedule,
  sub,
  type Tensor,
  treeMap,
  treeZip,
  where,
  zerosArray,
} from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

export interface LarcOptions {
  /** λ ≥ 0. Default 1e-6. */
  readonly weightDecay?: number;
  /** Default 0.001. */
  readonly trustCoefficient?: number;
  /** Default 0.9. */
  readonly momentum?: number;
  /** Default 1e-8. */
  readonly eps?: number;
}

/** ‖x‖ of a tensor whose squares may be too large or too small for float32. */
function lengthOf(x: Tensor): Tensor {
  const largest = max(abs(x));
  return mul(largest, norm(div(x, where(greater(largest, 0), largest, 1))));
}

/**
 * One step of SGD with momentum whose gradient LARC has scaled, for one parameter tensor.
 *
 *   a = t ‖w‖ / (‖g‖ + λ ‖w‖ + ε),   g' = a (g + λ w)   (g' = g where a norm is zero)
 *   buf ← μ buf + g',   w ← w - lr · buf
 *
 * @param param     w, any shape
 * @param gradient  g, the shape of w
 * @param buffer    buf, the shape of w, zeros before the first step
 * @param lr        learning rate, a number or a scalar
 * @throws ShapeError when shapes differ
 * @source You et al. 2017 in the form of NVIDIA's apex with clipping off, as the released code uses it
 */
export function larcSgdStep(
  param: Tensor,
  gradient: Tensor,
  buffer: Tensor,
  lr: number | Tensor,
  options: LarcOptions = {},
): { readonly param: Tensor; readonly buffer: Tensor } {
  const {
    weightDecay = PAPER_DEFAULTS.weightDecay,
    trustCoefficient = PAPER_DEFAULTS.trustCoefficient,
    momentum = PAPER_DEFAULTS.momentum,
    eps = PAPER_DEFAULTS.larcEps,
  } = options;
  const axes = param.shape.map((_, i) => `n${i}`).join(" ");
  checkAxes("larcSgdStep", { param: [param, axes], gradient: [gradient, axes], buffer: [buffer, axes] });
  const [paramNorm, gradientNorm] = [lengthOf(param), lengthOf(gradient)];
  const scaled = logicalAnd(greater(paramNorm, 0), greater(gradientNorm, 0));
  const rate = div(
    mul(paramNorm, trustCoefficient),
    add(add(gradientNorm, mul(paramNorm, weightDecay)), eps),
  );
  const trusted = mul(add(gradient, mul(param, weightDecay)), where(scaled, rate, 0));
  const direction = where(scaled, trusted, gradient);
  const next = add(mul(buffer, momentum), direction);
  return { param: sub(param, mul(next, lr)), buffer: next };
}

/**
 * `larcSgdStep` on every tensor of a tree, biases and normalisations included.
 *
 * @param options.learningRate  a number, or a function of the steps already done (`lrSchedule`)
 */
export function larcSgd(options: LarcOptions & { readonly learningRate: number | Schedule }): Optimiser {
  const { learningRate } = options;
  return {
    init: (params) => ({
      step: zerosArray([]),
      slots: {
        buffer: treeMap(params, (leaf) => zerosArray((leaf as NDArray).shape)) as typeof params,
      },
    }),
    update: (params, gradients, state) => {
      const lr = typeof learningRate === "number" ? learningRate : learningRate(state.step);
      const trees = [gradients, state.slots.buffer];
      const moved: Tensor[] = [];
      const buffer = treeZip(params, trees, (...leaves) => {
        const [w, g, buf] = leaves as [Tensor, Tensor, Tensor];
        const next = larcSgdStep(w, g, buf, lr, options);
        moved.push(next.param);
        return next.buffer;
      });
      const next = treeMap(params, () => moved.shift()) as typeof params;
      return {
        params: next,
        state: { step: add(state.step, 1), slots: { buffer } } as unknown as typeof state,
      };
    },
  };
}
