import type { RandomStream } from "@concord/tensor";

/** How much colours change: factors are uniform in [1 - x, 1 + x], hue turns by up to ±hue of the circle. */
export interface ColourDistortion {
  /** Probability that any of the four changes happens. */
  readonly probability: number;
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  readonly hue: number;
  /** Probability of a grey image, afterwards. */
  readonly grey: number;
}

/** Luma of ITU-R 601, as torchvision has it. */
const LUMA = [0.2989, 0.587, 0.114] as const;

function clipped(value: number): number {
  return value < 0 ? 0 : value > 1 ? 1 : value;
}

function lumaAt(image: Float32Array, plane: number, i: number): number {
  return (
    LUMA[0] * (image[i] as number) +
    LUMA[1] * (image[plane + i] as number) +
    LUMA[2] * (image[2 * plane + i] as number)
  );
}

/** x ← clip(factor x) */
export function adjustBrightness(image: Float32Array, factor: number): void {
  for (let i = 0; i < image.length; i++) image[i] = clipped(factor * (image[i] as number));
}

/** x ← clip(factor x + (1 - factor) m) with m the mean luma. */
export function adjustContrast(image: Float32Array, factor: number): void {
  const plane = image.length / 3;
  let total = 0;
  for (let i = 0; i < plane; i++) total += lumaAt(image, plane, i);
  const offset = ((1 - factor) * total) / plane;
  for (let i = 0; i < image.length; i++) image[i] = clipped(factor * (image[i] as number) + offset);
}

/** x ← clip(factor x + (1 - factor) y) with y the luma of the pixel. */
export function adjustSaturation(image: Float32Array, factor: number): void {
  const plane = image.length / 3;
  for (let i = 0; i < plane; i++) {
    const offset = (1 - factor) * lumaAt(image, plane, i);
    for (let at = i; at < image.length; at += plane)
      image[at] = clipped(factor * (image[at] as number) + offset);
  }
}

/** A place on a circle of circumference 6, in [0, 6). Most are near it; the remainder of a division takes long. */
function onCircle(place: number): number {
  let hue = place > -6 && place < 6 ? place : place % 6;
  hue += 6;
  while (hue >= 6) hue -= 6;
  return hue;
}

/** Turns the hue of every pixel by a share of the circle; saturation and value of HSV stay. */
export function adjustHue(image: Float32Array, turn: number): void {
  const plane = image.length / 3;
  for (let i = 0; i < plane; i++) {
    const r = image[i] as number;
    const g = image[plane + i] as number;
    const b = image[2 * plane + i] as number;
    const value = r > g ? (r > b ? r : b) : g > b ? g : b;
    const low = r < g ? (r < b ? r : b) : g < b ? g : b;
    const chroma = value - low;
    if (chroma === 0) continue;
    const sixth = value === r ? (g - b) / chroma : value === g ? (b - r) / chroma + 2 : (r - g) / chroma + 4;
    const hue = onCircle(sixth + 6 * turn);
    const sector = Math.floor(hue);
    const part = hue - sector;
    const falling = value - chroma * part;
    const rising = low + chroma * part;
    image[i] = sector === 0 || sector === 5 ? value : sector === 1 ? falling : sector === 4 ? rising : low;
    image[plane + i] =
      sector === 1 || sector === 2 ? value : sector === 0 ? rising : sector === 3 ? falling : low;
    image[2 * plane + i] =
      sector === 3 || sector === 4 ? value : sector === 2 ? rising : sector === 5 ? falling : low;
  }
}

/** Every channel the luma. */
export function makeGrey(image: Float32Array): void {
  const plane = image.length / 3;
  for (let i = 0; i < plane; i++) {
    const y = lumaAt(image, plane, i);
    image[i] = y;
    image[plane + i] = y;
    image[2 * plane + i] = y;
  }
}

/**
 * Random colours, in place: with some probability brightness, contrast, saturation and hue in random order; then grey
 * with another.
 *
 * @param image  [3, H, W] in [0, 1], also afterwards
 * @source section 2.3 of SimCLR (Chen et al. 2020) with strength 1, as in the released code
 */
export function distortColours(image: Float32Array, random: RandomStream, options: ColourDistortion): void {
  if (random.chance(options.probability)) {
    const around = (x: number): number => random.uniform(Math.max(0, 1 - x), 1 + x);
    const factors = [
      around(options.brightness),
      around(options.contrast),
      around(options.saturation),
      random.uniform(-options.hue, options.hue),
    ] as const;
    for (const change of random.sample([0, 1, 2, 3] as const, 4)) {
      if (change === 0) adjustBrightness(image, factors[0]);
      else if (change === 1) adjustContrast(image, factors[1]);
      else if (change === 2) adjustSaturation(image, factors[2]);
      else adjustHue(image, factors[3]);
    }
  }
  if (random.chance(options.grey)) makeGrey(image);
}

/** Standard deviations that the kernel reaches to either side. */
const BLUR_REACH = 3;

/** A row or column of an image, blurred in place; `line` has room for it and for the kernel's reach on either side. */
function blurLine(
  image: Float32Array,
  start: number,
  stride: number,
  size: number,
  kernel: Float32Array,
  total: number,
  line: Float32Array,
): void {
  const reach = (kernel.length - 1) / 2;
  for (let x = 0; x < size; x++) line[x + reach] = image[start + x * stride] as number;
  const [first, last] = [line[reach] as number, line[reach + size - 1] as number];
  for (let x = 0; x < reach; x++) {
    line[x] = first;
    line[reach + size + x] = last;
  }
  for (let x = 0; x < size; x++) {
    let sum = 0;
    for (let t = 0; t < kernel.length; t++) sum += (kernel[t] as number) * (line[x + t] as number);
    image[start + x * stride] = sum / total;
  }
}

/**
 * Gaussian blur, in place; beyond the edge its pixels repeat.
 *
 * @param image  [C, S, S]
 * @param sigma  standard deviation in pixels, > 0
 */
export function blur(image: Float32Array, size: number, sigma: number): void {
  const reach = Math.max(1, Math.ceil(BLUR_REACH * sigma));
  const kernel = Float32Array.from({ length: 2 * reach + 1 }, (_, t) =>
    Math.exp(-((t - reach) ** 2) / (2 * sigma * sigma)),
  );
  const total = kernel.reduce((sum, weight) => sum + weight, 0);
  const line = new Float32Array(size + 2 * reach);
  for (let channel = 0; channel < image.length; channel += size * size) {
    for (let y = 0; y < size; y++) blurLine(image, channel + y * size, 1, size, kernel, total, line);
    for (let x = 0; x < size; x++) blurLine(image, channel + x, size, size, kernel, total, line);
  }
}
