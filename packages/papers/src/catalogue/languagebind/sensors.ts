import { outlineReach, shapeDistances } from "@concord/data";
import { bitsAt, foldIn, type Key, type NDArray, RandomStream } from "@concord/tensor";
import type { EventAttributes } from "./attributes.ts";
import { audioChunkFusion, chunkStartRanges } from "./audio-chunks.ts";
import { clipStandardised, depthTransform, infraredTransform } from "./depth-transform.ts";

/** Side of every picture and spectrogram in pixels. */
export const SIDE = 24;
const PIXELS = SIDE * SIDE;

/** Where the thing of an event is and how it is seen; lengths in pixels, angles in radians. */
export interface EventScene {
  readonly attributes: EventAttributes;
  readonly centre: readonly [x: number, y: number];
  readonly radius: number;
  readonly angle: number;
  readonly metres: number;
  readonly night: boolean;
}

/** Radius of a thing and its distance in metres, by the attribute `distance`. */
const RADIUS = [8.5, 6.5, 4.5] as const;
const METRES = [2, 4, 6.5] as const;
/** How far size or light go up and down in a video, by the attribute `change`, as shares of the middle. */
const SWING = 0.45;
const NIGHT_SHARE = 0.3;
const NIGHT_FACTOR = 0.25;

/** Red, green, blue in [0, 1] of each value of `colour`. */
const COLOURS = [
  [0.9, 0.15, 0.12],
  [0.95, 0.85, 0.15],
  [0.15, 0.7, 0.25],
  [0.15, 0.8, 0.85],
  [0.2, 0.3, 0.9],
  [0.9, 0.3, 0.75],
] as const;

export function drawScene(key: Key, attributes: EventAttributes): EventScene {
  const random = new RandomStream(key);
  const around = (middle: number, reach: number): number => middle + random.uniform(-reach, reach);
  return {
    attributes,
    centre: [around(SIDE / 2, 1.5), around(SIDE / 2, 1.5)],
    radius: around(1, 0.12) * (RADIUS[attributes.distance] as number),
    angle: around(0, 0.15),
    metres: around(METRES[attributes.distance] as number, 0.5),
    night: random.chance(NIGHT_SHARE),
  };
}

const clampUnit = (x: number): number => Math.min(1, Math.max(0, x));

/** How much of each pixel the thing covers: [S · S] in [0, 1]. */
function silhouette({ attributes, centre, radius, angle }: EventScene): Float32Array {
  const distance = shapeDistances[attributes.shape];
  if (!distance) throw new RangeError(`silhouette: no shape ${attributes.shape}`);
  const cover = new Float32Array(PIXELS);
  const [cosine, sine] = [Math.cos(angle) / radius, Math.sin(angle) / radius];
  const reach = outlineReach * radius + 1;
  const [cx, cy] = centre;
  for (let y = Math.max(0, Math.floor(cy - reach)); y < Math.min(SIDE, cy + reach); y++)
    for (let x = Math.max(0, Math.floor(cx - reach)); x < Math.min(SIDE, cx + reach); x++) {
      const [u, v] = [x + 0.5 - cx, y + 0.5 - cy];
      const outside = distance(u * cosine + v * sine, v * cosine - u * sine) * radius;
      cover[y * SIDE + x] = clampUnit(0.5 - outside);
    }
  return cover;
}

/** Deviation of the sum of four uniform bytes, whose mean is 510. */
const BYTES_DEVIATION = Math.sqrt((4 * (256 * 256 - 1)) / 12);

/** As `Float32Array.from({ length }, (_, i) => of(i))`, which is several times slower. */
function filled(length: number, of: (i: number) => number): Float32Array {
  const data = new Float32Array(length);
  for (let i = 0; i < length; i++) data[i] = of(i);
  return data;
}

/** Roughly normal numbers of deviation 1, cheap: sums of four random bytes. */
function noiseOf(key: Key, length: number): Float32Array {
  return filled(length, (i) => {
    const bits = bitsAt(key, i);
    return (
      ((bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24) - 510) / BYTES_DEVIATION
    );
  });
}

/** Streams of a sensor's key. */
const NOISE = 1;

/** Colour picture: a thing on a plain background, at night four times darker. [3, S, S], standardised as for CLIP */
export function rgbPicture(key: Key, scene: EventScene, lamp = 1): NDArray<"float32"> {
  const random = new RandomStream(key);
  const cover = silhouette(scene);
  const light = lamp * (scene.night ? NIGHT_FACTOR : 1) * random.uniform(0.85, 1.1);
  const ground = random.uniform(0.3, 0.6);
  const slope = random.uniform(-0.2, 0.2);
  const colour = COLOURS[scene.attributes.colour] as readonly [number, number, number];
  const noise = noiseOf(foldIn(key, NOISE), 3 * PIXELS);
  const planes = colour.map((value, channel) =>
    filled(PIXELS, (i) => {
      const behind = ground + slope * (Math.floor(i / SIDE) / SIDE - 0.5);
      return clampUnit(
        light * (behind + (value - behind) * (cover[i] as number)) +
          0.06 * (noise[channel * PIXELS + i] as number),
      );
    }),
  );
  return clipStandardised(planes, SIDE, SIDE);
}

