import { foldIn, type Key, RandomStream } from "@concord/tensor";

/** Signed distance to the outline in units of the shape's radius: negative inside. */
type SignedDistance = (x: number, y: number) => number;

function box(x: number, y: number, halfWidth: number, halfHeight: number): number {
  const dx = Math.abs(x) - halfWidth;
  const dy = Math.abs(y) - halfHeight;
  return Math.hypot(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0);
}

/** Half a side of a square with the given radius. */
const SQUARE = 0.78;

/** The classes: outlines that fit the unit circle, of about the same area as far as their forms allow. */
const outlines: Readonly<Record<string, SignedDistance>> = {
  disc: (x, y) => Math.hypot(x, y) - 0.9,
  square: (x, y) => box(x, y, SQUARE, SQUARE),
  triangle: (x, y) => Math.max(y - 0.7, 0.866 * Math.abs(x) - 0.5 * y - 0.5),
  ring: (x, y) => Math.abs(Math.hypot(x, y) - 0.7) - 0.25,
  plus: (x, y) => Math.min(box(x, y, 0.95, 0.32), box(x, y, 0.32, 0.95)),
  diamond: (x, y) => (Math.abs(x) + Math.abs(y) - 1) * Math.SQRT1_2,
  bars: (x, y) => Math.min(box(x, y - 0.55, 0.9, 0.27), box(x, y + 0.55, 0.9, 0.27)),
  "half disc": (x, y) => Math.max(Math.hypot(x, y - 0.4) - 0.95, y - 0.45),
};

/** Names of the 8 classes; a label is a position in this list. */
export const shapeClasses: readonly string[] = Object.keys(outlines);

const distances: readonly SignedDistance[] = Object.values(outlines);

export interface ShapesWorldOptions {
  /** Side of the pictures in pixels. */
  readonly size: number;
  /** Radius of the shapes as shares of the side, between these. */
  readonly minRadius: number;
  readonly maxRadius: number;
  /** Side of the square in the middle that holds the centres, as a share of the picture's. */
  readonly spread: number;
  /** Share of the shapes that are darker than what lies behind them, where both are possible. */
  readonly dark: number;
  /** Brightness of the background in [0, 1], between these. */
  readonly minLevel: number;
  readonly maxLevel: number;
  /** Most saturation of colours in [0, 1]: 1 makes colour the loudest thing in the picture. */
  readonly saturation: number;
  /** Most dots strewn over the background. */
  readonly clutter: number;
  /** Deviation of the uniform noise of each sample, in [0, 1] units. */
  readonly noise: number;
}

/** Pictures with their classes. */
export interface LabelledImages {
  readonly count: number;
  readonly size: number;
  /** [N, 3, S, S] in memory that threads share. */
  readonly pixels: Uint8Array<SharedArrayBuffer>;
  /** Class of every picture; null where nobody knows. */
  readonly labels: Int32Array | null;
  readonly classes: readonly string[];
}

/** Least difference in brightness between a shape and the background, which itself differs by up to twice this. */
const CONTRAST = 0.22;
const GRADIENT = 0.06;
const MAX_ROTATION = Math.PI / 9;

type Colour = readonly [number, number, number];

function within(brightness: number): number {
  return Math.min(1, Math.max(0, brightness));
}

/** A colour of about the given brightness. */
function colourOf(random: RandomStream, brightness: number, saturation: number): Colour {
  const hue = 2 * Math.PI * random.uniform();
  const strength = saturation * random.uniform() * 0.35;
  // Three cosines a third of the circle apart add up to 0, so brightness stays.
  return [0, 1, 2].map((c) =>
    within(brightness + strength * Math.cos(hue - (2 * Math.PI * c) / 3)),
  ) as unknown as Colour;
}

