import {
  adamw,
  add,
  clampMax,
  concat,
  cos,
  div,
  less,
  mul,
  type Optimiser,
  reshape,
  type Schedule,
  split,
  sqrt,
  sumSquares,
  type Tensor,
  treeLeaves,
  treeMap,
  where,
} from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

/** As `clip_grad_norm_` of PyTorch has it. */
const NORM_EPSILON = 1e-6;

export interface BertAdamOptions {
  /** Peak of the schedule. */
  readonly learningRate: number;
  /** Steps of the whole training. */
  readonly totalSteps: number;
  /** Share of the steps that warm up, in [0, 1). Default 0.05. */
  readonly warmup?: number;
  /** Default 0.9, 0.98, 1e-6. */
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Decoupled, of every tensor. Default 0.01. */
  readonly weightDecay?: number;
  /** Largest norm of the gradient of one tensor. Default 1. */
  readonly maximumNorm?: number;
}

/**
 * The learning rate of BertAdam, with x = steps done / all steps:
 *
 *   η x / warmup for x < warmup, else η (1 + cos π x) / 2
 *
 * The cosine is that of the whole training, so the rate falls a little where the warm-up ends.
 *
 * @throws RangeError when the warm-up is no share
 */
export function warmupCosine({
  learningRate,
  totalSteps,
  warmup = PAPER_DEFAULTS.warmup,
}: Pick<BertAdamOptions, "learningRate" | "totalSteps" | "warmup">): Schedule {
  if (!(warmup >= 0 && warmup < 1))
    throw new RangeError(`warmupCosine: warmup must be in [0, 1), got ${warmup}`);
  return (step) => {
    const x = div(step, totalSteps);
    const decayed = mul(add(cos(mul(x, Math.PI)), 1), learningRate / 2);
    return warmup === 0
      ? decayed
      : where(less(step, warmup * totalSteps), mul(x, learningRate / warmup), decayed);
  };
}

/**
 * Every tensor's gradient by itself, cut to a largest norm: g · min(1, maximum / (‖g‖ + 1e-6)).
 *
 * The factors are computed as one vector: a model has a hundred tensors, and each would start ten kernels of its own.
 */
export function clipEachByNorm<P>(gradients: P, maximum: number): P {
  const leaves = treeLeaves(gradients as never) as Tensor[];
  const squares = concat(
    leaves.map((leaf) => reshape(sumSquares(leaf), [1])),
    0,
  );
  const factors = clampMax(div(maximum, add(sqrt(squares), NORM_EPSILON)), 1);
  const parts = split(factors, leaves.length, 0);
  let next = 0;
  return treeMap(gradients, (leaf) => {
    const factor = parts[next++] as Tensor;
    const g = leaf as Tensor;
    return mul(g, g.rank === 0 ? reshape(factor, []) : factor);
  }) as P;
}

/**
 * BertAdam: the gradient of each tensor cut to norm 1 by itself, Adam without bias correction, decoupled weight decay.
 *
 *   m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) g²,   p ← p - η_t (m / (√v + ε) + λ p)
 *
 * @throws RangeError when the warm-up is no share or the number of steps is not positive
 * @source released code (optimization.py), after BERT's
 */
export function bertAdam(options: BertAdamOptions): Optimiser {
  const {
    totalSteps,
    beta1 = PAPER_DEFAULTS.beta1,
    beta2 = PAPER_DEFAULTS.beta2,
    epsilon = PAPER_DEFAULTS.epsilon,
    weightDecay = PAPER_DEFAULTS.weightDecay,
    maximumNorm = PAPER_DEFAULTS.maximumNorm,
  } = options;
  if (!(totalSteps > 0)) throw new RangeError(`bertAdam: totalSteps must be > 0, got ${totalSteps}`);
  const adam = adamw({
    learningRate: warmupCosine(options),
    beta1,
    beta2,
    epsilon,
    weightDecay,
    biasCorrection: false,
  });
  return {
    init: (params) => adam.init(params),
    update: (params, gradients, state) => adam.update(params, clipEachByNorm(gradients, maximumNorm), state),
  };
}
