import type { Metric } from "../../harness/contract.ts";
import { type Attribute, VISIBLE, WORLD_SENSORS, type WorldSensor } from "./attributes.ts";
import { SENSORS, type Sensor } from "./defaults.ts";

/** k of the recalls that are shown. */
export const RECALL_AT = 5;

/** Sensors whose features are joined, and over which means are taken: those that every arm with three sensors binds. */
export const JOINED: readonly Sensor[] = ["depth", "infrared", "audio"];

export const SENSOR_LABELS: Readonly<Record<WorldSensor | "text", string>> = {
  text: "Text",
  rgb: "RGB",
  video: "Video",
  depth: "Depth",
  infrared: "Infrared",
  audio: "Audio",
};

/** What classes of own data are called. */
export const OWN_LABEL = "label";

/** Sensors that never met in training, compared with each other. */
export const EMERGENT: readonly (readonly [Sensor, Sensor])[] = [
  ["depth", "infrared"],
  ["depth", "audio"],
  ["infrared", "audio"],
  ["video", "depth"],
];

export const accuracyId = (sensor: WorldSensor, name: string): string => `${sensor}-${name}`;
export const textRecallId = (sensor: WorldSensor): string => `${sensor}-text-r${RECALL_AT}`;
export const pictureRecallId = (sensor: Sensor): string => `${sensor}-rgb-r${RECALL_AT}`;
export const emergentId = (a: Sensor, b: Sensor): string => `${a}-${b}-r${RECALL_AT}`;

function recall(id: string, label: string, description: string): Metric {
  return {
    id,
    label: `${label} R@${RECALL_AT}`,
    unit: "%",
    better: "higher",
    digits: 1,
    optional: true,
    description,
  };
}

function accuracy(sensor: WorldSensor, name: Attribute): Metric {
  return {
    id: accuracyId(sensor, name),
    label: `${SENSOR_LABELS[sensor]}: ${name}`,
    unit: "%",
    better: "higher",
    digits: 1,
    optional: true,
    description: `Zero-shot accuracy of ${name} from ${SENSOR_LABELS[sensor].toLowerCase()}, prompts worded for the sensor.`,
  };
}

/** An arm lacks what it does not bind, and own data lack what has no truth. */
export const metrics: readonly Metric[] = [
  accuracy("audio", "sound"),
  accuracy("infrared", "heat"),
  accuracy("video", "change"),
  recall(
    `text-r${RECALL_AT}`,
    "Sensors to text",
    `Share of samples whose caption is among the ${RECALL_AT} nearest, mean over depth, infrared and audio.`,
  ),
  recall(
    `rgb-r${RECALL_AT}`,
    "Sensors to RGB",
    `Share of samples whose colour picture is among the ${RECALL_AT} nearest, mean over depth, infrared and audio.`,
  ),
  recall(
    `joint-text-r${RECALL_AT}`,
    "Joint to text",
    "Depth, infrared and audio together: unit vectors summed, renormalised.",
  ),
  {
    ...recall(
      "joint-gain",
      "Joint less best single",
      "How much the joint embedding finds more captions than the best of its three sensors, in points.",
    ),
    label: "Gain of joining",
    unit: "points",
  },
  ...EMERGENT.map(([a, b]) =>
    recall(
      emergentId(a, b),
      `Emergent ${a} to ${b}`,
      `Share of ${a} samples whose event is among the ${RECALL_AT} nearest of ${b}; the two never met in training.`,
    ),
  ),
  ...WORLD_SENSORS.flatMap((sensor) =>
    VISIBLE[sensor]
      .filter((name) => !["audio-sound", "infrared-heat", "video-change"].includes(accuracyId(sensor, name)))
      .map((name) => accuracy(sensor, name)),
  ),
  ...WORLD_SENSORS.map((sensor) =>
    recall(
      textRecallId(sensor),
      `${SENSOR_LABELS[sensor]} to text`,
      `Share of samples whose caption is among the ${RECALL_AT} nearest by cosine.`,
    ),
  ),
  ...SENSORS.map((sensor) =>
    recall(
      pictureRecallId(sensor),
      `${SENSOR_LABELS[sensor]} to RGB`,
      `Share of samples whose colour picture is among the ${RECALL_AT} nearest by cosine.`,
    ),
  ),
  ...WORLD_SENSORS.map(
    (sensor): Metric => ({
      id: accuracyId(sensor, OWN_LABEL),
      label: `${SENSOR_LABELS[sensor]}: own labels`,
      unit: "%",
      better: "higher",
      digits: 1,
      optional: true,
      description: `Zero-shot accuracy of the classes of own data from ${SENSOR_LABELS[sensor].toLowerCase()}.`,
    }),
  ),
  {
    id: "trained-share",
    label: "Trained weights",
    unit: "%",
    better: "lower",
    digits: 1,
    optional: true,
    description: "Weights of one sensor's encoder that learn, in % of the untouched encoder's.",
  },
];
