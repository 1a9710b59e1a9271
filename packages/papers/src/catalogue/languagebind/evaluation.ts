import { normalizeRows, recallAtK } from "@concord/align";
import type { NDArray } from "@concord/tensor";
import type { ArmResult } from "../../harness/contract.ts";
import { WORLD_SENSORS, type WorldSensor } from "./attributes.ts";
import { SENSORS } from "./defaults.ts";
import { type Embedder, rowsOf, type Start } from "./embedder.ts";
import { emergentGallery, type Modality, pairFigures, recallFigure, zeroShotFigure } from "./figures.ts";
import { jointEmbedding } from "./joint-embedding.ts";
import {
  accuracyId,
  EMERGENT,
  emergentId,
  JOINED,
  pictureRecallId,
  RECALL_AT,
  textRecallId,
} from "./metrics.ts";
import type { ModalityEncoderParams } from "./modality-encoder.ts";
import type { Task } from "./task.ts";
import { zeroShotClassifier } from "./zero-shot-classifier.ts";

const PERCENT = 100;
/** Events on the embedding map, of every modality. */
const MAP_POINTS = 60;

export interface EvaluationRequest {
  readonly task: Task;
  readonly embedder: Embedder;
  readonly start: Start;
  /** The bound sensors' encoders, adapters merged. */
  readonly encoders: Readonly<Partial<Record<WorldSensor, ModalityEncoderParams>>>;
  readonly trainedShare?: number;
  readonly signal: AbortSignal;
}

/**
 * Recall in % of items of one modality among those of another: a hit is any item of the same owner. Queries whose owner
 * has no item there are left out; null when none is left.
 */
export async function recallBetween(queries: Modality, items: Modality): Promise<number | null> {
  const there = new Set(items.owners);
  const kept = Array.from(queries.owners.keys()).filter((i) => there.has(queries.owners[i] as number));
  if (kept.length === 0) return null;
  const owners = kept.map((i) => queries.owners[i] as number);
  const found = await recallAtK(rowsOf(queries.features, kept), items.features, owners, items.owners, [
    RECALL_AT,
  ]);
  return PERCENT * (found.get(RECALL_AT) as number);
}

async function embedAll({ task, embedder, start, encoders, signal }: EvaluationRequest) {
  const sensors: Partial<Record<WorldSensor, Modality>> = {};
  const texts: Partial<Record<WorldSensor, Modality>> = {};
  for (const name of WORLD_SENSORS) {
    const samples = task.evaluation[name];
    const encoder = name === "rgb" ? start.image : encoders[name];
    if (!samples || !encoder) continue;
    const { owners } = samples;
    sensors[name] = { name, owners, features: await embedder.samples(encoder, samples.inputs, signal) };
    texts[name] = {
      name: "text",
      owners,
      features: await embedder.texts(start.language, samples.captions, signal),
    };
  }
  return { sensors, texts };
}

/** Zero-shot accuracies in % of all classifications whose sensor is there. */
async function accuracies(
  { task, embedder, start, signal }: EvaluationRequest,
  sensors: Readonly<Partial<Record<WorldSensor, Modality>>>,
): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { sensor, name, labels, prompts } of task.classifications) {
    const modality = sensors[sensor];
    if (!modality) continue;
    const features = await embedder.texts(start.language, prompts.flat(), signal);
    const perClass = prompts[0]?.length ?? 0;
    const classifier = zeroShotClassifier({
      ...features,
      shape: [prompts.length, perClass, features.shape[1] as number],
    });
    const known = Array.from(labels.keys()).filter((i) => (labels[i] as number) >= 0);
    const top = await classifier.accuracy(
      rowsOf(modality.features, known),
      known.map((i) => labels[i] as number),
      [1],
    );
    found[accuracyId(sensor, name)] = PERCENT * (top.get(1) as number);
  }
  return found;
}

const present = <T>(entries: readonly (readonly [string, T | null])[]): Record<string, T> =>
  Object.fromEntries(entries.filter((entry): entry is readonly [string, T] => entry[1] !== null));

