import { type LinearParams, linear, linearInit } from "@concord/nn";
import type { Key, Traced } from "@concord/tensor";
import { foldIn, relu, type Tensor, tanh } from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

/** Two affine maps. */
export interface DecoderParams {
  readonly hidden: LinearParams;
  readonly output: LinearParams;
}

/** A head of k bits, shared by all modalities. */
export function hashHeadInit(
  key: Key,
  { width, bits }: { readonly width: number; readonly bits: number },
): LinearParams {
  return linearInit(key, { inputs: width, outputs: bits });
}

/**
 * Relaxed codes h = tanh(W x + b): [B, C] to [B, K] in (-1, 1).
 *
 * @source released code (hash encoders)
 */
export function hashHead(head: Traced<LinearParams>, x: Tensor): Tensor {
  return tanh(linear(head, x));
}

/** From codes of k bits to the auxiliary ones. */
export function hashDecoderInit(
  key: Key,
  options: { readonly bits: number; readonly auxiliaryBits: number; readonly width?: number },
): DecoderParams {
  const { bits, auxiliaryBits, width = PAPER_DEFAULTS.decoderWidth } = options;
  return {
    hidden: linearInit(foldIn(key, 0), { inputs: bits, outputs: width }),
    output: linearInit(foldIn(key, 1), { inputs: width, outputs: auxiliaryBits }),
  };
}

/**
 * What the longer code is guessed to be: tanh(W₂ relu(W₁ h + b₁) + b₂), [B, K] to [B, K'].
 *
 * @source released code (hash decoders), whose declared dropouts are never applied
 */
export function hashDecoder({ hidden, output }: Traced<DecoderParams>, codes: Tensor): Tensor {
  return tanh(linear(output, relu(linear(hidden, codes))));
}
