import type { Key, Traced } from "@concord/tensor";
import { add, checkAxes, conv1d, foldIn, mean, narrow, relu, squeeze, type Tensor } from "@concord/tensor";
import type { ConvParams } from "./convolution.ts";
import { convInit } from "./convolution.ts";
import type { LinearParams } from "./linear.ts";
import { linear, linearInit } from "./linear.ts";

export interface TemporalConvOptions {
  /** Input channels. */
  readonly channels: number;
  /** Width of each block; block i has a dilation of 2ⁱ. */
  readonly widths: readonly number[];
  /** Length of the kernels. Default 3. */
  readonly kernel?: number;
  /** Width of the linear head; without one the pooled features come out as they are. */
  readonly outputs?: number;
}

export interface TemporalBlockParams {
  readonly layers: readonly ConvParams[];
  /** A convolution of length 1 where the block changes width. */
  readonly shortcut?: ConvParams;
}

export interface TemporalConvParams {
  readonly blocks: readonly TemporalBlockParams[];
  readonly head?: LinearParams;
}

/**
 * Parameters of a temporal convolutional network.
 *
 * @throws RangeError when there are no blocks
 */
export function temporalConvInit(key: Key, options: TemporalConvOptions): TemporalConvParams {
  const { channels, widths, kernel = 3, outputs } = options;
  const last = widths.at(-1);
  if (last === undefined) throw new RangeError("temporalConv: needs at least one block");
  const blocks = widths.map((width, i) => {
    const blockKey = foldIn(foldIn(key, 0), i);
    const inputs = widths[i - 1] ?? channels;
    const layers = [inputs, width].map((before, j) =>
      convInit(foldIn(blockKey, j), { inputs: before, outputs: width, kernel: [kernel], bias: true }),
    );
    if (inputs === width) return { layers };
    const shortcut = convInit(foldIn(blockKey, 2), { inputs, outputs: width, kernel: [1], bias: true });
    return { layers, shortcut };
  });
  if (outputs === undefined) return { blocks };
  return { blocks, head: linearInit(foldIn(key, 1), { inputs: last, outputs }) };
}

export interface TemporalConvMode {
  /** Whether a position sees only itself and earlier ones. Default true. */
  readonly causal?: boolean;
  /** "last" (default): the features of the last position; "mean": over positions. */
  readonly pooling?: "last" | "mean";
}

function layer({ weight, bias }: Traced<ConvParams>, x: Tensor, dilation: number, causal: boolean): Tensor {
  const reach = dilation * ((weight.shape[2] as number) - 1);
  const before = causal ? reach : Math.ceil(reach / 2);
  return conv1d(x, weight, { dilation, padding: [[before, reach - before]], ...(bias && { bias }) });
}

/**
 * Temporal convolutional network: residual blocks x ← ReLU(F(x) + x) of two dilated convolutions with ReLU each. With
 * kernels of length k, B blocks see 2 (k - 1) (2ᴮ - 1) positions back.
 *
 * @param x  [B, C, T]
 * @returns sequence [B, D, T], and y: the pooled features [B, D], through the head, if there is one, [B, outputs].
 * Not normalised
 * @throws ShapeError when the channels differ from those of the parameters
 * @source Bai, Kolter, Koltun 2018, section 3; without weight norm and dropout
 */
export function temporalConv(
  params: Traced<TemporalConvParams>,
  x: Tensor,
  { causal = true, pooling = "last" }: TemporalConvMode = {},
): { readonly y: Tensor; readonly sequence: Tensor } {
  const { T } = checkAxes("temporalConv", { x: [x, "B C T"] });
  const sequence = params.blocks.reduce((state, { layers, shortcut }, i) => {
    const hidden = layers.reduce((h, conv) => relu(layer(conv, h, 2 ** i, causal)), state);
    return relu(add(hidden, shortcut ? layer(shortcut, state, 1, causal) : state));
  }, x);
  const pooled = pooling === "mean" ? mean(sequence, { axes: 2 }) : squeeze(narrow(sequence, 2, T - 1, 1), 2);
  return { y: params.head ? linear(params.head, pooled) : pooled, sequence };
}