const average = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** All metrics of an arm's encoders on the evaluation samples, its figures, and points for the map. */
export async function evaluateEncoders(request: EvaluationRequest): Promise<ArmResult> {
  const { task, trainedShare } = request;
  const { sensors, texts } = await embedAll(request);
  const zeroShot = await accuracies(request, sensors);
  const toText: (readonly [string, number | null])[] = [];
  const toPicture: (readonly [string, number | null])[] = [];
  for (const name of WORLD_SENSORS) {
    const modality = sensors[name];
    if (modality) toText.push([textRecallId(name), await recallBetween(modality, texts[name] as Modality)]);
  }
  for (const name of SENSORS) {
    const modality = sensors[name];
    if (modality && sensors.rgb)
      toPicture.push([pictureRecallId(name), await recallBetween(modality, sensors.rgb)]);
  }
  const emergent: (readonly [string, number | null])[] = [];
  for (const [a, b] of EMERGENT) {
    const [from, to] = [sensors[a], sensors[b]];
    if (from && to) emergent.push([emergentId(a, b), await recallBetween(from, to)]);
  }
  const values = { ...zeroShot, ...present([...toText, ...toPicture, ...emergent]) };
  const joined = JOINED.flatMap((name) => sensors[name] ?? []);
  const pairs = joined.length === JOINED.length && areTheSameEvents(joined);
  const means = pairs ? await jointMetrics(joined, texts.depth as Modality, values) : {};
  const shown = [...(texts.rgb ? [texts.rgb] : []), ...WORLD_SENSORS.flatMap((name) => sensors[name] ?? [])];
  const map = areTheSameEvents(shown) ? mapPoints(shown, task) : {};
  return {
    metrics: {
      ...values,
      ...means,
      ...(trainedShare !== undefined && { "trained-share": trainedShare }),
    },
    ...map,
    figures: [
      await recallFigure(shown, recallBetween),
      ...(areTheSameEvents(shown) ? [pairFigures(shown)] : []),
      ...zeroShotFigure(zeroShot),
      ...emergentGallery(sensors, task),
    ],
  };
}

/** Whether row i of every modality belongs to the same event, another one in every row. */
function areTheSameEvents(modalities: readonly Modality[]): boolean {
  const [first, ...others] = modalities;
  if (!first || new Set(first.owners).size !== first.owners.length) return false;
  return others.every(
    ({ owners }) =>
      owners.length === first.owners.length && owners.every((owner, i) => owner === first.owners[i]),
  );
}

async function jointMetrics(
  joined: readonly Modality[],
  text: Modality,
  values: Readonly<Record<string, number>>,
): Promise<Record<string, number>> {
  const features = jointEmbedding(joined.map((modality) => modality.features));
  const joint = (await recallBetween({ ...text, features }, text)) as number;
  const singles = JOINED.map((name) => values[textRecallId(name)] as number);
  const pictures = JOINED.map((name) => values[pictureRecallId(name)] as number);
  return {
    [`text-r${RECALL_AT}`]: average(singles),
    [`rgb-r${RECALL_AT}`]: average(pictures),
    [`joint-text-r${RECALL_AT}`]: joint,
    "joint-gain": joint - Math.max(...singles),
  };
}

function mapPoints(
  shown: readonly Modality[],
  task: Task,
): Required<Pick<ArmResult, "embeddings" | "embeddingLabels">> {
  const count = Math.min(MAP_POINTS, shown[0]?.owners.length ?? 0);
  const rows = Array.from({ length: count }, (_, i) => i);
  const sets = shown.map(({ name, features }): [string, NDArray<"float32">] => [
    name,
    normalizeRows(rowsOf(features, rows)),
  ]);
  const captions = task.evaluation.rgb?.captions ?? [];
  return {
    embeddings: Object.fromEntries(sets),
    embeddingLabels: rows.map((i) => captions[i] as string),
  };
}
