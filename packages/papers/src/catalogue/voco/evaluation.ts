import { foldIn, type NDArray } from "@concord/tensor";
import type { ArmResult, EmbeddingSets, Metric, UnitContext } from "../../harness/contract.ts";
import { armFigures } from "./arm-figures.ts";
import type { VocoConfig } from "./config.ts";
import { createSegmenter } from "./fine-tuning.ts";
import type { SegmenterParams } from "./network.ts";
import {
  type EmbeddedVolume,
  embedVolumes,
  placeCrops,
  positionMetrics,
  regionProbe,
} from "./position-evaluation.ts";
import type { PretrainedParams } from "./pretraining.ts";
import { segmentationMetrics, segmentVolumes } from "./segmentation-evaluation.ts";
import type { Task } from "./task.ts";

const PERCENT = 100;
/** Test volumes whose base crops are on the map. */
const MAP_VOLUMES = 10;
const CROPS_STREAM = 40;

export const metrics: readonly Metric[] = [
  {
    id: "dice",
    label: "Few-shot Dice",
    unit: "%",
    better: "higher",
    digits: 1,
    optional: true,
    description:
      "Mean Dice over the organs, each averaged over the test volumes, after fine-tuning on the few labelled ones.",
  },
  {
    id: "dice-alike",
    label: "Dice, organs that look alike",
    unit: "%",
    better: "higher",
    digits: 1,
    optional: true,
    description: "The same over the four organs of the phantom that have one brightness.",
  },
  {
    id: "mistaken",
    label: "Taken for one another",
    unit: "%",
    better: "lower",
    digits: 1,
    optional: true,
    description: "Share of the voxels of those four organs that are labelled as another one of the four.",
  },
  {
    id: "position-accuracy",
    label: "Position across patients",
    unit: "%",
    better: "higher",
    digits: 1,
    description:
      "Share of random crops whose most similar base crop, among those of ANOTHER test volume, lies where they overlap most. Chance is 1 in 16 for a 4 × 4 grid.",
  },
  {
    id: "position-correlation",
    label: "Overlap correlation",
    better: "higher",
    digits: 2,
    description:
      "Pearson's correlation of max(0, cosine) and true overlap, over random crops and base crops of different test volumes.",
  },
  {
    id: "position-within",
    label: "Position within a patient",
    unit: "%",
    better: "higher",
    digits: 1,
    description:
      "As position across patients, but against the same volume's base crops, with which crops share voxels.",
  },
  {
    id: "region-probe",
    label: "Region probe",
    unit: "%",
    better: "higher",
    digits: 1,
    description:
      "Accuracy of a linear map of the encoder's pooled features to the region of the grid, fitted on one half of the test volumes and tested on the other.",
  },
  {
    id: "base-similarity",
    label: "Base crops alike",
    better: "lower",
    digits: 3,
    description:
      "Mean |cosine| of the embeddings of two base crops of one volume; 1 when all have collapsed.",
  },
];

/** Base crops of a few test volumes, by row of the grid. */
function embeddingMap(
  volumes: readonly EmbeddedVolume[],
  grid: number,
): Pick<ArmResult, "embeddings" | "embeddingLabels"> {
  const shown = volumes.slice(0, MAP_VOLUMES);
  const width = shown[0]?.features[0]?.length ?? 0;
  const sets: Record<string, NDArray<"float32">> = {};
  for (let row = 0; row < grid; row++) {
    const points = shown.flatMap(({ features }) => features.slice(row * grid, (row + 1) * grid));
    const data = new Float32Array(points.length * width);
    points.forEach((point, i) => {
      const length = Math.hypot(...point) || 1;
      data.set(
        point.map((value) => value / length),
        i * width,
      );
    });
    sets[`row-${row + 1}`] = { dtype: "float32", shape: [points.length, width], data };
  }
  return {
    embeddings: sets satisfies EmbeddingSets,
    embeddingLabels: shown.flatMap(({ volume }) =>
      Array.from({ length: grid }, (_, column) => `${volume.name}, column ${column + 1}`),
    ),
  };
}

/**
 * Everything that is measured of an arm.
 *
 * @param finetuned  null when there are no labels
 */
export async function evaluateArm(
  context: UnitContext<unknown>,
  task: Task,
  config: VocoConfig,
  pretrained: PretrainedParams,
  finetuned: SegmenterParams | null,
): Promise<ArmResult> {
  const { geometry, network } = config;
  const { signal } = context;
  const key = foldIn(context.key, CROPS_STREAM);
  const volumes = await embedVolumes(pretrained, task.test, geometry, network, key, signal);
  const placed = placeCrops(volumes);
  const position = positionMetrics(volumes, placed);
  const segmenter = createSegmenter(geometry, network, config.fineTuning.overlap);
  const segmented = finetuned ? await segmentVolumes(task, finetuned, segmenter, signal) : [];
  await segmenter.close();
  const overlap = segmented.length > 0 ? segmentationMetrics(segmented, task) : null;
  return {
    metrics: {
      ...(overlap && { dice: PERCENT * overlap.dice }),
      ...(overlap?.alike != null && { "dice-alike": PERCENT * overlap.alike }),
      ...(overlap?.mistaken != null && { mistaken: PERCENT * overlap.mistaken }),
      "position-accuracy": PERCENT * position.acrossAccuracy,
      "position-correlation": position.acrossCorrelation,
      "position-within": PERCENT * position.withinAccuracy,
      "region-probe": PERCENT * regionProbe(volumes),
      "base-similarity": position.baseSimilarity,
    },
    ...embeddingMap(volumes, geometry.grid),
    figures: armFigures(task, geometry, volumes, placed, segmented),
  };
}