/** Draws one picture of a class into its place, [3, S, S] bytes. */
function draw(
  random: RandomStream,
  shape: SignedDistance,
  world: ShapesWorldOptions,
  target: Uint8Array,
): void {
  const { size, saturation, clutter, noise, minRadius, maxRadius, minLevel, maxLevel, spread, dark } = world;
  const level = random.uniform(minLevel, maxLevel);
  // Uniform noise has this reach for its deviation.
  const reach = Math.sqrt(3) * noise;
  const ends = [-1, 1].map(() =>
    colourOf(random, within(level + random.uniform(-GRADIENT, GRADIENT)), saturation),
  ) as [Colour, Colour];
  const [darkest, brightest] = [level - GRADIENT - CONTRAST, level + GRADIENT + CONTRAST];
  const isDark = darkest >= 0 && (brightest > 1 || random.chance(dark));
  const ink = isDark
    ? random.uniform(Math.max(0, darkest - CONTRAST), darkest)
    : random.uniform(Math.min(1, brightest), Math.min(1, brightest + CONTRAST));
  const colour = colourOf(random, within(ink), saturation);
  const slope = 2 * Math.PI * random.uniform();
  const [slopeX, slopeY] = [Math.cos(slope) * Math.SQRT1_2, Math.sin(slope) * Math.SQRT1_2];
  const dots = Array.from({ length: random.integer(clutter + 1) }, () => ({
    x: random.uniform(0, size),
    y: random.uniform(0, size),
    radius: random.uniform(0.03, 0.05) * size,
    colour: colourOf(random, random.uniform(0, 1), saturation),
  }));
  const radius = random.uniform(minRadius, maxRadius) * size;
  const centre = [0, 1].map(() => size * random.uniform((1 - spread) / 2, (1 + spread) / 2)) as [
    number,
    number,
  ];
  const angle = random.uniform(-MAX_ROTATION, MAX_ROTATION);
  const [cos, sin] = [Math.cos(angle) / radius, Math.sin(angle) / radius];
  const plane = size * size;
  const pixel = new Float64Array(3);
  const blend = (over: Colour, share: number): void => {
    for (let c = 0; c < 3; c++) pixel[c] = (pixel[c] as number) * (1 - share) + (over[c] as number) * share;
  };
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      pixel.set(ends[0]);
      blend(ends[1], (x / size - 0.5) * slopeX + (y / size - 0.5) * slopeY + 0.5);
      for (const dot of dots) {
        const inside = dot.radius - Math.hypot(x + 0.5 - dot.x, y + 0.5 - dot.y) + 0.5;
        if (inside > 0) blend(dot.colour, Math.min(1, inside));
      }
      const dx = x + 0.5 - centre[0];
      const dy = y + 0.5 - centre[1];
      const cover = 0.5 - shape(cos * dx + sin * dy, cos * dy - sin * dx) * radius;
      if (cover > 0) blend(colour, Math.min(1, cover));
      for (let c = 0; c < 3; c++) {
        const value = (pixel[c] as number) + random.uniform(-reach, reach);
        target[c * plane + y * size + x] = Math.round(255 * Math.min(1, Math.max(0, value)));
      }
    }
  }
}

/**
 * "Shapes-8": a filled shape of one of 8 classes before a gradient with dots. Position, size, rotation (±20°), colours and noise say nothing of the class. Picture i depends on the key and on i
 * alone.
 *
 * @throws RangeError when the count, the size or an option is out of its range
 */
export function shapesWorld(key: Key, count: number, options: ShapesWorldOptions): LabelledImages {
  const { size, saturation, clutter, noise, minRadius, maxRadius, minLevel, maxLevel, spread } = options;
  for (const [name, value] of Object.entries({ count, size }))
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`shapesWorld: ${name} must be an integer >= 1, got ${value}`);
  if (!(saturation >= 0 && saturation <= 1) || !(clutter >= 0) || !(noise >= 0))
    throw new RangeError("shapesWorld: saturation must lie in [0, 1], clutter and noise must be >= 0");
  if (!(minRadius > 0 && minRadius <= maxRadius && maxRadius <= 1))
    throw new RangeError(`shapesWorld: radii must be in (0, 1], got ${minRadius} to ${maxRadius}`);
  for (const [name, value] of Object.entries({ spread, dark: options.dark }))
    if (!(value >= 0 && value <= 1))
      throw new RangeError(`shapesWorld: ${name} must lie in [0, 1], got ${value}`);
  if (!(minLevel >= 0 && minLevel <= maxLevel && maxLevel <= 1))
    throw new RangeError(`shapesWorld: levels must be in [0, 1], got ${minLevel} to ${maxLevel}`);
  const length = 3 * size * size;
  const pixels = new Uint8Array(new SharedArrayBuffer(count * length));
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const random = new RandomStream(foldIn(key, i));
    const label = random.integer(distances.length);
    labels[i] = label;
    draw(random, distances[label] as SignedDistance, options, pixels.subarray(i * length, (i + 1) * length));
  }
  return { count, size, pixels, labels, classes: shapeClasses };
}
