import { labelColumn, trainBpeTokenizer } from "@concord/data";
import { foldIn, type Key, type NDArray } from "@concord/tensor";
import type { UnitContext } from "../../harness/contract.ts";
import { TEMPLATES, type WorldSensor } from "./attributes.ts";
import type { LanguageBindConfig } from "./config.ts";
import type { Sensor } from "./defaults.ts";
import { rowsOf } from "./embedder.ts";
import { OWN_LABEL } from "./metrics.ts";
import type { OwnRun } from "./own-data.ts";
import { loadOwnSamples, type OwnSamples, splitRows } from "./own-samples.ts";
import {
  type Classification,
  type EvaluationSamples,
  longestText,
  type Task,
  type TrainingSamples,
} from "./task.ts";

const SPLIT_STREAM = 20;

/** What each sample belongs with, as numbers that all sensors share. */
function ownersOf(samples: OwnSamples, known: Map<string, number>): Int32Array {
  return Int32Array.from(samples.owners, (name) => {
    const owner = known.get(name) ?? known.size;
    known.set(name, owner);
    return owner;
  });
}

const picked = <T>(values: readonly T[], rows: readonly number[]): T[] => rows.map((i) => values[i] as T);

/** A zero-shot classification by the labels of the held-out samples; none where there are fewer than two classes. */
function classificationOf(sensor: WorldSensor, labels: readonly (string | undefined)[]): Classification[] {
  const { values, indices } = labelColumn(labels);
  if (values.length < 2) return [];
  return [
    {
      sensor,
      name: OWN_LABEL,
      labels: indices,
      classes: values,
      prompts: values.map((value) =>
        TEMPLATES[sensor].map((template) => template.replace("{}", () => value)),
      ),
    },
  ];
}

/** Loads, splits and tokenises the user's own samples. The tokenizer sees captions of training samples only. */
export async function loadOwnTask(context: UnitContext<LanguageBindConfig>, run: OwnRun): Promise<Task> {
  const { own } = run.config.data;
  const owners = new Map<string, number>();
  const training: Partial<Record<Sensor, TrainingSamples>> = {};
  const evaluation: Partial<Record<WorldSensor, EvaluationSamples>> = {};
  const classifications: Classification[] = [];
  const texts: string[] = [];
  let labelled = false;
  const taken = (samples: OwnSamples, name: WorldSensor, key: Key): TrainingSamples => {
    const { training: learn, evaluation: hold } = splitRows(key, samples.names, own.heldOut, name);
    const all = ownersOf(samples, owners);
    labelled ||= samples.labels.some((label) => label !== undefined);
    evaluation[name] = {
      inputs: rowsOf(samples.inputs, hold),
      captions: picked(samples.captions, hold),
      owners: Int32Array.from(hold, (i) => all[i] as number),
    };
    const classified = classificationOf(name, picked(samples.labels, hold));
    if (classified.length === 0 && samples.labels.some((label) => label !== undefined))
      context.note(
        `${name}: held-out samples are of one class, so there is no zero-shot accuracy.`,
        "warning",
      );
    classifications.push(...classified);
    const captions = picked(samples.captions, learn);
    texts.push(...captions);
    context.note(`${name}: ${learn.length} samples to train on, ${hold.length} held out.`);
    const pictures: NDArray<"float32"> | null = samples.pictures && rowsOf(samples.pictures, learn);
    return { inputs: rowsOf(samples.inputs, learn), captions, pictures };
  };
  const split = (stream: number): Key => foldIn(foldIn(context.key, SPLIT_STREAM), stream);
  const pictures = taken(await loadOwnSamples(context, run, "image", run.pairs), "rgb", split(0));
  let stream = 1;
  for (const [sensor, files] of Object.entries(run.sensors) as [
    Sensor,
    NonNullable<OwnRun["sensors"][Sensor]>,
  ][])
    training[sensor] = taken(await loadOwnSamples(context, run, sensor, files), sensor, split(stream++));
  if (run.labelColumn !== undefined && !labelled)
    throw new Error(`--label-column: no file has a value in a column "${run.labelColumn}".`);
  const tokenizer = trainBpeTokenizer(texts, {
    maxVocabulary: own.vocabulary,
    // A bag of words has no use for the marks of begin and end.
    boundaries: run.config.text.kind === "transformer",
  });
  return {
    pictures,
    training,
    evaluation,
    classifications,
    tokenizer,
    context: Math.min(own.context, longestText(tokenizer, texts)),
  };
}
