import type { Traced } from "@concord/tensor";
import { add, concat, mul, split, type Tensor } from "@concord/tensor";
import { type FusionOptions, type FusionParams, fuse } from "./fuse.ts";
import { type ResBlockParams, resMlp } from "./res-mlp.ts";

/** Features of B items, [B, C] each; without a prompt there is none. */
export interface ModalFeatures {
  readonly image: Tensor;
  readonly text: Tensor;
  readonly prompt?: Tensor;
}

export interface HashFeatureOptions {
  /** Of the fusion; its dropout is given by `drop`. */
  readonly fusion?: Omit<FusionOptions, "dropout">;
  /**
   * In training only: keys [2] of both uses of the fusion and of the ResMLP, others in every step, and the rates of
   * fusion (paper: 0.1) and ResMLP (paper: 0.5).
   */
  readonly drop?: {
    readonly keys: { readonly first: Tensor; readonly second: Tensor; readonly residual: Tensor };
    readonly fusion: number;
    readonly residual: number;
  };
}

/**
 * The way from encoder features to the features that are aligned and hashed:
 *
 *   i₁, t₁ = fuse(i, t);   i₂, p₁ = fuse(i₁, p)        one module, used twice
 *   i ← ½ i + ½ i₂,   t ← ½ t + ½ t₁,   p ← ½ p + ½ p₁
 *   i, t, p ← ResMLP(·)                                one module for all
 *
 * Without a prompt i ← ½ i + ½ i₁; without fusion the ResMLP sees the encoder features.
 *
 * @returns [B, C] each, not normalised
 * @throws ShapeError when axes do not fit
 * @source released code (HashingModel.forward)
 */
export function hashFeatures(
  params: { readonly fusion?: Traced<FusionParams>; readonly residual: Traced<readonly ResBlockParams[]> },
  { image, text, prompt }: ModalFeatures,
  { fusion, drop }: HashFeatureOptions = {},
): ModalFeatures {
  const half = (x: Tensor, y: Tensor): Tensor => mul(add(x, y), 0.5);
  const mix = (u: Tensor, v: Tensor, use: "first" | "second"): readonly [Tensor, Tensor] =>
    params.fusion
      ? fuse(params.fusion, u, v, {
          ...fusion,
          ...(drop && { dropout: { key: drop.keys[use], rate: drop.fusion } }),
        })
      : [u, v];
  const [image1, text1] = mix(image, text, "first");
  const [image2, prompt1] = prompt ? mix(image1, prompt, "second") : [image1, undefined];
  const mixed = [half(image, image2), half(text, text1)];
  if (prompt && prompt1) mixed.push(half(prompt, prompt1));
  // One module for all, so one call for all.
  const finished = split(
    resMlp(params.residual, concat(mixed, 0), drop && { key: drop.keys.residual, rate: drop.residual }),
    mixed.length,
    0,
  ) as [Tensor, Tensor, Tensor?];
  return {
    image: finished[0],
    text: finished[1],
    ...(finished[2] && { prompt: finished[2] }),
  };
}
