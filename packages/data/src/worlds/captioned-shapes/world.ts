import { foldIn, type Key, type NDArray, RandomStream } from "@concord/tensor";
import { toByteImages } from "../../images/convert.ts";
import { type CaptionedImageSet, captionedImageSet } from "../../images/image-set.ts";
import { memoryPixels } from "../../images/pixel-store.ts";
import { type AttributeName, attributeNames, captionedShapesAttributes } from "./attributes.ts";
import { type CaptionStyle, writeCaption } from "./captions.ts";
import { type AttributeIndices, addPixelNoise, drawScene, renderScene } from "./render.ts";

export interface CaptionedShapesOptions {
  /** Side of the pictures in pixels, 16 to 512. Default 24. */
  readonly size?: number;
  /** Default `rich`. The style changes captions only: the same key shows the same picture. */
  readonly captions?: CaptionStyle;
  /** Standard deviation of the pixel noise. Default 0.08. */
  readonly noise?: number;
  /** Scale of all other nuisances, 0 (none) to 1 (full). Default 1. */
  readonly jitter?: number;
}

export interface CaptionedShape {
  /** [3, S, S] in [0, 1], RGB */
  readonly image: NDArray<"float32">;
  readonly caption: string;
  /** Class index per attribute: the truth about the picture. */
  readonly attributes: AttributeIndices;
}

export interface CaptionedShapesBatch {
  /** [B, 3, S, S] in [0, 1], RGB */
  readonly images: NDArray<"float32">;
  /** B captions */
  readonly captions: readonly string[];
  /** [B] class indices per attribute */
  readonly attributes: Readonly<Record<AttributeName, NDArray<"int32">>>;
}

/** A finite list of pictures; the i-th is a function of the world's key, the split's name and i alone. */
export interface CaptionedShapesSplit {
  readonly count: number;
  itemKey(index: number): Key;
  item(index: number): CaptionedShape;
  batch(indices: ArrayLike<number>): CaptionedShapesBatch;
  /** All pictures, rounded to bytes, in memory, with the attributes as labels. */
  collect(): CaptionedImageSet;
}

export interface CaptionedShapesWorld {
  readonly size: number;
  /** The picture, caption and truth of a key: the same key gives the same bytes. */
  item(key: Key): CaptionedShape;
  batch(keys: readonly Key[]): CaptionedShapesBatch;
  /**
   * `count` pictures under a name such as "train" or "test". Splits with different names share no item key,
   * and a longer split begins with the shorter one of the same name.
   */
  split(key: Key, name: string, count: number): CaptionedShapesSplit;
}

/** Independent streams of one item, so that e.g. the caption style cannot change the picture. */
const streams = { attributes: 0, scene: 1, noise: 2, caption: 3 } as const;

/**
 * A world of captioned pictures with known truth: one object with a shape (10), colour (8), quadrant (4) and
 * size (2) over striped background of one of 8 orientations, drawn with jitter of place, radius, angle,
 * hue and brightness and with pixel noise; captions with synonyms, lost words and fillers.
 *
 * @throws RangeError when an option is out of its range
 * @source arXiv 2504.12717, small-scale reproduction (our own world)
 */
