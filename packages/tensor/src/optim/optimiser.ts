import type { NDArray } from "../core/ndarray.ts";
import { ndarray, zerosArray } from "../core/ndarray.ts";
import type { Tensor } from "../core/tensor.ts";
import { asTensor, constant } from "../core/tensor.ts";
import { treeLeaves, treeMap } from "../core/tree.ts";
import { add, div, minimum, mul, sub } from "../ops/arithmetic.ts";
import { sqrt, tanh } from "../ops/math.ts";
import { sum } from "../ops/structure.ts";
import type { Schedule } from "./schedule.ts";
import { updateTogether } from "./together.ts";

/** What an optimiser remembers between steps: trees shaped like the parameters, and the number of steps done. */
export interface OptimiserState<P> {
  readonly step: NDArray;
  readonly slots: Readonly<Record<string, P>>;
}

/** The state as a traced step sees it. */
export interface TracedOptimiserState {
  readonly step: Tensor;
  readonly slots: Readonly<Record<string, unknown>>;
}

export interface Optimiser {
  /** The state before the first step. */
  init<P>(params: P): OptimiserState<P>;
  /** New parameters and state, inside a traced step. */
  update<P, S extends TracedOptimiserState>(
    params: P,
    gradients: P,
    state: S,
  ): { readonly params: P; readonly state: S };
}

/** The new state; its type is that of the old one because it has the same slots. */
function nextState<S extends TracedOptimiserState>(state: TracedOptimiserState): S {
  return state as S;
}

function zerosTree<P>(params: P): P {
  return treeMap(params, (leaf) => zerosArray((leaf as NDArray).shape, (leaf as NDArray).dtype)) as P;
}

function initState<P>(params: P, slots: readonly string[]): OptimiserState<P> {
  return {
    step: ndarray([0], { shape: [] }),
    slots: Object.fromEntries(slots.map((slot) => [slot, zerosTree(params)])),
  };
}

function rateAt(learningRate: number | Schedule, step: Tensor): Tensor {
  return typeof learningRate === "number"
    ? constant(ndarray([learningRate], { shape: [] }))
    : learningRate(step);
}

export interface AdamWOptions {
  readonly learningRate: number | Schedule;
  /** Decay rates of the two moments. Default 0.9 and 0.999. */
  readonly beta1?: number;
  readonly beta2?: number;
  /** Default 1e-8. */
  readonly epsilon?: number;
  /** Decoupled decay: parameters shrink by learningRate · weightDecay a step. Default 0.01. */
  readonly weightDecay?: number;
  /** Which parameters decay, by path such as "text/layers/0/bias". Default: all. */
  readonly decays?: (path: string) => boolean;
  /** Divide the moments by 1 - βᵗ, which makes up for their start at 0. Default true; BERT's Adam does not. */
  readonly biasCorrection?: boolean;
}

/**
 * AdamW:
 *
 *   m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) g²
 *   p ← (1 - η λ) p - η · (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)
 *
 * Without `biasCorrection` both divisors 1 - βᵗ are 1.
 *
 * The slots hold m / (1 - β₁) and v / (1 - β₂), which saves passes over memory; the updates are the same.
 *
 * @source Loshchilov, Hutter 2019, algorithm 2
 */