/** Frames of a clip: the thing comes nearer or goes away, or the light rises or falls. [T, 3, S, S] */
export function videoClip(key: Key, scene: EventScene, frames: number): NDArray<"float32"> {
  const { change } = scene.attributes;
  const data = new Float32Array(frames * 3 * PIXELS);
  for (let t = 0; t < frames; t++) {
    const progress = frames > 1 ? (2 * t) / (frames - 1) - 1 : 0;
    const factor = 1 + SWING * (change % 2 === 0 ? progress : -progress);
    const isMove = change < 2;
    const seen = isMove ? { ...scene, radius: scene.radius * factor } : scene;
    data.set(rgbPicture(foldIn(key, t), seen, isMove ? 1 : factor).data, t * 3 * PIXELS);
  }
  return { dtype: "float32", shape: [frames, 3, SIDE, SIDE], data };
}

/** Depth map: the thing before a sloped far plane, noise of some centimetres. [3, S, S] */
export function depthPicture(key: Key, scene: EventScene): NDArray<"float32"> {
  const random = new RandomStream(key);
  const [far, slope] = [random.uniform(8.2, 9.2), random.uniform(-1.4, 1.4)];
  const noise = noiseOf(foldIn(key, NOISE), PIXELS);
  const cover = silhouette(scene);
  const depth = filled(PIXELS, (i) => {
    const behind = far + slope * (Math.floor(i / SIDE) / SIDE - 0.5);
    const metres = behind + (scene.metres - behind) * (cover[i] as number);
    return 1000 * Math.max(0.1, metres + 0.15 * (noise[i] as number));
  });
  return depthTransform({ dtype: "float32", shape: [SIDE, SIDE], data: depth });
}

/** Infrared: the thing glows by its heat, two round decoys by a heat of their own. [3, S, S] */
export function infraredPicture(key: Key, scene: EventScene): NDArray<"float32"> {
  const random = new RandomStream(key);
  const glow = random.uniform(-0.07, 0.07) + 0.3 + 0.25 * scene.attributes.heat;
  const decoys = [0, 1].map(() => ({
    x: random.uniform(0, SIDE),
    y: random.uniform(0, SIDE),
    radius: random.uniform(1.5, 3),
    glow: random.uniform(0.3, 0.9),
  }));
  const cover = silhouette(scene);
  const noise = noiseOf(foldIn(key, NOISE), PIXELS);
  const levels = filled(PIXELS, (i) => {
    const [x, y] = [(i % SIDE) + 0.5, Math.floor(i / SIDE) + 0.5];
    const behind = decoys.reduce((level, decoy) => {
      const weight = Math.exp(-((x - decoy.x) ** 2 + (y - decoy.y) ** 2) / (2 * decoy.radius ** 2));
      return level + (decoy.glow - level) * weight;
    }, 0.12);
    return 255 * clampUnit(behind + (glow - behind) * (cover[i] as number) + 0.05 * (noise[i] as number));
  });
  const data = Uint8Array.from(levels);
  return infraredTransform({ dtype: "uint8", shape: [SIDE, SIDE], data });
}

/** Mel bin, in [0, S), of the loudest frequency of each value of `sound` at frame t, and whether it sounds then. */
type Pattern = (t: number, pitch: number, phase: number) => { readonly bin: number; readonly on: number };
const PATTERNS: readonly Pattern[] = [
  (_t, pitch) => ({ bin: pitch, on: 1 }),
  (t, pitch, phase) => ({ bin: pitch - 5 + 1.4 * ((t + phase) % 8), on: 1 }),
  (t, pitch, phase) => ({ bin: pitch + 5 - 1.4 * ((t + phase) % 8), on: 1 }),
  (t, pitch, phase) => ({ bin: pitch, on: Math.floor(t + phase) % 4 === 0 ? 1 : 0 }),
  (t, pitch, phase) => ({ bin: pitch, on: 0.25 + 0.75 * Math.exp(-((t + phase) % 12) / 3) }),
  (t, pitch, phase) => ({ bin: pitch + 4 * Math.sin((2 * Math.PI * (t + phase)) / 8), on: 1 }),
];
/** Log-mel energies of silence and of a near sound. */
const SILENCE = -11;
const LOUD = 12;

/**
 * Log-mel spectrogram of a sound of random pitch, phase and length, fainter from afar; longer clips become three chunks,
 * shorter ones are repeated. [3, M, S]
 */
export function audioPicture(key: Key, { attributes, metres }: EventScene): NDArray<"float32"> {
  const random = new RandomStream(key);
  const pattern = PATTERNS[attributes.sound] as Pattern;
  const frames = 16 + random.integer(33);
  const pitch = random.uniform(8, SIDE - 8);
  const phase = random.uniform(0, 12);
  const loud = LOUD - 1.1 * (metres - METRES[0]);
  const noise = noiseOf(foldIn(key, NOISE), frames * SIDE);
  const data = new Float32Array(frames * SIDE);
  for (let t = 0; t < frames; t++) {
    const { bin, on } = pattern(t, pitch, phase);
    for (let m = 0; m < SIDE; m++) {
      const tone = Math.exp(-((m - bin) ** 2) / 2) + 0.35 * Math.exp(-((m - bin - 7) ** 2) / 2);
      data[t * SIDE + m] = SILENCE + loud * on * Math.min(1, tone) + 1.2 * (noise[t * SIDE + m] as number);
    }
  }
  const starts = frames > SIDE ? chunkStartRanges(frames, SIDE) : [];
  const drawn = [0, 1, 2].map((i) => {
    const [first, last] = starts[i] ?? [0, 0];
    return first + random.integer(last - first + 1);
  }) as [number, number, number];
  return audioChunkFusion({ dtype: "float32", shape: [frames, SIDE], data }, { target: SIDE, starts: drawn });
}
