import { type LinearParams, linear, linearInit } from "@concord/nn";
import type { Key, NDArray, Traced } from "@concord/tensor";
import {
  add,
  checkAxes,
  concat,
  exp,
  expandDims,
  foldIn,
  mul,
  narrow,
  ndarray,
  neg,
  pad,
  RandomStream,
  reshape,
  silu,
  softplus,
  split,
  sum,
  type Tensor,
  transpose,
  uniformArray,
} from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

/** D model width, I inner width, N states a channel, W kernel, R rank of the step size. */
export interface MambaParams {
  /** [D, 2 I], no bias */
  readonly input: LinearParams;
  /** [I, W]: the last column meets the present token. */
  readonly kernel: NDArray;
  /** [I] */
  readonly kernelBias: NDArray;
  /** [I, R + 2 N], no bias */
  readonly selection: LinearParams;
  /** [R, I] and [I] */
  readonly step: LinearParams;
  /** [I, N]: A = -exp(logA) */
  readonly logA: NDArray;
  /** [I] */
  readonly skip: NDArray;
  /** [I, D], no bias */
  readonly output: LinearParams;
}

export interface MambaOptions {
  /** D */
  readonly width: number;
  /** N, default 16. */
  readonly states?: number;
  /** W, default 4. */
  readonly kernel?: number;
  /** I / D, default 2. */
  readonly growth?: number;
}

const [LEAST_STEP, LARGEST_STEP] = [1e-3, 0.1];

/**
 * Parameters of a selective state-space block: A = -(1 … N) in every channel, skip 1, step sizes log-uniform in
 * [1e-3, 0.1].
 *
 * @source Gu, Dao 2023 (Mamba), section 3.6; the public implementation's initialisation
 */
export function mambaInit(key: Key, { width, ...options }: MambaOptions): MambaParams {
  const { states = PAPER_DEFAULTS.states, kernel = PAPER_DEFAULTS.kernel } = options;
  const inner = width * (options.growth ?? PAPER_DEFAULTS.innerGrowth);
  const rank = Math.ceil(width / 16);
  const random = new RandomStream(foldIn(key, 4));
  const steps = Array.from({ length: inner }, () => {
    const step = Math.exp(random.uniform(Math.log(LEAST_STEP), Math.log(LARGEST_STEP)));
    return step + Math.log(-Math.expm1(-step));
  });
  const bound = 1 / Math.sqrt(kernel);
  return {
    input: linearInit(foldIn(key, 0), { inputs: width, outputs: 2 * inner, bias: false }),
    kernel: uniformArray(foldIn(key, 1), [inner, kernel], -bound, bound),
    kernelBias: uniformArray(foldIn(key, 2), [inner], -bound, bound),
    selection: linearInit(foldIn(key, 3), { inputs: inner, outputs: rank + 2 * states, bias: false }),
    step: {
      weight: uniformArray(foldIn(key, 5), [rank, inner], -1 / Math.sqrt(rank), 1 / Math.sqrt(rank)),
      bias: ndarray(steps),
    },
    logA: ndarray(
      Array.from({ length: inner * states }, (_, i) => Math.log(1 + (i % states))),
      { shape: [inner, states] },
    ),
    skip: ndarray(new Array<number>(inner).fill(1)),
    output: linearInit(foldIn(key, 6), { inputs: inner, outputs: width, bias: false }),
  };
}

/** Causal convolution of every channel by itself: y_t = Σ_k w_k x_(t - W + 1 + k) + b. [B, L, I] to [B, L, I]. */
function causalConvolution(x: Tensor, kernel: Tensor, bias: Tensor): Tensor {
  const { L, W, I } = checkAxes("mambaBlock", {
    x: [x, "B L I"],
    kernel: [kernel, "I W"],
    kernelBias: [bias, "I"],
  });
  // As a sum of shifts: sequences are short, and taps beyond their start meet zeros only.
  return Array.from({ length: Math.min(W, L) }, (_, back) => {
    const earlier =
      back === 0
        ? x
        : pad(narrow(x, 1, 0, L - back), [
            [0, 0],
            [back, 0],
            [0, 0],
          ]);
    return mul(earlier, reshape(narrow(kernel, 1, W - 1 - back, 1), [I]));
  }).reduce(add, bias);
}

