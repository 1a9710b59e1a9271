import type { ChannelStatistics } from "@concord/data";
import { foldIn, type Key, type NDArray, RandomStream } from "@concord/tensor";
import { blur, type ColourDistortion, distortColours } from "./colour-distortion.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import { drawCropBox, resizeCrop } from "./random-resized-crop.ts";

/** Crops of one size. */
export interface CropGroup {
  readonly count: number;
  /** Side in pixels. */
  readonly size: number;
  /** Share of the image's area, uniform between these. */
  readonly minScale: number;
  readonly maxScale: number;
}

export interface MultiCropOptions {
  /** Full crops first. */
  readonly groups: readonly CropGroup[];
  /** Probability of a mirror image. Default 0.5. */
  readonly flip?: number;
  readonly colour?: ColourDistortion;
  /** Deviations in pixels, uniform between these, with some probability. */
  readonly blur?: { readonly probability: number; readonly minSigma: number; readonly maxSigma: number };
  /** What is subtracted and divided by at the end. */
  readonly statistics?: ChannelStatistics;
}

/** Colour distortion of strength 1. Released code. */
export const paperColours: ColourDistortion = {
  probability: 0.8,
  brightness: 0.8,
  contrast: 0.8,
  saturation: 0.8,
  hue: 0.2,
  grey: 0.2,
};

/** Released code; its 0.228 for the usual 0.229 of ImageNet included. */
export const paperStatistics: ChannelStatistics = {
  mean: [0.485, 0.456, 0.406],
  deviation: [0.228, 0.224, 0.225],
};

const paperGroups: readonly CropGroup[] = [PAPER_DEFAULTS.fullCrops, PAPER_DEFAULTS.smallCrops];
const paperBlur = { probability: 0.5, minSigma: 0.1, maxSigma: 2 };

/** An image in [0, 1], or in bytes with `scale` 1 / 255. */
export interface SourceImage {
  /** [3, H, W] */
  readonly data: ArrayLike<number>;
  readonly height: number;
  readonly width: number;
  /** Factor that brings the values to [0, 1]. Default 1. */
  readonly scale?: number;
}

/** @throws RangeError when a count, size, share or probability is out of its range */
export function checkMultiCrop({ groups, flip = 0.5, colour, blur: blurred }: MultiCropOptions): void {
  if (groups.length === 0) throw new RangeError("multiCrop: needs at least one group of crops");
  for (const { count, size, minScale, maxScale } of groups) {
    if (!Number.isInteger(count) || count < 1 || !Number.isInteger(size) || size < 1)
      throw new RangeError(
        `multiCrop: counts and sizes must be integers >= 1, got ${count} of ${size} pixels`,
      );
    if (!(minScale > 0 && minScale <= maxScale && maxScale <= 1))
      throw new RangeError(`multiCrop: area shares must be in (0, 1], got ${minScale} to ${maxScale}`);
  }
  const shares = { flip, ...(blurred && { blur: blurred.probability }), ...colour };
  for (const [name, value] of Object.entries(shares))
    if (!(value >= 0 && value <= 1))
      throw new RangeError(`multiCrop: ${name} must be in [0, 1], got ${value}`);
  if (blurred && !(blurred.minSigma > 0 && blurred.minSigma <= blurred.maxSigma))
    throw new RangeError(
      `multiCrop: blur must have 0 < minSigma <= maxSigma, got ${blurred.minSigma} and ${blurred.maxSigma}`,
    );
}

/** One crop into its place: cut, mirror, colours, blur, standardise. */
function drawCrop(
  image: SourceImage,
  random: RandomStream,
  group: CropGroup,
  options: MultiCropOptions,
  target: Float32Array,
): void {
  const {
    flip = 0.5,
    colour = paperColours,
    blur: blurred = paperBlur,
    statistics = paperStatistics,
  } = options;
  const { size } = group;
  const box = drawCropBox(random, image.width, image.height, group);
  resizeCrop(image, box, target, size, random.chance(flip));
  const { scale = 1 } = image;
  if (scale !== 1) for (let i = 0; i < target.length; i++) target[i] = (target[i] as number) * scale;
  distortColours(target, random, colour);
  if (random.chance(blurred.probability))
    blur(target, size, random.uniform(blurred.minSigma, blurred.maxSigma));
  const plane = size * size;
  for (let channel = 0; channel < 3; channel++) {
    const factor = 1 / (statistics.deviation[channel] as number);
    const shift = -(statistics.mean[channel] as number) * factor;
    for (let i = channel * plane; i < (channel + 1) * plane; i++)
      target[i] = (target[i] as number) * factor + shift;
  }
}

/**
 * Crops of a batch of images, each drawn on its own: random resized crop, mirror, colours, blur, standardisation.
 * Crop v of image b depends on the key, v and b alone.
 *
 * @param images  B images in [0, 1] of any size
 * @param key     another one in every step
 * @returns for each group [count · B, 3, S, S], crop by crop: rows v·B to (v + 1)·B - 1 are crop v
 * @throws RangeError when an option is out of its range, or an image has not 3 H W values
 * @source section 3.3; order, probabilities and ranges: released code
 */
export function multiCropBatch(
  images: readonly SourceImage[],
  key: Key,
  options: MultiCropOptions = { groups: paperGroups },
): NDArray<"float32">[] {
  checkMultiCrop(options);
  for (const { data, height, width } of images)
    if (data.length !== 3 * height * width || data.length === 0)
      throw new RangeError(
        `multiCrop: ${height} × ${width} images have 3 channels, got ${data.length} values`,
      );
  let crop = 0;
  return options.groups.map((group) => {
    const { count, size } = group;
    const length = 3 * size * size;
    const data = new Float32Array(count * images.length * length);
    for (let v = 0; v < count; v++, crop++) {
      const cropKey = foldIn(key, crop);
      for (const [b, image] of images.entries()) {
        const place = (v * images.length + b) * length;
        const random = new RandomStream(foldIn(cropKey, b));
        drawCrop(image, random, group, options, data.subarray(place, place + length));
      }
    }
    return { dtype: "float32", shape: [count * images.length, 3, size, size], data };
  });
}

/**
 * The V crops of one image, [3, S, S] each, full ones first: `multi_crop` of the paper.
 * Errors and source as `multiCropBatch`.
 */
export function multiCrop(
  image: SourceImage,
  key: Key,
  options: MultiCropOptions = { groups: paperGroups },
): NDArray<"float32">[] {
  return multiCropBatch([image], key, options).flatMap(({ shape, data }) => {
    const [count, ...rest] = shape as [number, number, number, number];
    const length = data.length / count;
    return Array.from(
      { length: count },
      (_, v): NDArray<"float32"> => ({
        dtype: "float32",
        shape: rest,
        data: data.slice(v * length, (v + 1) * length),
      }),
    );
  });
}