export function adamw(options: AdamWOptions): Optimiser {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0.01, decays = () => true } = options;
  const { biasCorrection = true } = options;
  return {
    init: (params) => initState(params, ["m", "v"]),
    update: (params, gradients, state) => {
      const step = add(state.step, 1);
      const rate = rateAt(options.learningRate, state.step);
      // 1 - βᵗ by way of tanh, as 1 - e^(t ln β) would cancel most of its digits in the first steps.
      const correction = (beta: number): Tensor => {
        if (!biasCorrection) return asTensor(1);
        const half = tanh(mul(step, -Math.log(beta) / 2));
        return div(mul(half, 2), add(half, 1));
      };
      // √v̂ = √(slot) · deviation, so dividing numerator and epsilon by it leaves one multiplication less an element.
      const deviation = sqrt(div(1 - beta2, correction(beta2)));
      const factor = div(mul(rate, 1 - beta1), mul(correction(beta1), deviation));
      const offset = div(epsilon, deviation);
      const shrink = sub(1, mul(rate, weightDecay));
      const { m, v } = state.slots as { m: unknown; v: unknown };
      const kindOf = (path: string): string => (weightDecay !== 0 && decays(path) ? "decays" : "stays");
      const [newParams, newM, newV] = updateTogether([params, gradients, m, v], kindOf, (leaves, kind) => {
        const [p, g, first, second] = leaves as [Tensor, Tensor, Tensor, Tensor];
        const [mean, square] = [add(mul(first, beta1), g), add(mul(second, beta2), mul(g, g))];
        const kept = kind === "decays" ? mul(p, shrink) : p;
        return [sub(kept, mul(div(mean, add(sqrt(square), offset)), factor)), mean, square];
      });
      return { params: newParams as typeof params, state: nextState({ step, slots: { m: newM, v: newV } }) };
    },
  };
}

export interface SgdOptions {
  readonly learningRate: number | Schedule;
  /** Default 0. */
  readonly momentum?: number;
  /** L2 penalty added to the gradient. Default 0. */
  readonly weightDecay?: number;
  /** Look-ahead momentum, with momentum > 0. Default false. */
  readonly nesterov?: boolean;
}

/**
 * Stochastic gradient descent with momentum:
 *
 *   g ← g + λ p,   u ← μ u + g,   p ← p - η u    (Nesterov: p ← p - η (g + μ u))
 *
 * @source Sutskever et al. 2013, in the form that PyTorch uses
 */
export function sgd(options: SgdOptions): Optimiser {
  const { momentum = 0, weightDecay = 0, nesterov = false } = options;
  if (nesterov && momentum === 0) throw new RangeError("sgd: nesterov needs a momentum above 0");
  return {
    init: (params) => initState(params, momentum === 0 ? [] : ["velocity"]),
    update: (params, gradients, state) => {
      const rate = rateAt(options.learningRate, state.step);
      const step = add(state.step, 1);
      const { velocity } = state.slots as { velocity?: unknown };
      const trees = velocity === undefined ? [params, gradients] : [params, gradients, velocity];
      const [newParams, newVelocity] = updateTogether(
        trees,
        () => "",
        (leaves) => {
          const [p, g, u] = leaves as [Tensor, Tensor, Tensor?];
          const decayed = weightDecay === 0 ? g : add(g, mul(p, weightDecay));
          if (!u) return [sub(p, mul(decayed, rate))];
          const next = add(mul(u, momentum), decayed);
          const direction = nesterov ? add(decayed, mul(next, momentum)) : next;
          return [sub(p, mul(direction, rate)), next];
        },
      );
      const slots = newVelocity === undefined ? {} : { velocity: newVelocity };
      return { params: newParams as typeof params, state: nextState({ step, slots }) };
    },
  };
}

/** Euclidean norm of all leaves of a tree together. */
export function globalNorm(tree: unknown): Tensor {
  const squares = (treeLeaves(tree as never) as Tensor[]).map((x) => sum(mul(x, x)));
  const [first, ...rest] = squares;
  if (!first) throw new RangeError("globalNorm: the tree has no leaves");
  return sqrt(rest.reduce(add, first));
}

/** Scales gradients so that their global norm does not exceed `maximum`; also returns the norm before. */
export function clipByGlobalNorm<P>(
  gradients: P,
  maximum: number,
): { readonly gradients: P; readonly norm: Tensor } {
  const norm = globalNorm(gradients);
  const factor = minimum(div(maximum, add(norm, 1e-6)), 1);
  return { gradients: treeMap(gradients, (g) => mul(g as Tensor, factor)) as P, norm };
}
