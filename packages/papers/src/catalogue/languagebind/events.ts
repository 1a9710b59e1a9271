import { foldIn, type Key, type NDArray, RandomStream } from "@concord/tensor";
import {
  ATTRIBUTES,
  type Attribute,
  attributeNames,
  type EventAttributes,
  FILLERS,
  type WorldSensor,
} from "./attributes.ts";
import {
  audioPicture,
  depthPicture,
  drawScene,
  infraredPicture,
  rgbPicture,
  SIDE,
  videoClip,
} from "./sensors.ts";

export interface EventOptions {
  /** How often the sound follows another attribute (its value mod 6); otherwise it is random. Default 0.5. */
  readonly tie?: number;
  /** What it follows. Default "shape". */
  readonly follows?: "shape" | "colour";
  /** Frames of a video. Default 3. */
  readonly frames?: number;
}

/** Events with what their sensors saw; row i of everything belongs to event i. */
export interface EventSet {
  readonly count: number;
  readonly captions: readonly string[];
  readonly attributes: Readonly<Record<Attribute, Int32Array>>;
  /** [count, 3, S, S], of video [count, T, 3, S, S]; ready for the encoders. */
  readonly sensors: Readonly<Partial<Record<WorldSensor, NDArray<"float32">>>>;
}

/** Independent streams of one event. */
const streams = {
  attributes: 0,
  scene: 1,
  caption: 2,
  rgb: 3,
  video: 4,
  depth: 5,
  infrared: 6,
  audio: 7,
} as const;

function attributesOf(
  key: Key,
  { tie, follows }: Required<Pick<EventOptions, "tie" | "follows">>,
): EventAttributes {
  const random = new RandomStream(key);
  const draw = (name: Attribute): number => random.integer(ATTRIBUTES[name].length);
  const drawn = Object.fromEntries(attributeNames.map((name) => [name, draw(name)])) as Record<
    Attribute,
    number
  >;
  const isTied = random.chance(tie);
  return { ...drawn, sound: isTied ? drawn[follows] % ATTRIBUTES.sound.length : drawn.sound };
}

/** Share of captions that leave an attribute out: drawn anew for each caption, so that some are terse. */
const DROPPED = [0.1, 0.3] as const;
const MAX_FILLERS = 3;

/** Synonyms in one order, every attribute left out with 10 to 30 %, one to three fillers anywhere; never empty. */
function captionOf(key: Key, attributes: EventAttributes): string {
  const random = new RandomStream(key);
  const rate = random.uniform(...DROPPED);
  const phrases = attributeNames.map((name) =>
    random.pick(ATTRIBUTES[name][attributes[name]] as readonly string[]),
  );
  const words = phrases.filter(() => !random.chance(rate));
  if (words.length === 0) words.push(phrases[0] as string);
  for (const filler of random.sample(FILLERS, 1 + random.integer(MAX_FILLERS)))
    words.splice(random.integer(words.length + 1), 0, filler);
  return words.join(" ");
}

/**
 * Events of the generated world, seen by some of its sensors. An event is a function of its key: what a sensor shows
 * depends neither on which other sensors are asked for nor on the number of events.
 *
 * Heat shows in infrared only, sound in audio only, change in video only; the colour picture shows shape, colour and
 * apparent size. That part of the truth is what binding to images cannot learn.
 *
 * @throws RangeError when the count is no integer >= 1 or the tie leaves [0, 1]
 * @source arXiv 2310.01852, small-scale reproduction (our own world)
 */
export function eventSet(
  key: Key,
  count: number,
  sensors: readonly WorldSensor[],
  { tie = 0.5, follows = "shape", frames = 3 }: EventOptions = {},
): EventSet {
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`eventSet: count must be an integer >= 1, got ${count}`);
  if (!(tie >= 0 && tie <= 1)) throw new RangeError(`eventSet: tie must be in [0, 1], got ${tie}`);
  const attributes = Object.fromEntries(
    attributeNames.map((name) => [name, new Int32Array(count)]),
  ) as Record<Attribute, Int32Array>;
  const shapeOf = (sensor: WorldSensor): number[] =>
    sensor === "video" ? [frames, 3, SIDE, SIDE] : [3, SIDE, SIDE];
  const arrays = sensors.map((sensor) => {
    const shape = shapeOf(sensor);
    return { sensor, shape, data: new Float32Array(count * shape.reduce((a, b) => a * b, 1)) };
  });
  const captions = Array.from({ length: count }, (_, i) => {
    const own = foldIn(key, i);
    const truth = attributesOf(foldIn(own, streams.attributes), { tie, follows });
    for (const name of attributeNames) attributes[name][i] = truth[name];
    const scene = drawScene(foldIn(own, streams.scene), truth);
    for (const { sensor, data } of arrays) {
      const from = foldIn(own, streams[sensor]);
      const seen =
        sensor === "video"
          ? videoClip(from, scene, frames)
          : { rgb: rgbPicture, depth: depthPicture, infrared: infraredPicture, audio: audioPicture }[sensor](
              from,
              scene,
            );
      data.set(seen.data, i * seen.data.length);
    }
    return captionOf(foldIn(own, streams.caption), truth);
  });
  return {
    count,
    captions,
    attributes,
    sensors: Object.fromEntries(
      arrays.map(({ sensor, shape, data }) => [sensor, { dtype: "float32", shape: [count, ...shape], data }]),
    ),
  };
}
