import {
  add,
  cast,
  checkAxes,
  gather,
  type Key,
  mul,
  type NDArray,
  permutation,
  RandomStream,
  reshape,
  ShapeError,
  splitKey,
  sub,
  type Tensor,
  type TensorLike,
  transpose,
  where,
} from "@concord/tensor";

/**
 * A weighted mean of two tensors: (1 - w) x + w other. For inputs and targets alike, so that what a picture shows and
 * what is asked of it stay in step; with backgrounds of another domain and one w for the batch, background mixing.
 *
 * @param x       [B, ...]
 * @param other   of the shape of x, or one that broadcasts to it (a background [B, C, 1, H, W] for all frames)
 * @param weight  w: a number in [0, 1], a scalar, or [B] with one weight an item
 * @throws ShapeError when axes do not fit; RangeError when a number w is out of range
 * @source Zhang et al. 2018 (mixup); backgrounds: Sahoo et al. 2021 (CoMix)
 */
export function mix(x: Tensor, other: Tensor, weight: TensorLike): Tensor {
  if (typeof weight === "number" && !(weight >= 0 && weight <= 1))
    throw new RangeError(`mix: weight must lie in [0, 1], got ${weight}`);
  if (typeof weight === "number") return add(mul(x, 1 - weight), mul(other, weight));
  const share = cast(weight, x.dtype);
  if (share.rank === 0) return add(mul(x, sub(1, share)), mul(other, share));
  checkAxes("mix", { x: [{ shape: x.shape.slice(0, 1) }, "B"], weight: [share, "B"] });
  const each = reshape(share, [-1, ...x.shape.slice(1).map(() => 1)]);
  return add(mul(x, sub(1, each)), mul(other, each));
}

