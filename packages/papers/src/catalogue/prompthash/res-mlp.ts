import { type LayerNormParams, type LinearParams, layerNormInit, linear, linearInit } from "@concord/nn";
import type { Key, Traced } from "@concord/tensor";
import { add, foldIn, gelu, layerNorm, type Tensor } from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";
import { type Drop, dropouts } from "./dropouts.ts";

export interface ResBlockParams {
  readonly norm: LayerNormParams;
  readonly expand: LinearParams;
  readonly contract: LinearParams;
}

/** Parameters of two residual blocks with a hidden width of four times the width. */
export function resMlpInit(key: Key, width: number): readonly ResBlockParams[] {
  const hidden = PAPER_DEFAULTS.residualGrowth * width;
  return Array.from({ length: PAPER_DEFAULTS.residualBlocks }, (_, i) => ({
    norm: layerNormInit(width),
    expand: linearInit(foldIn(foldIn(key, i), 0), { inputs: width, outputs: hidden }),
    contract: linearInit(foldIn(foldIn(key, i), 1), { inputs: hidden, outputs: width }),
  }));
}

/**
 * ResMLP: x ← x + W₂ dropout(gelu(W₁ LN(x))) for each block.
 *
 * @param x     [B, C]
 * @param drop  in training only; the paper's rate is 0.5
 * @returns [B, C]
 * @source released code (hash_model.py)
 */
export function resMlp(blocks: Traced<readonly ResBlockParams[]>, x: Tensor, drop?: Drop): Tensor {
  const widths = blocks.map(({ expand }) => expand.weight.shape[1] as number);
  const drops = dropouts(drop, x.shape[0] as number, widths);
  return blocks.reduce((state, block, i) => {
    const inner = gelu(linear(block.expand, layerNorm(state, block.norm.gain, block.norm.bias)));
    return add(state, linear(block.contract, drops(i, inner)));
  }, x);
}
