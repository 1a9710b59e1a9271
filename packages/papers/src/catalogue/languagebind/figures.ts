import { normalizeRows } from "@concord/align";
import { clipStatistics } from "@concord/data";
import type { NDArray } from "@concord/tensor";
import type {
  BarsFigure,
  Figure,
  FigurePicture,
  GalleryFigure,
  MatrixFigure,
} from "../../harness/figures.ts";
import type { WorldSensor } from "./attributes.ts";
import { RECALL_AT, SENSOR_LABELS } from "./metrics.ts";
import type { Task } from "./task.ts";

/** Features of one modality and what each row belongs to. */
export interface Modality {
  readonly name: WorldSensor | "text";
  /** [N, D] */
  readonly features: NDArray<"float32">;
  readonly owners: Int32Array;
}

const labelsOf = (modalities: readonly Modality[]): string[] =>
  modalities.map(({ name }) => SENSOR_LABELS[name]);

/** Upper end of the recalls' shades in %: the best of them are far below 100. */
const RECALL_RANGE = 40;
const QUERIES = 6;
const NEIGHBOURS = 5;

/** Recall between all modalities, those included that never met in training. */
export async function recallFigure(
  modalities: readonly Modality[],
  recall: (queries: Modality, items: Modality) => Promise<number | null>,
): Promise<MatrixFigure> {
  const values: (number | null)[][] = [];
  for (const queries of modalities) {
    const row: (number | null)[] = [];
    for (const items of modalities) row.push(queries === items ? null : await recall(queries, items));
    values.push(row);
  }
  return {
    kind: "matrix",
    id: "recall-between-modalities",
    title: "Retrieval between all modalities",
    caption: `Share of rows whose own event is among the ${RECALL_AT} nearest of the column. Sensors are trained with one frozen partner only; every other pair is emergent.`,
    rows: labelsOf(modalities),
    columns: labelsOf(modalities),
    values,
    range: [0, RECALL_RANGE],
    label: `R@${RECALL_AT}, %`,
    digits: 1,
  };
}

/** Mean cosine of pairs of one event less that of pairs of different events, between all modalities. */
export function pairFigures(modalities: readonly Modality[]): MatrixFigure {
  const units = modalities.map(({ features }) => normalizeRows(features));
  return {
    kind: "matrix",
    id: "similarity-between-modalities",
    title: "Similarity between all modalities",
    caption:
      "Mean cosine of two modalities of the same event, less that of different events. Within a modality nothing is compared.",
    rows: labelsOf(modalities),
    columns: labelsOf(modalities),
    values: units.map((a, i) => units.map((b, j) => (i === j ? null : contrastOf(a, b)))),
    range: [0, 0.6],
    label: "cosine of pairs less that of others",
    digits: 2,
  };
}

/** mean_i a_i·b_i - mean_{i≠j} a_i·b_j, by way of the sums of the rows. */
function contrastOf(a: NDArray<"float32">, b: NDArray<"float32">): number {
  const [N, D] = a.shape as [number, number];
  const sums = [new Float64Array(D), new Float64Array(D)] as const;
  let own = 0;
  for (let k = 0; k < N * D; k++) {
    const [x, y] = [a.data[k] as number, b.data[k] as number];
    own += x * y;
    sums[0][k % D] = (sums[0][k % D] as number) + x;
    sums[1][k % D] = (sums[1][k % D] as number) + y;
  }
  const all = sums[0].reduce((total, x, k) => total + x * (sums[1][k] as number), 0);
  return N > 1 ? own / N - (all - own) / (N * (N - 1)) : own;
}

/** Zero-shot accuracies side by side; nothing when there is no classification. */
export function zeroShotFigure(accuracies: Readonly<Record<string, number>>): BarsFigure[] {
  const names = Object.keys(accuracies);
  if (names.length === 0) return [];
  return [
    {
      kind: "bars",
      id: "zero-shot",
      title: "What each sensor tells, zero-shot",
      caption: "Accuracy of each attribute that a sensor shows, with prompts worded for the sensor.",
      categories: names.map((name) => name.replace("-", ": ")),
      y: { label: "accuracy, %", range: [0, 100] },
      series: [{ label: "", values: Object.values(accuracies) }],
    },
  ];
}

/** Depth maps with the infrared pictures that lie nearest, though the two never met in training. */
export function emergentGallery(
  sensors: Readonly<Partial<Record<WorldSensor, Modality>>>,
  { evaluation }: Task,
): Figure[] {
  const { depth, infrared } = sensors;
  const [maps, pictures] = [evaluation.depth?.inputs, evaluation.infrared?.inputs];
  if (!depth || !infrared || !maps || !pictures) return [];
  const [from, to] = [normalizeRows(depth.features), normalizeRows(infrared.features)];
  const D = from.shape[1] as number;
  const rows = Array.from({ length: Math.min(QUERIES, from.shape[0] as number) }, (_, i) => {
    const scores = Array.from({ length: to.shape[0] as number }, (_unused, j) => {
      let dot = 0;
      for (let k = 0; k < D; k++) dot += (from.data[i * D + k] as number) * (to.data[j * D + k] as number);
      return { j, dot };
    });
    const nearest = scores.sort((a, b) => b.dot - a.dot).slice(0, NEIGHBOURS);
    return {
      label: evaluation.depth?.captions[i] as string,
      items: [
        { picture: pictureOf(maps, i), caption: "depth" },
        ...nearest.map(({ j, dot }) => ({
          picture: pictureOf(pictures, j),
          caption: `${infrared.owners[j] === depth.owners[i] ? "same event" : (evaluation.infrared?.captions[j] as string)}, ${dot.toFixed(2)}`,
        })),
      ],
    };
  });
  const gallery: GalleryFigure = {
    kind: "gallery",
    id: "depth-to-infrared",
    title: "From depth to infrared, without having met",
    caption:
      "A depth map and the infrared pictures nearest to it; both were bound to their frozen partner only.",
    rows,
  };
  return [gallery];
}

/** The first channel of a sample as a grey picture, CLIP's standardisation undone. */
function pictureOf(inputs: NDArray<"float32">, index: number): FigurePicture {
  const [, channels, height, width] = inputs.shape as [number, number, number, number];
  const plane = height * width;
  const start = index * channels * plane;
  const [mean, deviation] = [clipStatistics.mean[0], clipStatistics.deviation[0]];
  const data = Uint8Array.from(inputs.data.subarray(start, start + plane), (value) =>
    Math.round(255 * Math.min(1, Math.max(0, value * deviation + mean))),
  );
  return { width, height, channels: 1, data };
}