export function captionedShapes(options: CaptionedShapesOptions = {}): CaptionedShapesWorld {
  const { size = 24, captions: style = "rich", noise = 0.08, jitter = 1 } = options;
  if (!Number.isInteger(size) || size < 16 || size > 512)
    throw new RangeError(`captionedShapes: size must be an integer from 16 to 512, got ${size}`);
  if (!(noise >= 0 && noise <= 1))
    throw new RangeError(`captionedShapes: noise must be in [0, 1], got ${noise}`);
  if (!(jitter >= 0 && jitter <= 1))
    throw new RangeError(`captionedShapes: jitter must be in [0, 1], got ${jitter}`);
  const pixels = 3 * size * size;

  const attributesOf = (key: Key): AttributeIndices => {
    const random = new RandomStream(foldIn(key, streams.attributes));
    const draw = (name: AttributeName): number => random.integer(captionedShapesAttributes[name].length);
    return {
      shape: draw("shape"),
      colour: draw("colour"),
      quadrant: draw("quadrant"),
      size: draw("size"),
      background: draw("background"),
    };
  };
  const drawInto = (key: Key, attributes: AttributeIndices, target: Float32Array, offset: number): void => {
    renderScene(drawScene(foldIn(key, streams.scene), attributes, size, jitter), size, target, offset);
    if (noise > 0) addPixelNoise(foldIn(key, streams.noise), target, offset, pixels, noise);
  };
  const captionOf = (key: Key, attributes: AttributeIndices): string =>
    writeCaption(foldIn(key, streams.caption), attributes, style);

  const world: CaptionedShapesWorld = {
    size,
    item(key) {
      const attributes = attributesOf(key);
      const data = new Float32Array(pixels);
      drawInto(key, attributes, data, 0);
      return {
        image: { dtype: "float32", shape: [3, size, size], data },
        caption: captionOf(key, attributes),
        attributes,
      };
    },
    batch(keys) {
      const data = new Float32Array(keys.length * pixels);
      const truth = keys.map(attributesOf);
      keys.forEach((key, i) => {
        drawInto(key, truth[i] as AttributeIndices, data, i * pixels);
      });
      return {
        images: { dtype: "float32", shape: [keys.length, 3, size, size], data },
        captions: keys.map((key, i) => captionOf(key, truth[i] as AttributeIndices)),
        attributes: byAttribute((name) => ({
          dtype: "int32",
          shape: [keys.length],
          data: Int32Array.from(truth, (attributes) => attributes[name]),
        })),
      };
    },
    split: (key, name, count) => splitOf(world, foldName(key, name), name, count),
  };
  return world;
}

function splitOf(world: CaptionedShapesWorld, key: Key, name: string, count: number): CaptionedShapesSplit {
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`captionedShapes.split: count must be an integer >= 1, got ${count}`);
  const itemKey = (index: number): Key => {
    if (!Number.isInteger(index) || index < 0 || index >= count)
      throw new RangeError(`captionedShapes: ${index} is not an item of split "${name}" with ${count} items`);
    return foldIn(key, index);
  };
  const batch = (indices: ArrayLike<number>): CaptionedShapesBatch =>
    world.batch(Array.from(indices, itemKey));
  return {
    count,
    itemKey,
    item: (index) => world.item(itemKey(index)),
    batch,
    collect() {
      const { size } = world;
      const bytes = new Uint8Array(count * 3 * size * size);
      const captions: string[][] = [];
      const labels = byAttribute((attribute) => ({
        values: captionedShapesAttributes[attribute].map((value) => value.name),
        indices: new Int32Array(count),
      }));
      const chunk = 256;
      for (let start = 0; start < count; start += chunk) {
        const indices = Array.from({ length: Math.min(chunk, count - start) }, (_, i) => start + i);
        const part = batch(indices);
        bytes.set(toByteImages(part.images).data, start * 3 * size * size);
        captions.push(...part.captions.map((caption) => [caption]));
        for (const attribute of attributeNames)
          labels[attribute].indices.set(part.attributes[attribute].data, start);
      }
      const names = Array.from({ length: count }, (_, i) => `${name}/${i}`);
      return captionedImageSet({ names, captions, labels, store: memoryPixels(bytes, size) });
    },
  };
}

function byAttribute<T>(make: (name: AttributeName) => T): Record<AttributeName, T> {
  return {
    shape: make("shape"),
    colour: make("colour"),
    quadrant: make("quadrant"),
    size: make("size"),
    background: make("background"),
  };
}

/** A key that depends on a text: its UTF-16 units folded in one after another. */
function foldName(key: Key, name: string): Key {
  let folded = foldIn(key, name.length);
  for (let i = 0; i < name.length; i++) folded = foldIn(folded, name.charCodeAt(i));
  return folded;
}
