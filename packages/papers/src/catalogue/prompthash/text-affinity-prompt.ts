import type { LayerNormParams } from "@concord/nn";
import type { Traced } from "@concord/tensor";
import {
  add,
  arange,
  checkAxes,
  gather,
  layerNorm,
  matmul,
  mul,
  reshape,
  ShapeError,
  sub,
  type Tensor,
} from "@concord/tensor";

/** Text and prompt features of one text. */
export interface AffinityFeatures {
  /** [B, C] */
  readonly text: Tensor;
  /** [B, D] */
  readonly prompt: Tensor;
}

/**
 * Text affinity prompt: what the prompt transformer makes of a text and of its prompt is multiplied, entry by entry.
 *
 *   Z = LayerNorm(tokens),   T = Z[:, :L],   P = Z[:, L:],
 *   text = (T ∘ P) W at the text's end token,   prompt = P at the same position, not projected
 *
 * With a strength a the text is multiplied by 1 + a (P - 1): by nothing at 0, by P at 1.
 *
 * @param tokens  [B, 2 L, D] text tokens and, after them, prompt tokens, as the prompt transformer gives them
 * @param options.endIndex    [B] int32 place of the end token in the text, 0 to L - 1
 * @param options.norm        gain and bias [D]
 * @param options.projection  W [D, C]
 * @param options.strength    a, scalar; default 1, the paper's. For diagnostics
 * @throws ShapeError when axes do not fit or text and prompt differ in length
 * @source section on the text affinity prompt; released model (encode_text)
 */
export function textAffinityPrompt(
  tokens: Tensor,
  options: {
    readonly endIndex: Tensor;
    readonly norm: Traced<LayerNormParams>;
    readonly projection: Tensor;
    readonly strength?: Tensor;
  },
): AffinityFeatures {
  const { endIndex, norm, projection, strength } = options;
  const { B, M, D } = checkAxes("textAffinityPrompt", {
    tokens: [tokens, "B M D"],
    endIndex: [endIndex, "B"],
    projection: [projection, "D C"],
  });
  if (M % 2 !== 0)
    throw new ShapeError(`textAffinityPrompt: text and prompt must have one length, got ${M} tokens in all`);
  // Layer norm goes token by token, so the tokens that are read are the only ones that need it.
  const rows = reshape(tokens, [B * M, D]);
  const at = add(mul(arange(B, "int32"), M), endIndex);
  const [text, prompt] = [at, add(at, M / 2)].map((places) =>
    layerNorm(gather(rows, places), norm.gain, norm.bias),
  ) as [Tensor, Tensor];
  const factor = strength ? add(mul(sub(prompt, 1), strength), 1) : prompt;
  return { text: matmul(mul(text, factor), projection), prompt };
}
