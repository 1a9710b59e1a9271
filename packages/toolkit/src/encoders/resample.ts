// Resizing of pictures as Pillow does it, bit for bit up to its rounding, because that is what vision models were
// trained and published with: other libraries' filters of the same name differ by several grey levels.

/** Filters by the numbers that preprocessor_config.json gives them. */
export const FILTERS = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"] as const;
export type Filter = (typeof FILTERS)[number];

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Half the width of each filter, and its value at a distance, in pixels of the smaller picture. */
const kernels: Readonly<
  Record<Exclude<Filter, "nearest">, readonly [support: number, at: (x: number) => number]>
> = {
  box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  hamming: [1, (x) => (Math.abs(x) >= 1 ? 0 : x === 0 ? 1 : sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)))],
  bicubic: [
    2,
    (x) => {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    },
  ],
  lanczos: [3, (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

/** Which source pixels each target pixel takes, and how much of them. */
interface Taps {
  readonly first: Int32Array;
  readonly counts: Int32Array;
  /** `most` weights a target pixel. */
  readonly weights: Int32Array;
  readonly most: number;
}

/** Fraction bits of the weights, so that products of a byte and a weight stay exact. */
const PRECISION = 22;

function taps(source: number, target: number, filter: Exclude<Filter, "nearest">): Taps {
  const [halfWidth, kernel] = kernels[filter];
  const scale = source / target;
  const stretch = Math.max(scale, 1);
  const support = halfWidth * stretch;
  const most = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(target);
  const counts = new Int32Array(target);
  const weights = new Int32Array(target * most);
  const row = new Float64Array(most);
  for (let i = 0; i < target; i++) {
    const centre = (i + 0.5) * scale;
    const low = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(source, Math.trunc(centre + support + 0.5)) - low;
    let sum = 0;
    for (let k = 0; k < count; k++) {
      row[k] = kernel((k + low - centre + 0.5) / stretch);
      sum += row[k] as number;
    }
    for (let k = 0; k < count; k++) {
      const weight = ((row[k] as number) / (sum === 0 ? 1 : sum)) * 2 ** PRECISION;
      weights[i * most + k] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    first[i] = low;
    counts[i] = count;
  }
  return { first, counts, weights, most };
}

function toByte(sum: number): number {
  const value = Math.floor(sum / 2 ** PRECISION);
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** One axis: `lines` lines of `source` pixels, `step` apart within a line, become lines of `target` pixels. */
function resizeAxis(
  pixels: Uint8Array,
  {
    lines,
    source,
    target,
    line,
    step,
  }: { lines: number; source: number; target: number; line: number; step: number },
  filter: Exclude<Filter, "nearest">,
  channels: number,
  horizontal: boolean,
): Uint8Array {
  const { first, counts, weights, most } = taps(source, target, filter);
  const result = new Uint8Array(lines * target * channels);
  const [resultLine, resultStep] = horizontal ? [target * channels, channels] : [channels, lines * channels];
  for (let l = 0; l < lines; l++) {
    for (let i = 0; i < target; i++) {
      const from = l * line + (first[i] as number) * step;
      const count = counts[i] as number;
      for (let c = 0; c < channels; c++) {
        let sum = 2 ** (PRECISION - 1);
        for (let k = 0; k < count; k++)
          sum += (pixels[from + k * step + c] as number) * (weights[i * most + k] as number);
        result[l * resultLine + i * resultStep + c] = toByte(sum);
      }
    }
  }
  return result;
}

export interface ByteImage {
  /** [height, width, channels] */
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

/**
 * The picture at another size: first along its rows, then along its columns, rounded to bytes after each.
 *
 * @source Pillow, Resample.c: filters are widened by the scale when pictures shrink, so that nothing aliases
 */
export function resample(image: ByteImage, width: number, height: number, filter: Filter): ByteImage {
  const { channels } = image;
  if (image.width === width && image.height === height) return image;
  if (filter === "nearest") {
    const pixels = new Uint8Array(width * height * channels);
    for (let y = 0; y < height; y++) {
      const row = Math.min(image.height - 1, Math.floor(((y + 0.5) * image.height) / height));
      for (let x = 0; x < width; x++) {
        const column = Math.min(image.width - 1, Math.floor(((x + 0.5) * image.width) / width));
        const from = (row * image.width + column) * channels;
        pixels.set(image.pixels.subarray(from, from + channels), (y * width + x) * channels);
      }
    }
    return { pixels, width, height, channels };
  }
  let { pixels } = image;
  if (image.width !== width) {
    const axis = {
      lines: image.height,
      source: image.width,
      target: width,
      line: image.width * channels,
      step: channels,
    };
    pixels = resizeAxis(pixels, axis, filter, channels, true);
  }
  if (image.height !== height) {
    const axis = {
      lines: width,
      source: image.height,
      target: height,
      line: channels,
      step: width * channels,
    };
    pixels = resizeAxis(pixels, axis, filter, channels, false);
  }
  return { pixels, width, height, channels };
}
