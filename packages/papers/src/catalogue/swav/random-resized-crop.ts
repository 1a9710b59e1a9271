import type { RandomStream } from "@concord/tensor";

/** A rectangle of whole pixels. */
export interface CropBox {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const MIN_RATIO = 3 / 4;
const MAX_RATIO = 4 / 3;
/** Draws before the centre is taken instead. */
const TRIES = 10;

/**
 * The place of a random resized crop: area fraction uniform in [minScale, maxScale], log-uniform aspect ratio in
 * [3/4, 4/3], anywhere it fits; after 10 misses the largest centred crop whose ratio lies in that range.
 *
 * @param width   of the image, in pixels
 * @param height  likewise
 * @source torchvision's RandomResizedCrop, which the released code uses with its defaults
 */
export function drawCropBox(
  random: RandomStream,
  width: number,
  height: number,
  { minScale, maxScale }: { readonly minScale: number; readonly maxScale: number },
): CropBox {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const area = width * height * random.uniform(minScale, maxScale);
    const ratio = Math.exp(random.uniform(Math.log(MIN_RATIO), Math.log(MAX_RATIO)));
    const w = Math.round(Math.sqrt(area * ratio));
    const h = Math.round(Math.sqrt(area / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    return {
      left: random.integer(width - w + 1),
      top: random.integer(height - h + 1),
      width: w,
      height: h,
    };
  }
  const ratio = width / height;
  const w = ratio > MAX_RATIO ? Math.round(height * MAX_RATIO) : width;
  const h = ratio < MIN_RATIO ? Math.round(width / MIN_RATIO) : height;
  return { left: Math.floor((width - w) / 2), top: Math.floor((height - h) / 2), width: w, height: h };
}

/** For every place of the output the first place of the input that it is made of, and the weights from there on. */
interface Taps {
  readonly first: Int32Array;
  /** [size · most] */
  readonly weights: Float32Array;
  readonly most: number;
}

/** Weights of bilinear interpolation; where the input is finer, triangles as wide as its share (antialiased). */
function bilinearTaps(length: number, size: number): Taps {
  const scale = length / size;
  const reach = Math.max(1, scale);
  const most = 2 * Math.ceil(reach) + 1;
  const first = new Int32Array(size);
  const weights = new Float32Array(size * most);
  for (let i = 0; i < size; i++) {
    const centre = (i + 0.5) * scale;
    const begin = Math.max(0, Math.floor(centre - reach));
    const end = Math.min(length, Math.ceil(centre + reach));
    let total = 0;
    for (let x = begin; x < end; x++) {
      const weight = Math.max(0, 1 - Math.abs(x + 0.5 - centre) / reach);
      weights[i * most + x - begin] = weight;
      total += weight;
    }
    first[i] = begin;
    for (let t = 0; t < end - begin; t++) {
      const at = i * most + t;
      weights[at] = (weights[at] as number) / total;
    }
  }
  return { first, weights, most };
}

/**
 * A crop scaled to a square by bilinear interpolation, antialiased where it shrinks.
 *
 * @param image   [C, H, W], row by row
 * @param target  [C, S, S], written
 * @param mirror  the square is flipped from left to right
 */
export function resizeCrop(
  image: { readonly data: ArrayLike<number>; readonly height: number; readonly width: number },
  box: CropBox,
  target: Float32Array,
  size: number,
  mirror: boolean,
): void {
  const channels = target.length / (size * size);
  const across = bilinearTaps(box.width, size);
  const down = bilinearTaps(box.height, size);
  const row = new Float32Array(box.height * size);
  const { data, height, width } = image;
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < box.height; y++) {
      const start = (channel * height + box.top + y) * width + box.left;
      for (let x = 0; x < size; x++) {
        const begin = across.first[x] as number;
        const end = Math.min(across.most, box.width - begin);
        let sum = 0;
        for (let t = 0; t < end; t++)
          sum += (across.weights[x * across.most + t] as number) * (data[start + begin + t] as number);
        row[y * size + (mirror ? size - 1 - x : x)] = sum;
      }
    }
    for (let y = 0; y < size; y++) {
      const begin = down.first[y] as number;
      const end = Math.min(down.most, box.height - begin);
      for (let x = 0; x < size; x++) {
        let sum = 0;
        for (let t = 0; t < end; t++)
          sum += (down.weights[y * down.most + t] as number) * (row[(begin + t) * size + x] as number);
        target[(channel * size + y) * size + x] = sum;
      }
    }
  }
}