/** Γ(shape, 1) by rejection, with the boost of Marsaglia and Tsang for shapes below 1. */
function gamma(stream: RandomStream, shape: number): number {
  if (shape < 1) return gamma(stream, shape + 1) * (1 - stream.uniform()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = stream.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - stream.uniform()) < (x * x) / 2 + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** A number in [0, 1] from Beta(alpha, alpha). Shapes near 0 underflow: then it is 0 or 1. */
function beta(stream: RandomStream, alpha: number): number {
  const [a, b] = [gamma(stream, alpha), gamma(stream, alpha)];
  return a + b > 0 ? a / (a + b) : Number(stream.chance(0.5));
}

/** With what, and how much, each item of a batch is mixed. */
export interface Mixture<T = NDArray> {
  /** [B] int32: item b is mixed with item partners[b]. */
  readonly partners: T;
  /** [B] in [0, 1]: share of the partner. */
  readonly weights: T;
}

export interface DrawMixtureOptions {
  /** Of Beta(α, α): small gives weights near 0 and 1. Default 0.75 for mixup, 1 for cutmix. */
  readonly alpha?: number;
}

function checkDraw(operation: string, batch: number, alpha: number): void {
  if (!Number.isInteger(batch) || batch < 1)
    throw new RangeError(`${operation}: the batch must be an integer >= 1, got ${batch}`);
  if (!(alpha > 0)) throw new RangeError(`${operation}: alpha must be > 0, got ${alpha}`);
}

/**
 * Draws partners (a permutation) and weights for mixup.
 *
 * @param key    the same key gives the same mixture
 * @param batch  B
 * @param options.keepMajor  weights stay at most ½: w ← min(w, 1 - w), so an item remains mostly itself. Default true
 * @throws RangeError when batch or α are not positive
 * @source Zhang et al. 2018; major share: Berthelot et al. 2019 (MixMatch), equation 9, whose α is 0.75
 */
export function drawMixup(
  key: Key,
  batch: number,
  options: DrawMixtureOptions & { readonly keepMajor?: boolean } = {},
): Mixture {
  const { alpha = 0.75, keepMajor = true } = options;
  checkDraw("drawMixup", batch, alpha);
  const [order, shares] = splitKey(key, 2) as [Key, Key];
  const stream = new RandomStream(shares);
  const weights = Float32Array.from({ length: batch }, () => {
    const w = beta(stream, alpha);
    return keepMajor ? Math.min(w, 1 - w) : w;
  });
  return {
    partners: { dtype: "int32", shape: [batch], data: Int32Array.from(permutation(order, batch)) },
    weights: { dtype: "float32", shape: [batch], data: weights },
  };
}

/**
 * Items of a batch mixed with other items of it: (1 - w_b) x_b + w_b x_{partner(b)}. Apply it to inputs and to
 * targets (one-hot rows, say) with the same mixture.
 *
 * @param x  [B, ...]
 * @throws ShapeError when axes do not fit
 * @source Zhang et al. 2018, equation 2
 */
export function mixup(x: Tensor, { partners, weights }: Mixture<Tensor>): Tensor {
  checkAxes("mixup", {
    x: [{ shape: x.shape.slice(0, 1) }, "B"],
    partners: [partners, "B"],
    weights: [weights, "B"],
  });
  return mix(x, gather(x, partners), weights);
}

export interface CutMixture<T = NDArray> extends Mixture<T> {
  /** [B, 1, H, W] bool: places that show the partner. Their share is exactly the weight. */
  readonly masks: T;
}

/**
 * Draws partners and boxes for cutmix: boxes have the picture's aspect, area w of it for w from Beta(α, α), a uniform
 * centre, and are cut at the border; weights are the shares that remain.
 *
 * @param key     the same key gives the same mixture
 * @param batch   B
 * @param height  H
 * @param width   W
 * @throws RangeError when a size or α is not positive
 * @source Yun et al. 2019 (CutMix), section 3.1
 */
export function drawCutmix(
  key: Key,
  batch: number,
  height: number,
  width: number,
  { alpha = 1 }: DrawMixtureOptions = {},
): CutMixture {
  checkDraw("drawCutmix", batch, alpha);
  if (![height, width].every((size) => Number.isInteger(size) && size >= 1))
    throw new RangeError(`drawCutmix: height and width must be integers >= 1, got ${height} and ${width}`);
  const [order, boxes] = splitKey(key, 2) as [Key, Key];
  const stream = new RandomStream(boxes);
  const data = new Uint8Array(batch * height * width);
  const weights = new Float32Array(batch);
  for (let b = 0; b < batch; b++) {
    const side = Math.sqrt(beta(stream, alpha));
    const span = (size: number): readonly [number, number] => {
      const [centre, half] = [stream.integer(size), Math.floor(size * side) / 2];
      return [Math.max(0, Math.floor(centre - half)), Math.min(size, Math.floor(centre + half))];
    };
    const [top, bottom] = span(height);
    const [left, right] = span(width);
    for (let y = top; y < bottom; y++)
      data.fill(1, (b * height + y) * width + left, (b * height + y) * width + right);
    weights[b] = ((bottom - top) * (right - left)) / (height * width);
  }
  return {
    partners: { dtype: "int32", shape: [batch], data: Int32Array.from(permutation(order, batch)) },
    weights: { dtype: "float32", shape: [batch], data: weights },
    masks: { dtype: "bool", shape: [batch, 1, height, width], data },
  };
}

/**
 * Pictures with a box of another picture of the batch pasted in. Targets are mixed by `mixup` with the same mixture.
 *
 * @param x  [B, C, H, W]
 * @throws ShapeError when axes do not fit
 * @source Yun et al. 2019 (CutMix), equation 1
 */
export function cutmix(x: Tensor, { partners, masks }: CutMixture<Tensor>): Tensor {
  checkAxes("cutmix", { x: [x, "B C H W"], partners: [partners, "B"], masks: [masks, "B 1 H W"] });
  return where(masks, gather(x, partners), x);
}

function checkSide(operation: string, side: number): void {
  if (!Number.isInteger(side) || side < 1)
    throw new RangeError(`${operation}: side must be an integer >= 1, got ${side}`);
}

/**
 * Mosaics of s × s pictures, row by row: tile (i, j) of mosaic n is picture n·s² + i·s + j.
 *
 * @param images  [N·s², C, H, W]
 * @param side    s ≥ 1
 * @returns [N, C, s·H, s·W]
 * @throws ShapeError when the pictures do not fill whole mosaics
 * @source Bochkovskiy et al. 2020 (YOLOv4); of captioned pictures: Wu et al. 2023 (CLIM)
 */
export function mosaic(images: Tensor, side: number): Tensor {
  checkSide("mosaic", side);
  checkAxes("mosaic", { images: [images, "M C H W"] });
  const [M, C, H, W] = images.shape as [number, number, number, number];
  if (M % (side * side) !== 0)
    throw new ShapeError(`mosaic: ${M} pictures do not fill mosaics of ${side} × ${side}`);
  const tiles = reshape(images, [M / (side * side), side, side, C, H, W]);
  return reshape(transpose(tiles, [0, 3, 1, 4, 2, 5]), [M / (side * side), C, side * H, side * W]);
}

/**
 * Boxes of the tiles of a mosaic, row by row: [s², 4] as (x0, y0, x1, y1) in [0, 1].
 *
 * @param side  s ≥ 1
 * @throws RangeError when s is no positive integer
 */
export function mosaicBoxes(side: number): NDArray<"float32"> {
  checkSide("mosaicBoxes", side);
  const boxes = Array.from({ length: side * side }, (_, tile) => {
    const [row, column] = [Math.floor(tile / side), tile % side];
    return [column / side, row / side, (column + 1) / side, (row + 1) / side];
  });
  return { dtype: "float32", shape: [side * side, 4], data: Float32Array.from(boxes.flat()) };
}
