import { clipStatistics } from "@concord/data";
import { evaluate, expandDims, type NDArray, resize, squeeze } from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

export interface DepthTransformOptions {
  /** Metres that become 1; 0 for the largest of the image. Default 10. */
  readonly maxDepth?: number;
}

/** Millimetres of a metre. */
const MILLIMETRES = 1000;

/** The planes of a picture in [0, 1], minus CLIP's mean, over its deviation. [3, H, W] */
export function clipStandardised(
  planes: readonly Float32Array[],
  height: number,
  width: number,
): NDArray<"float32"> {
  const size = height * width;
  const data = new Float32Array(3 * size);
  for (let channel = 0; channel < 3; channel++) {
    const plane = planes[channel % planes.length] as Float32Array;
    const mean = clipStatistics.mean[channel] as number;
    const deviation = clipStatistics.deviation[channel] as number;
    for (let i = 0; i < size; i++) data[channel * size + i] = ((plane[i] as number) - mean) / deviation;
  }
  return { dtype: "float32", shape: [3, height, width], data };
}

/**
 * A depth map as a picture for CLIP: millimetres to metres, clipped to [0.01, m], over m, the same in three channels,
 * minus CLIP's mean, over its deviation. m is `maxDepth`, or the image's own largest depth where that is 0.
 *
 * @param depth  [H, W] in millimetres, finite; 0 (no reading) and less count as nearest, as in the released code
 * @returns [3, H, W] float32
 * @throws RangeError when the map is not [H, W], a value is not finite, or maxDepth is below 0.01 and not 0
 * @source released code, data/process_depth.py:17-47
 */
export function depthTransform(depth: NDArray, options: DepthTransformOptions = {}): NDArray<"float32"> {
  const [height, width] = checkMap("depthTransform", depth);
  const { maxDepth = PAPER_DEFAULTS.maxDepth } = options;
  const { minDepth } = PAPER_DEFAULTS;
  if (!(maxDepth === 0 || (maxDepth > minDepth && Number.isFinite(maxDepth))))
    throw new RangeError(`depthTransform: maxDepth must be 0 or above ${minDepth} m, got ${maxDepth}`);
  const metres = Float64Array.from(depth.data as Float32Array, (mm, i) => {
    if (!Number.isFinite(Number(mm)))
      throw new RangeError(`depthTransform: depths must be finite, got ${mm} mm at element ${i}`);
    return Number(mm) / MILLIMETRES;
  });
  const furthest =
    maxDepth === 0
      ? Math.max(
          minDepth,
          metres.reduce((most, d) => Math.max(most, d), 0),
        )
      : maxDepth;
  const plane = Float32Array.from(metres, (d) => Math.min(furthest, Math.max(minDepth, d)) / furthest);
  return clipStandardised([plane], height, width);
}

/** @throws RangeError unless the array is [H, W] with at least one element */
export function checkMap(operation: string, map: NDArray): readonly [number, number] {
  const [height, width] = map.shape as [number, number];
  if (map.shape.length !== 2 || height < 1 || width < 1)
    throw new RangeError(`${operation}: expected [H, W], got [${map.shape.join(", ")}]`);
  return [height, width];
}

/**
 * Shorter side to `size` by antialiased bicubic interpolation, then the square in the middle.
 *
 * @param image  [C, H, W] to [C, size, size]
 * @source released code, data/process_depth.py and process_thermal.py
 */
export async function resizeAndCrop(image: NDArray<"float32">, size: number): Promise<NDArray<"float32">> {
  const [channels, height, width] = image.shape as [number, number, number];
  if (image.shape.length !== 3 || !Number.isInteger(size) || size < 1)
    throw new RangeError(
      `resizeAndCrop: expected [C, H, W] and a size >= 1, got [${image.shape.join(", ")}] and ${size}`,
    );
  const scale = size / Math.min(height, width);
  const target = [
    Math.max(size, Math.round(height * scale)),
    Math.max(size, Math.round(width * scale)),
  ] as const;
  const { scaled } = await evaluate({
    scaled: squeeze(resize(expandDims(image, 0), { size: target, mode: "cubic", antialias: true }), 0),
  });
  const [top, left] = target.map((n) => Math.floor((n - size) / 2)) as [number, number];
  const data = new Float32Array(channels * size * size);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < size; y++) {
      const from = (c * target[0] + top + y) * target[1] + left;
      data.set((scaled.data as Float32Array).subarray(from, from + size), (c * size + y) * size);
    }
  return { dtype: "float32", shape: [channels, size, size], data };
}

/**
 * An infrared picture for CLIP: bytes to [0, 1], grey in three channels, minus CLIP's mean, over its deviation.
 *
 * @param image  uint8 [H, W] grey, or [3, H, W]
 * @returns [3, H, W] float32
 * @source released code, data/process_thermal.py
 */
export function infraredTransform(image: NDArray<"uint8">): NDArray<"float32"> {
  const colour = image.shape.length === 3;
  const [height, width] = image.shape.slice(colour ? 1 : 0) as [number, number];
  if (colour ? image.shape[0] !== 3 : image.shape.length !== 2)
    throw new RangeError(`infraredTransform: expected [H, W] or [3, H, W], got [${image.shape.join(", ")}]`);
  const size = height * width;
  const planes = Array.from({ length: colour ? 3 : 1 }, (_, c) =>
    Float32Array.from(image.data.subarray(c * size, (c + 1) * size), (value) => value / 255),
  );
  return clipStandardised(planes, height, width);
}
