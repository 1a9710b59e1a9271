import { bitsAt, type Key, RandomStream } from "@concord/tensor";
import type { AttributeName } from "./attributes.ts";
import { outlineReach, shapeDistances } from "./shapes.ts";

/** One class index per attribute. */
export type AttributeIndices = Readonly<Record<AttributeName, number>>;

/** Red, green, blue in [0, 1]. */
type Colour = readonly [number, number, number];

/** Everything that a picture is drawn from, lengths in pixels, angles in radians. */
export interface Scene {
  readonly attributes: AttributeIndices;
  readonly centre: readonly [number, number];
  readonly radius: number;
  readonly angle: number;
  readonly colour: Colour;
  readonly stripes: {
    /** Direction along the stripes. */
    readonly angle: number;
    readonly period: number;
    /** In periods, [0, 1). */
    readonly phase: number;
    readonly colours: readonly [Colour, Colour];
  };
}

/** Hue in degrees, saturation and value in [0, 1] of each value of the attribute `colour`. */
const colourTable: readonly Colour[] = [
  [0, 0.92, 0.88],
  [27, 0.95, 0.97],
  [55, 0.9, 0.97],
  [125, 0.8, 0.7],
  [182, 0.8, 0.9],
  [224, 0.88, 0.88],
  [274, 0.75, 0.72],
  [326, 0.52, 0.98],
];
/** Radius of each value of the attribute `size`, as a share of the picture's side. */
const radiusTable = [0.15, 0.235] as const;
const degrees = Math.PI / 180;

function rgb(hue: number, saturation: number, value: number): Colour {
  const channel = (offset: number): number => {
    const k = (((hue / 60 + offset) % 6) + 6) % 6;
    return value - value * saturation * Math.max(0, Math.min(k, 4 - k, 1));
  };
  return [channel(5), channel(3), channel(1)];
}

const clampUnit = (x: number): number => Math.min(1, Math.max(0, x));

/**
 * Draws the nuisances of a picture: jitter of centre, radius, angle, hue, saturation and brightness of the
 * object; period, phase and the two greyish colours of the stripes.
 *
 * @param jitter 1 for the full range, 0 for the middle of every range
 */
export function drawScene(key: Key, attributes: AttributeIndices, size: number, jitter: number): Scene {
  const random = new RandomStream(key);
  const around = (middle: number, reach: number): number => middle + jitter * random.uniform(-reach, reach);
  const [hue, saturation, value] = colourTable[attributes.colour] as Colour;
  const column = attributes.quadrant % 2;
  const row = Math.floor(attributes.quadrant / 2);
  const brightness = around(1, 0.12);
  return {
    attributes,
    centre: [around(0.27 + 0.46 * column, 0.045) * size, around(0.27 + 0.46 * row, 0.045) * size],
    radius: around(1, 0.09) * (radiusTable[attributes.size] as number) * size,
    angle: around(0, 12) * degrees,
    colour: rgb(around(hue, 6), clampUnit(around(saturation, 0.06)), clampUnit(value * brightness)),
    stripes: {
      angle: attributes.background * 22.5 * degrees,
      period: around(0.26, 0.04) * size,
      phase: around(0.5, 0.5),
      colours: [
        rgb(around(180, 180), around(0.16, 0.16), around(0.27, 0.12)),
        rgb(around(180, 180), around(0.13, 0.13), around(0.74, 0.14)),
      ],
    },
  };
}

/** Draws a scene as [3, S, S] floats in [0, 1] into `target` from `offset` on, edges smoothed over one pixel. */
export function renderScene(scene: Scene, size: number, target: Float32Array, offset: number): void {
  const plane = size * size;
  const { angle, period, phase, colours } = scene.stripes;
  const [dark, light] = colours;
  // y grows downwards, so a stripe that rises to the right has a falling y.
  const acrossX = (2 * Math.PI * Math.sin(angle)) / period;
  const acrossY = (2 * Math.PI * Math.cos(angle)) / period;
  for (let y = 0, i = offset; y < size; y++) {
    for (let x = 0; x < size; x++, i++) {
      const wave = Math.sin(acrossX * x + acrossY * y + 2 * Math.PI * phase);
      const mix = clampUnit(0.5 + wave);
      target[i] = dark[0] + (light[0] - dark[0]) * mix;
      target[i + plane] = dark[1] + (light[1] - dark[1]) * mix;
      target[i + 2 * plane] = dark[2] + (light[2] - dark[2]) * mix;
    }
  }

  const distance = shapeDistances[scene.attributes.shape];
  if (distance === undefined) throw new RangeError(`renderScene: no shape ${scene.attributes.shape}`);
  const { centre, radius, colour } = scene;
  const cosine = Math.cos(scene.angle) / radius;
  const sine = Math.sin(scene.angle) / radius;
  const reach = outlineReach * radius + 1;
  const first = (middle: number): number => Math.max(0, Math.floor(middle - reach));
  const last = (middle: number): number => Math.min(size - 1, Math.ceil(middle + reach));
  for (let y = first(centre[1]); y <= last(centre[1]); y++) {
    for (let x = first(centre[0]); x <= last(centre[0]); x++) {
      const dx = x + 0.5 - centre[0];
      const dy = y + 0.5 - centre[1];
      const outside = distance(dx * cosine + dy * sine, dy * cosine - dx * sine) * radius;
      const cover = clampUnit(0.5 - outside);
      if (cover === 0) continue;
      const i = offset + y * size + x;
      for (let channel = 0; channel < 3; channel++) {
        const at = i + channel * plane;
        const below = target[at] as number;
        target[at] = below + ((colour[channel] as number) - below) * cover;
      }
    }
  }
}

/** Mean and deviation of the sum of four uniform bytes. */
const byteSumMean = 510;
const byteSumDeviation = Math.sqrt((4 * (256 * 256 - 1)) / 12);

/**
 * Adds pixel noise and clips to [0, 1]. Each value gets the sum of four random bytes, scaled: near enough to
 * a normal number (kurtosis 2.7) and several times cheaper.
 */
export function addPixelNoise(
  key: Key,
  target: Float32Array,
  offset: number,
  length: number,
  deviation: number,
): void {
  const scale = deviation / byteSumDeviation;
  for (let i = 0; i < length; i++) {
    const bits = bitsAt(key, i);
    const sum = (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24);
    target[offset + i] = clampUnit((target[offset + i] as number) + (sum - byteSumMean) * scale);
  }
}
