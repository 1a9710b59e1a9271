import { type LinearParams, linear, linearInit } from "@concord/nn";
import type { Key, NDArray, Traced } from "@concord/tensor";
import {
  add,
  checkAxes,
  concat,
  flip,
  foldIn,
  l2Normalize,
  mean,
  mul,
  ndarray,
  RandomStream,
  reshape,
  sigmoid,
  silu,
  split,
  sub,
  sum,
  type Tensor,
  transpose,
} from "@concord/tensor";
import { type GrnParams, grn, grnInit } from "./grn.ts";
import { type MambaOptions, type MambaParams, mambaBlock, mambaInit } from "./mamba-block.ts";

/**
 * What the scan takes for tokens. "modality": the two modalities of one sample, so that an output depends on its own
 * sample only. "batch": the samples of the mini-batch, as in the released code.
 */
export type ScanLayout = "modality" | "batch";

export interface AdaptiveGatedSelectionParams {
  /** [C, C] each, with bias */
  readonly input: LinearParams;
  readonly output: LinearParams;
  readonly inputNorm: GrnParams;
  readonly outputNorm: GrnParams;
  readonly mamba: MambaParams;
  /** Scalars. */
  readonly temperature: NDArray;
  readonly gateWeight: NDArray;
}

/** Parameters of the adaptive gated selection; the two scalars start as |N(0, 1)|. */
export function adaptiveGatedSelectionInit(key: Key, options: MambaOptions): AdaptiveGatedSelectionParams {
  const { width } = options;
  const random = new RandomStream(foldIn(key, 3));
  const scalar = (): NDArray => ndarray([Math.abs(random.normal())], { shape: [] });
  return {
    input: linearInit(foldIn(key, 0), { inputs: width, outputs: width }),
    output: linearInit(foldIn(key, 1), { inputs: width, outputs: width }),
    inputNorm: grnInit(width),
    outputNorm: grnInit(width),
    mamba: mambaInit(foldIn(key, 2), options),
    temperature: scalar(),
    gateWeight: scalar(),
  };
}

/** One block run over a sequence and its three mirror images (channels, tokens, both), mirrored back and summed. */
function fourDirections(mamba: Traced<MambaParams>, sequence: Tensor): Tensor {
  const [TOKENS, CHANNELS] = [1, 2];
  const directions = [[], [CHANNELS], [TOKENS], [TOKENS, CHANNELS]];
  const mirror = (x: Tensor, axes: readonly number[]): Tensor => (axes.length === 0 ? x : flip(x, axes));
  const all = concat(
    directions.map((axes) => mirror(sequence, axes)),
    0,
  );
  return split(mambaBlock(mamba, all), directions.length, 0)
    .map((y, i) => mirror(y, directions[i] as number[]))
    .reduce(add);
}

/**
 * `y` of the two modalities by a state-space model that runs in four directions, mixed with its input by a gate that
 * follows their agreement.
 *
 *   a = SiLU(grn₁(x W_in + b_in)),   y = temp · Σ_directions M(a),
 *   w = σ(mean over the modalities of cos(y, a)),   o = weight · w · y + (1 - w) · a,
 *   out = SiLU(grn₂(o W_out + b_out))
 *
 * @param x  [B, 2, C]
 * @param options.layout  default "modality"; "batch" is that of the released code, whose scan runs over the mini-batch
 *   and which re-reads the memory of [2, B, C] as [2, C, B] before it: outputs then depend on the whole batch
 * @returns [B, 2, C]
 * @throws ShapeError unless there are two modalities of width C
 * @source released code (modules.py, MambaLayer); the layout "modality" is ours
 */
export function adaptiveGatedSelection(
  params: Traced<AdaptiveGatedSelectionParams>,
  x: Tensor,
  { layout = "modality" }: { readonly layout?: ScanLayout } = {},
): Tensor {
  const { B, C } = checkAxes("adaptiveGatedSelection", { x: [x, "B 2 C"] });
  const a = silu(grn(linear(params.input, x), params.inputNorm));
  const scanned = layout === "modality" ? fourDirections(params.mamba, a) : overBatch(params.mamba, a, B, C);
  const y = mul(scanned, params.temperature);
  const agreement = mean(sum(mul(l2Normalize(y), l2Normalize(a)), { axes: -1 }), { axes: 1 });
  const w = reshape(sigmoid(agreement), [B, 1, 1]);
  const mixed = add(mul(mul(y, w), params.gateWeight), mul(a, sub(1, w)));
  return silu(grn(linear(params.output, mixed), params.outputNorm));
}

function overBatch(mamba: Traced<MambaParams>, a: Tensor, B: number, C: number): Tensor {
  const scrambled = transpose(reshape(transpose(a, [1, 0, 2]), [2, C, B]), [0, 2, 1]);
  const y = fourDirections(mamba, scrambled);
  return transpose(reshape(transpose(y, [0, 2, 1]), [2, B, C]), [1, 0, 2]);
}