/**
 * The recurrence of a selective state space,
 *
 *   h_t = exp(Δ_t A) ∘ h_(t-1) + Δ_t B_t x_t,   y_t = Σ_n h_t[·, n] C_t[n] + D x_t,   h_0 = 0,
 *
 * by recursive doubling: ⌈log₂ L⌉ steps over the whole sequence, so that the graph stays small for any L.
 *
 * @param x     [B, L, I]
 * @param step  Δ > 0 [B, L, I]
 * @param a     A < 0 [I, N]
 * @param b     [B, L, N]
 * @param c     [B, L, N]
 * @param skip  D [I]
 * @returns y [B, L, I]
 * @throws ShapeError when axes do not fit
 * @source Gu, Dao 2023 (Mamba), algorithm 2; the scan: Blelloch 1990
 */
export function selectiveScan(
  x: Tensor,
  step: Tensor,
  a: Tensor,
  b: Tensor,
  c: Tensor,
  skip: Tensor,
): Tensor {
  const { L } = checkAxes("selectiveScan", {
    x: [x, "B L I"],
    step: [step, "B L I"],
    a: [a, "I N"],
    b: [b, "B L N"],
    c: [c, "B L N"],
    skip: [skip, "I"],
  });
  const from = (sequence: Tensor, start: number): Tensor =>
    start === 0 ? sequence : narrow(sequence, 1, start, (sequence.shape[1] as number) - start);
  const first = (sequence: Tensor, length: number): Tensor => narrow(sequence, 1, 0, length);
  // [B, L, N, I]: channels last, so that what is spread over states or channels is spread over whole rows.
  // states[t] gathers the last `reach` inputs; decay[t - reach] is what remains of the state `reach` tokens before t.
  let states = mul(expandDims(mul(step, x), 2), expandDims(b, -1));
  let decay = L > 1 ? exp(mul(expandDims(from(step, 1), 2), transpose(a))) : undefined;
  for (let reach = 1; decay && reach < L; reach *= 2) {
    const carried = mul(decay, first(states, L - reach));
    states = concat([first(states, reach), add(from(states, reach), carried)], 1);
    const left = L - 2 * reach;
    decay = left > 0 ? mul(from(decay, reach), first(decay, left)) : undefined;
  }
  return add(sum(mul(states, expandDims(c, -1)), { axes: 2 }), mul(x, skip));
}

/**
 * Selective state-space block (Mamba-1): map to x and a gate z, causal convolution of x, SiLU, selective scan, gate,
 * map back.
 *
 *   [x, z] = split(u W_in),   x = SiLU(conv(x)),   [δ, B, C] = split(x W_x),   Δ = softplus(δ W_Δ + b_Δ)
 *   out = (scan(x, Δ, -exp(A_log), B, C, D) ∘ SiLU(z)) W_out
 *
 * @param u  [B, L, D]
 * @returns [B, L, D]; row t depends on rows up to t
 * @throws ShapeError when u and the parameters do not fit
 * @source Gu, Dao 2023 (Mamba), section 3.4
 */
export function mambaBlock(params: Traced<MambaParams>, u: Tensor): Tensor {
  checkAxes("mambaBlock", { u: [u, "B L D"] });
  const [through, gate] = split(linear(params.input, u), 2, -1) as [Tensor, Tensor];
  const x = silu(causalConvolution(through, params.kernel, params.kernelBias));
  const [rank, states] = [params.step.weight.shape[0] as number, params.logA.shape[1] as number];
  const [delta, b, c] = split(linear(params.selection, x), [rank, states, states], -1) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const step = softplus(linear(params.step, delta));
  const y = selectiveScan(x, step, neg(exp(params.logA)), b, c, params.skip);
  return linear(params.output, mul(y, silu(gate)));
}
