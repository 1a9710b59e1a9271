import { type CaptionedImageSet, captionedImageSet, memoryPixels } from "@concord/data";
import { foldIn, type Key, type NDArray, RandomStream } from "@concord/tensor";

/** What the labels of the world are called, in prompts and texts. */
export const SCENE_LABELS = [
  "circle",
  "square",
  "triangle",
  "cross",
  "ring",
  "diamond",
  "star",
  "moon",
  "heart",
  "bars",
] as const;

/** Words that say nothing about the picture. */
const DISTRACTORS =
  "today maybe lovely old view summer trip favourite random quick office weekend city morning photo nice warm again little window street almost quiet new bright home evening great simple holiday".split(
    " ",
  );

/** The first labels are this much as frequent as the others. */
const FREQUENT = { labels: 3, weight: 3 } as const;
const MOST_LABELS = 3;
const DISTRACTORS_PER_TEXT = 6;
/** Degrees either way; labels lie 36 apart. */
const HUE_JITTER = 40;

type Inside = (x: number, y: number) => boolean;
type Colour = readonly [number, number, number];

/** Whether a point of [-1, 1]² belongs to a glyph. */
const glyphs: readonly Inside[] = [
  (x, y) => x * x + y * y < 0.75,
  (x, y) => Math.abs(x) < 0.74 && Math.abs(y) < 0.74,
  (x, y) => y > -0.8 && y < 0.8 && Math.abs(x) < (y + 0.8) * 0.58,
  (x, y) => Math.max(Math.abs(x), Math.abs(y)) < 0.95 && Math.min(Math.abs(x), Math.abs(y)) < 0.27,
  (x, y) => Math.abs(Math.hypot(x, y) - 0.7) < 0.22,
  (x, y) => Math.abs(x) + Math.abs(y) < 0.98,
  (x, y) => Math.hypot(x, y) < 0.62 + 0.36 * Math.cos(5 * Math.atan2(x, -y)),
  (x, y) => x * x + y * y < 0.85 && (x - 0.5) ** 2 + y * y > 0.5,
  (x, y) => (x * x + y * y - 0.45) ** 3 + x * x * y * y * y < 0,
  (x, y) => Math.abs(y) < 0.85 && Math.abs(Math.abs(x) - 0.5) < 0.27,
];

/** A colour of the given hue in degrees, 0 to 255. */
function colourOf(hue: number, value: number): Colour {
  const channel = (offset: number): number => {
    const k = (((hue / 60 + offset) % 6) + 6) % 6;
    return 255 * value * (1 - 0.85 * Math.max(0, Math.min(k, 4 - k, 1)));
  };
  return [channel(5), channel(3), channel(1)];
}

/** Grey level of a background at a place, 20 textures: 5 patterns at 4 periods. */
function textureLevel(texture: number, x: number, y: number): number {
  const period = 3 + 2 * Math.floor(texture / 5);
  const wave = (t: number): number => Math.sin((2 * Math.PI * t) / period);
  const pattern = [wave(x), wave(y), wave((x + y) * 0.7), wave((x - y) * 0.7), wave(x) * wave(y)][
    texture % 5
  ];
  return (pattern as number) * 0.5;
}

export interface SceneOptions {
  /** Side of the pictures in pixels. Default 32. */
  readonly size?: number;
  /** Chance that a text does not name a label. Default 0.4. */
  readonly lostWords?: number;
}

/** Pictures with texts and several labels each. */
export interface TaggedImages {
  readonly set: CaptionedImageSet;
  /** [N, C] with 1 where a label holds */
  readonly labels: NDArray<"float32">;
  /** Names of the C labels. */
  readonly classes: readonly string[];
}

/** Independent streams of one item. */
const streams = { labels: 0, text: 1, picture: 2 } as const;

function drawLabels(key: Key): number[] {
  const random = new RandomStream(foldIn(key, streams.labels));
  const count = 1 + random.integer(MOST_LABELS);
  const chosen: number[] = [];
  while (chosen.length < count) {
    // Every frequent label has several places in the list, the others one.
    const left = SCENE_LABELS.flatMap((_, label) =>
      chosen.includes(label)
        ? []
        : new Array<number>(label < FREQUENT.labels ? FREQUENT.weight : 1).fill(label),
    );
    chosen.push(random.pick(left));
  }
  return chosen;
}

