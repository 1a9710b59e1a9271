import {
  alignmentMetrics,
  classVectors,
  covarianceSpectrum,
  normalizeRows,
  retrievalRecall,
  zeroShotAccuracy,
} from "@concord/align";
import { attributeNames } from "@concord/data";
import type { NDArray } from "@concord/tensor";
import type { ArmResult, Metric } from "../../harness/contract.ts";
import type { DualEncoderParams } from "./dual-encoder.ts";
import type { Embedder } from "./embedder.ts";
import type { Classification, Task } from "./task.ts";

const RECALL_AT = [1, 5, 10] as const;
const PERCENT = 100;
/** The paper prints the gap in thousandths. */
const GAP_UNIT = 1000;
/** Points per modality on the embedding map. */
const MAP_POINTS = 200;

function accuracyMetric(id: string, label: string, description: string): Metric {
  return { id, label, unit: "%", better: "higher", digits: 1, optional: true, description };
}

const recallMetrics = RECALL_AT.flatMap((k): Metric[] => [
  {
    id: `t2i-r${k}`,
    label: `Text to image R@${k}`,
    unit: "%",
    better: "higher",
    digits: 1,
    description: `Share of captions whose image is among the ${k} nearest evaluation images by cosine.`,
  },
  {
    id: `i2t-r${k}`,
    label: `Image to text R@${k}`,
    unit: "%",
    better: "higher",
    digits: 1,
    description: `Share of evaluation images with one of their captions among the ${k} nearest by cosine.`,
  },
]);

export const metrics: readonly Metric[] = [
  accuracyMetric(
    "accuracy",
    "Zero-shot accuracy",
    "Top-1 accuracy with the prompt 'a photo of {class}', averaged over the classifications.",
  ),
  accuracyMetric(
    "accuracy-new",
    "Zero-shot, new knowledge",
    "The same over shape, colour and background only, which the captions of stage B name.",
  ),
  accuracyMetric(
    "accuracy-old",
    "Zero-shot, old knowledge",
    "The same over quadrant and size only, which the captions of stage B never name.",
  ),
  ...recallMetrics,
  {
    id: "gap-l2",
    label: "Modality gap",
    better: "lower",
    digits: 3,
    description: "Distance of the centroids of image and text features on the unit sphere.",
  },
  {
    id: "gap-mse",
    label: "Modality gap, per dimension",
    unit: "× 0.001",
    better: "lower",
    digits: 2,
    description: "Squared difference of the centroids, averaged over dimensions, as the paper prints it.",
  },
  {
    id: "alignment",
    label: "Alignment",
    better: "lower",
    digits: 3,
    description: "Mean squared distance of the pairs on the unit sphere.",
  },
  {
    id: "uniformity",
    label: "Uniformity",
    better: "lower",
    digits: 4,
    description:
      "Mean of exp(-2 d²) over all pairs of features of both modalities together, without logarithm, as the paper prints it.",
  },
  {
    id: "effective-rank",
    label: "Effective rank",
    better: "neither",
    digits: 1,
    description:
      "exp of the entropy of the covariance's spectrum, over normalised features of both modalities.",
  },
  ...attributeNames.map((name) =>
    accuracyMetric(`accuracy-${name}`, `Zero-shot, ${name}`, `Top-1 accuracy of the attribute ${name}.`),
  ),
];

/** Some rows of a matrix. */
function takeRows(rows: NDArray<"float32">, indices: readonly number[]): NDArray<"float32"> {
  const width = rows.shape[1] as number;
  const data = new Float32Array(indices.length * width);
  indices.forEach((index, i) => {
    data.set(rows.data.subarray(index * width, (index + 1) * width), i * width);
  });
  return { dtype: "float32", shape: [indices.length, width], data };
}

