import { exportOnnx } from "@concord/tensor";
import type { VocoConfig } from "./config.ts";
import { type EncoderParams, pooledFeatures } from "./network.ts";

/**
 * A trained encoder as an ONNX model: `crops` [batch, 1, S, S, D], scaled to [0, 1] as training scaled them, to `features`
 * [batch, F], the pooled levels.
 */
export function encoderModel(encoder: EncoderParams, { geometry, network }: VocoConfig): Uint8Array {
  const { inputSide, inputDepth } = geometry;
  return exportOnnx((params, { crops }) => ({ features: pooledFeatures(params, crops, network) }), {
    inputs: { crops: { shape: ["batch", 1, inputSide, inputSide, inputDepth] } },
    params: encoder,
  });
}