function writeText(key: Key, labels: readonly number[], lostWords: number): string {
  const random = new RandomStream(foldIn(key, streams.text));
  const named = labels.filter(() => !random.chance(lostWords)).map((label) => SCENE_LABELS[label] as string);
  const words = [...named, ...random.sample(DISTRACTORS, DISTRACTORS_PER_TEXT)];
  return random.sample(words, words.length).join(" ");
}

function drawPicture(
  key: Key,
  labels: readonly number[],
  size: number,
  target: Uint8Array,
  offset: number,
): void {
  const random = new RandomStream(foldIn(key, streams.picture));
  const texture = random.integer(20);
  const [base, contrast] = [random.uniform(90, 165), random.uniform(20, 60)];
  const tint = [random.uniform(0.85, 1.15), random.uniform(0.85, 1.15), random.uniform(0.85, 1.15)];
  const [shiftX, shiftY] = [random.uniform(0, size), random.uniform(0, size)];
  const plane = size * size;
  for (let y = 0, i = offset; y < size; y++)
    for (let x = 0; x < size; x++, i++) {
      const level = base + contrast * textureLevel(texture, x + shiftX, y + shiftY) + random.uniform(-12, 12);
      for (let c = 0; c < 3; c++)
        target[i + c * plane] = Math.min(255, Math.max(0, level * (tint[c] as number)));
    }
  for (const label of labels) {
    const radius = random.uniform(0.15, 0.21) * size;
    const [centreX, centreY] = [random.uniform(radius, size - radius), random.uniform(radius, size - radius)];
    const angle = random.uniform(-0.25, 0.25);
    const [cosine, sine] = [Math.cos(angle) / radius, Math.sin(angle) / radius];
    // Neighbouring hues overlap, so that the colour alone does not tell the label.
    const hue = (360 / SCENE_LABELS.length) * label + random.uniform(-HUE_JITTER, HUE_JITTER);
    const colour = colourOf(hue, random.uniform(0.6, 1));
    const inside = glyphs[label] as Inside;
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) {
        const [dx, dy] = [x + 0.5 - centreX, y + 0.5 - centreY];
        if (!inside(dx * cosine + dy * sine, dy * cosine - dx * sine)) continue;
        for (let c = 0; c < 3; c++) target[offset + c * plane + y * size + x] = colour[c] as number;
      }
  }
}

/**
 * Tagged scenes: 1 to 3 of 10 labels an item, three of them three times as frequent. The picture shows one glyph a
 * label, of random place, size and angle and of a hue near the label's own, on one of 20 textures; the text names each label with a chance and
 * six of 30 words that mean nothing. Item i is a function of the key and of i alone.
 *
 * @param count  items
 * @throws RangeError when a number is out of its range
 * @source arXiv 2503.16064, small-scale reproduction (our own world)
 */
export function taggedScenes(key: Key, count: number, options: SceneOptions = {}): TaggedImages {
  const { size = 32, lostWords = 0.4 } = options;
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`taggedScenes: count must be an integer >= 1, got ${count}`);
  if (!Number.isInteger(size) || size < 16 || size > 256)
    throw new RangeError(`taggedScenes: size must be an integer from 16 to 256, got ${size}`);
  if (!(lostWords >= 0 && lostWords <= 1))
    throw new RangeError(`taggedScenes: lostWords must be in [0, 1], got ${lostWords}`);
  const pixels = new Uint8Array(count * 3 * size * size);
  const labels = new Float32Array(count * SCENE_LABELS.length);
  const captions: string[][] = [];
  for (let i = 0; i < count; i++) {
    const itemKey = foldIn(key, i);
    const own = drawLabels(itemKey);
    for (const label of own) labels[i * SCENE_LABELS.length + label] = 1;
    captions.push([writeText(itemKey, own, lostWords)]);
    drawPicture(itemKey, own, size, pixels, i * 3 * size * size);
  }
  const set = captionedImageSet({
    names: captions.map((_, i) => `scene ${i}`),
    captions,
    labels: {},
    store: memoryPixels(pixels, size),
  });
  return {
    set,
    labels: { dtype: "float32", shape: [count, SCENE_LABELS.length], data: labels },
    classes: SCENE_LABELS,
  };
}