function concatRows(a: NDArray<"float32">, b: NDArray<"float32">): NDArray<"float32"> {
  const data = new Float32Array(a.data.length + b.data.length);
  data.set(a.data);
  data.set(b.data, a.data.length);
  return {
    dtype: "float32",
    shape: [(a.shape[0] as number) + (b.shape[0] as number), a.shape[1] as number],
    data,
  };
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Top-1 accuracy in % of one classification, over the images whose class is known. */
async function accuracyOf(
  classification: Classification,
  images: NDArray<"float32">,
  prompts: NDArray<"float32">,
): Promise<number> {
  const owners = classification.prompts.flatMap((list, c) => list.map(() => c));
  const classes = classVectors(prompts, owners, classification.prompts.length);
  const known = Array.from(classification.labels.keys()).filter(
    (i) => (classification.labels[i] as number) >= 0,
  );
  const labels = known.map((i) => classification.labels[i] as number);
  return PERCENT * (await zeroShotAccuracy(takeRows(images, known), classes, labels)).top1;
}

async function zeroShotMetrics(
  task: Task,
  embedder: Embedder,
  params: DualEncoderParams,
  images: NDArray<"float32">,
): Promise<Record<string, number>> {
  const { classifications } = task;
  if (classifications.length === 0) return {};
  const features = await embedder.texts(
    params,
    classifications.flatMap(({ prompts }) => prompts.flat()),
  );
  const accuracies: number[] = [];
  let start = 0;
  for (const classification of classifications) {
    const count = classification.prompts.flat().length;
    const own = takeRows(
      features,
      Array.from({ length: count }, (_, i) => start + i),
    );
    accuracies.push(await accuracyOf(classification, images, own));
    start += count;
  }
  const of = (knowledge: Classification["knowledge"]): number[] =>
    accuracies.filter((_, i) => classifications[i]?.knowledge === knowledge);
  const isGenerated = of("old").length > 0;
  return {
    accuracy: average(accuracies),
    ...(isGenerated && {
      "accuracy-new": average(of("new")),
      "accuracy-old": average(of("old")),
      ...Object.fromEntries(
        classifications.map(({ name }, i) => [`accuracy-${name}`, accuracies[i] as number]),
      ),
    }),
  };
}

/** All metrics of a dual encoder on the evaluation images, and the features for the map. */
export async function evaluateEncoder(
  task: Task,
  embedder: Embedder,
  params: DualEncoderParams,
  signal: AbortSignal,
): Promise<ArmResult> {
  const { evaluation } = task;
  const images = await embedder.images(params, evaluation, signal);
  const texts = await embedder.texts(params, evaluation.captions.flat(), signal);
  const owners = evaluation.captions.flatMap((list, i) => list.map(() => i));
  let next = 0;
  const firstCaptions = takeRows(
    texts,
    evaluation.captions.map((list) => {
      next += list.length;
      return next - list.length;
    }),
  );
  const recall = await retrievalRecall(images, texts, owners, RECALL_AT);
  const geometry = await alignmentMetrics(images, firstCaptions);
  const shown = Array.from({ length: Math.min(MAP_POINTS, evaluation.count) }, (_, i) => i);
  const [shownImages, shownTexts] = [
    normalizeRows(takeRows(images, shown)),
    normalizeRows(takeRows(firstCaptions, shown)),
  ];
  return {
    metrics: {
      ...(await zeroShotMetrics(task, embedder, params, images)),
      ...Object.fromEntries(
        RECALL_AT.flatMap((k) => [
          [`t2i-r${k}`, PERCENT * (recall.textToImage.get(k) as number)],
          [`i2t-r${k}`, PERCENT * (recall.imageToText.get(k) as number)],
        ]),
      ),
      "gap-l2": geometry.modalityGap.l2,
      "gap-mse": GAP_UNIT * geometry.modalityGap.mse,
      alignment: geometry.alignment,
      uniformity: geometry.uniformity.potential,
      "effective-rank": covarianceSpectrum(concatRows(normalizeRows(images), normalizeRows(firstCaptions)))
        .effectiveRank,
    },
    embeddings: { image: shownImages, text: shownTexts },
    embeddingLabels: shown.map((i) => evaluation.captions[i]?.[0] as string),
  };
}
