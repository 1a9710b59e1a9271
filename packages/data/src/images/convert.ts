import type { NDArray } from "@concord/tensor";

/** Mean and standard deviation of each colour channel, in [0, 1] units. */
export interface ChannelStatistics {
  readonly mean: readonly [number, number, number];
  readonly deviation: readonly [number, number, number];
}

/** Channel statistics that the public CLIP models were trained with. */
export const clipStatistics: ChannelStatistics = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  deviation: [0.26862954, 0.26130258, 0.27577711],
};

function checkImages(operation: string, images: NDArray): readonly [number, number] {
  const [count, channels, height, width] = images.shape;
  if (images.shape.length !== 4 || channels !== 3)
    throw new RangeError(`${operation}: images must be [B, 3, H, W], got [${images.shape.join(", ")}]`);
  return [count as number, (height as number) * (width as number)];
}

/** Bytes to floats in [0, 1]: x / 255. Shapes stay. */
export function toFloatImages(images: NDArray<"uint8">): NDArray<"float32"> {
  const data = new Float32Array(images.data.length);
  const bytes = images.data;
  for (let i = 0; i < data.length; i++) data[i] = (bytes[i] as number) * (1 / 255);
  return { dtype: "float32", shape: images.shape, data };
}

/** Floats in [0, 1] to bytes: round(255 x), clipped. Shapes stay. */
export function toByteImages(images: NDArray<"float32">): NDArray<"uint8"> {
  const bytes = new Uint8ClampedArray(images.data.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (images.data[i] as number) * 255;
  return { dtype: "uint8", shape: images.shape, data: new Uint8Array(bytes.buffer) };
}

/**
 * (x - mean) / deviation per colour channel, in place.
 *
 * @param images [B, 3, H, W] in [0, 1]
 * @throws RangeError when the images have another shape or a deviation is not positive
 */
export function standardise(images: NDArray<"float32">, statistics: ChannelStatistics): NDArray<"float32"> {
  const [count, plane] = checkImages("standardise", images);
  for (const deviation of statistics.deviation) {
    if (!(deviation > 0))
      throw new RangeError(`standardise: deviations must be > 0, got ${statistics.deviation.join(", ")}`);
  }
  const { data } = images;
  for (let block = 0; block < count * 3; block++) {
    const scale = 1 / (statistics.deviation[block % 3] as number);
    const shift = -(statistics.mean[block % 3] as number) * scale;
    for (let i = block * plane; i < (block + 1) * plane; i++) data[i] = (data[i] as number) * scale + shift;
  }
  return images;
}

/** Channel statistics of images. @param images [B, 3, H, W] in [0, 1], B >= 1 */
export function channelStatistics(images: NDArray<"float32">): ChannelStatistics {
  const [count, plane] = checkImages("channelStatistics", images);
  const sums = [0, 0, 0];
  const squares = [0, 0, 0];
  for (let block = 0; block < count * 3; block++) {
    let sum = 0;
    let square = 0;
    for (let i = block * plane; i < (block + 1) * plane; i++) {
      const value = images.data[i] as number;
      sum += value;
      square += value * value;
    }
    sums[block % 3] = (sums[block % 3] as number) + sum;
    squares[block % 3] = (squares[block % 3] as number) + square;
  }
  const mean = sums.map((sum) => sum / (count * plane));
  const deviation = squares.map((square, channel) =>
    Math.sqrt(Math.max(0, square / (count * plane) - (mean[channel] as number) ** 2)),
  );
  return {
    mean: mean as [number, number, number],
    deviation: deviation as [number, number, number],
  };
}
