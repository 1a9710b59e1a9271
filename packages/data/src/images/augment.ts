import { foldIn, type Key, type NDArray, RandomStream } from "@concord/tensor";

export interface AugmentOptions {
  /** Probability of a mirror image. Default 0: captions may name sides. */
  readonly flip?: number;
  /** Largest shift in pixels along each axis; uncovered pixels repeat the edge. Default 0. */
  readonly shift?: number;
  /** Brightness factor is drawn from [1 - b, 1 + b]. Default 0, at most 1. */
  readonly brightness?: number;
  /** Contrast factor about the image's mean is drawn from [1 - c, 1 + c]. Default 0, at most 1. */
  readonly contrast?: number;
}

/**
 * Random changes of each image, in place: mirror, shift, then x -> (brightness x - m) contrast + m with m the
 * mean of the brightened image, clipped to [0, 1]. Image i depends on the key and on i alone.
 *
 * @param images [B, 3, H, W] in [0, 1]
 * @throws RangeError when the images have another shape or an option is out of its range
 */
export function augmentImages(
  images: NDArray<"float32">,
  key: Key,
  options: AugmentOptions,
): NDArray<"float32"> {
  const { flip = 0, shift = 0, brightness = 0, contrast = 0 } = options;
  const [count = 0, channels, height = 0, width = 0] = images.shape;
  if (images.shape.length !== 4 || channels !== 3)
    throw new RangeError(`augmentImages: images must be [B, 3, H, W], got [${images.shape.join(", ")}]`);
  if (!Number.isInteger(shift) || shift < 0 || shift >= Math.min(height, width))
    throw new RangeError(`augmentImages: shift must be an integer from 0 to the side, got ${shift}`);
  for (const [name, value] of Object.entries({ flip, brightness, contrast })) {
    if (!(value >= 0 && value <= 1))
      throw new RangeError(`augmentImages: ${name} must be in [0, 1], got ${value}`);
  }
  const length = 3 * height * width;
  const source = new Float32Array(length);
  for (let i = 0; i < count; i++) {
    const random = new RandomStream(foldIn(key, i));
    const image = images.data.subarray(i * length, (i + 1) * length);
    const mirrored = random.chance(flip);
    const right = random.integer(2 * shift + 1) - shift;
    const down = random.integer(2 * shift + 1) - shift;
    const gain = random.uniform(1 - brightness, 1 + brightness);
    const stretch = random.uniform(1 - contrast, 1 + contrast);
    if (mirrored || right !== 0 || down !== 0) {
      source.set(image);
      move(source, image, height, width, mirrored, right, down);
    }
    if (brightness > 0 || contrast > 0) adjust(image, gain, stretch);
  }
  return images;
}

function move(
  source: Float32Array,
  target: Float32Array,
  height: number,
  width: number,
  mirrored: boolean,
  right: number,
  down: number,
): void {
  for (let channel = 0, i = 0; channel < 3; channel++) {
    for (let y = 0; y < height; y++) {
      const row = (channel * height + Math.min(height - 1, Math.max(0, y - down))) * width;
      for (let x = 0; x < width; x++, i++) {
        const column = Math.min(width - 1, Math.max(0, x - right));
        target[i] = source[row + (mirrored ? width - 1 - column : column)] as number;
      }
    }
  }
}

function adjust(image: Float32Array, gain: number, stretch: number): void {
  let sum = 0;
  for (let i = 0; i < image.length; i++) sum += image[i] as number;
  const scale = gain * stretch;
  const shift = ((gain * sum) / image.length) * (1 - stretch);
  for (let i = 0; i < image.length; i++)
    image[i] = Math.min(1, Math.max(0, (image[i] as number) * scale + shift));
}
