import { type TextTokenizer, trainWordTokenizer } from "@concord/data";
import { foldIn, type Key, type NDArray } from "@concord/tensor";
import { type Attribute, promptsOf, VISIBLE, WORLD_SENSORS, type WorldSensor } from "./attributes.ts";
import type { DataConfig } from "./config.ts";
import { SENSORS, type Sensor } from "./defaults.ts";
import { type EventSet, eventSet } from "./events.ts";

/** Samples of one sensor as its encoder takes them, each with a text. */
export interface SensorSamples {
  /** [n, 3, H, W], of video [n, T, 3, H, W] */
  readonly inputs: NDArray<"float32">;
  readonly captions: readonly string[];
}

/** Samples to train on; `pictures` are the colour pictures of the same events, where there are any. */
export interface TrainingSamples extends SensorSamples {
  readonly pictures: NDArray<"float32"> | null;
}

/** Samples to evaluate; equal owners, also across sensors, belong together. */
export interface EvaluationSamples extends SensorSamples {
  readonly owners: Int32Array;
}

export interface Classification {
  readonly sensor: WorldSensor;
  /** What is told apart, e.g. "heat". */
  readonly name: string;
  /** Class of each evaluation sample. */
  readonly labels: Int32Array;
  readonly classes: readonly string[];
  /** [C][P], as many prompts for each class */
  readonly prompts: readonly (readonly string[])[];
}

/** Everything that training and evaluation need to know of the data. */
export interface Task {
  /** Captioned pictures of stage A. */
  readonly pictures: SensorSamples;
  readonly training: Readonly<Partial<Record<Sensor, TrainingSamples>>>;
  readonly evaluation: Readonly<Partial<Record<WorldSensor, EvaluationSamples>>>;
  readonly classifications: readonly Classification[];
  readonly tokenizer: TextTokenizer;
  /** Tokens per text. */
  readonly context: number;
}

const streams = { pictures: 0, events: 1, evaluation: 2 } as const;

function samplesOf(set: EventSet, sensor: WorldSensor): SensorSamples {
  return { inputs: set.sensors[sensor] as NDArray<"float32">, captions: set.captions };
}

/** Zero-shot classifications of what each sensor can show. */
function classificationsOf(set: EventSet): Classification[] {
  return WORLD_SENSORS.filter((sensor) => set.sensors[sensor]).flatMap((sensor) =>
    VISIBLE[sensor].map((name: Attribute): Classification => {
      const prompts = promptsOf(name, sensor);
      return {
        sensor,
        name,
        labels: set.attributes[name],
        classes: prompts.map((_, c) => `${name} ${c}`),
        prompts,
      };
    }),
  );
}

/** Most tokens of any text. */
export function longestText(tokenizer: TextTokenizer, texts: Iterable<string>): number {
  let longest = 1;
  for (const text of texts) longest = Math.max(longest, tokenizer.encode(text).length);
  return longest;
}

/**
 * The generated world: stage A sees captioned colour pictures, stage B other events through every sensor, evaluation
 * yet others.
 */
export function generatedTask(key: Key, counts: NonNullable<DataConfig["generated"]>, frames: number): Task {
  const set = (stream: keyof typeof streams, count: number, sensors: readonly WorldSensor[]): EventSet =>
    eventSet(foldIn(key, streams[stream]), count, sensors, { tie: counts.tie, frames });
  const pictures = set("pictures", counts.pictures, ["rgb"]);
  const events = set("events", counts.events, WORLD_SENSORS);
  const evaluation = set("evaluation", counts.evaluation, WORLD_SENSORS);
  const tokenizer = trainWordTokenizer([...pictures.captions, ...events.captions]);
  const classifications = classificationsOf(evaluation);
  return {
    pictures: samplesOf(pictures, "rgb"),
    training: trainingOf(events, SENSORS),
    evaluation: evaluationOf(evaluation),
    classifications,
    tokenizer,
    context: longestText(tokenizer, [
      ...pictures.captions,
      ...events.captions,
      ...evaluation.captions,
      ...classifications.flatMap(({ prompts }) => prompts.flat()),
    ]),
  };
}

/**
 * The world in which the colour decides the sound, heard by audio alone: the same events, with other sounds and with
 * captions that name them. Pictures show no sound, so they are the given task's.
 */
export function tiedTask(key: Key, task: Task, counts: NonNullable<DataConfig["generated"]>): Task {
  const set = (stream: keyof typeof streams, count: number, rgb: SensorSamples["inputs"]): EventSet => {
    const sensors = stream === "pictures" ? [] : (["audio"] as const);
    const heard = eventSet(foldIn(key, streams[stream]), count, sensors, { tie: 1, follows: "colour" });
    return { ...heard, sensors: { ...heard.sensors, rgb } };
  };
  const pictures = set("pictures", counts.pictures, task.pictures.inputs);
  const events = set("events", counts.events, task.training.audio?.pictures as SensorSamples["inputs"]);
  const evaluation = set(
    "evaluation",
    counts.evaluation,
    task.evaluation.rgb?.inputs as SensorSamples["inputs"],
  );
  return {
    ...task,
    pictures: samplesOf(pictures, "rgb"),
    training: trainingOf(events, ["audio"]),
    evaluation: evaluationOf(evaluation),
    classifications: classificationsOf(evaluation),
  };
}

function trainingOf(set: EventSet, sensors: readonly Sensor[]): Task["training"] {
  const pictures = set.sensors.rgb ?? null;
  return Object.fromEntries(sensors.map((sensor) => [sensor, { ...samplesOf(set, sensor), pictures }]));
}

function evaluationOf(set: EventSet): Task["evaluation"] {
  const owners = Int32Array.from({ length: set.count }, (_, i) => i);
  return Object.fromEntries(
    WORLD_SENSORS.filter((sensor) => set.sensors[sensor]).map((sensor) => [
      sensor,
      { ...samplesOf(set, sensor), owners },
    ]),
  );
}
