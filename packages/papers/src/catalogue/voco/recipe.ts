import { foldIn, type NDArray, narrow, reshape } from "@concord/tensor";
import { defineRecipe, type RecipeContext, type RecipeTower } from "../../recipes/contract.ts";
import { type HeadParams, head, headInit } from "../../recipes/heads.ts";
import { dot, largest, standardised, unit } from "./crop-vectors.ts";
import type { CropAugmentation } from "./crops.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import { overlapCorrelation, vocoLoss } from "./objective.ts";
import { type VocoProjectorParams, vocoProjector, vocoProjectorInit } from "./projector.ts";
import { volumeViews } from "./views.ts";

const options = {
  grid: {
    type: "integer",
    default: PAPER_DEFAULTS.grid,
    minimum: 2,
    maximum: 8,
    description:
      "Base crops along each axis of the plane. Each is as large as the encoder's input, so a scan is prepared that many times as large.",
    source: "method figure; released code",
  },
  randomCrops: {
    type: "integer",
    default: PAPER_DEFAULTS.randomCrops,
    minimum: 1,
    maximum: 32,
    description: "Random crops of a scan in a step, beside its base crops.",
    source: "an independent implementation that quotes the original; 2 in the released code",
  },
  lambdaReg: {
    type: "number",
    default: PAPER_DEFAULTS.lambdaReg,
    minimum: 0,
    maximum: 100,
    description: "Weight of the regularisation that pushes base crops apart.",
    source: "equation 7",
  },
  projection: {
    type: "integer",
    default: 256,
    minimum: 8,
    maximum: 4096,
    description: "Width of the projector on top, which is used in training only.",
    source: "ours: the paper's 2048 belong to features of 1152 numbers",
  },
  flip: {
    type: "number",
    default: PAPER_DEFAULTS.flip,
    minimum: 0,
    maximum: 1,
    description:
      "Probability that a crop is mirrored, for each axis. 0 where left and right should be told apart.",
    source: "released code",
  },
  rotate: {
    type: "number",
    default: PAPER_DEFAULTS.rotate,
    minimum: 0,
    maximum: 1,
    description: "Probability that a crop is turned by quarters in the plane.",
    source: "released code",
  },
  shift: {
    type: "number",
    default: PAPER_DEFAULTS.shift,
    minimum: 0,
    maximum: 1,
    description: `Probability that a crop's brightness is shifted by up to ${PAPER_DEFAULTS.shiftBy}.`,
    source: "released code",
  },
} as const;

type Context = RecipeContext<typeof options>;

interface Params {
  /** On frozen features alone: what is exported. */
  readonly map?: HeadParams;
  /** Used in training only. */
  readonly projector: VocoProjectorParams;
}

/** Random crops of a scan when positions are measured. */
const MEASURED_CROPS = 16;
/** Other scans that the crops of a scan are looked for in. */
const MEASURED_SCANS = 16;

function augmentationOf({ options: { flip, rotate, shift } }: Context): CropAugmentation {
  return { flip, rotate, shift, shiftBy: PAPER_DEFAULTS.shiftBy, gain: 0, noise: 0 };
}

/** [N, V, E] as a list of rows for each item, all standardised together and of length 1. */
function unitRows({ shape, data }: NDArray<"float32">): Float64Array[][] {
  const [items, views, width] = shape as [number, number, number];
  const rows = Array.from({ length: items * views }, (_, i) =>
    Float64Array.from(data.subarray(i * width, (i + 1) * width)),
  );
  const units = standardised(rows).map(unit);
  return Array.from({ length: items }, (_, i) => units.slice(i * views, (i + 1) * views));
}

/**
 * Share of the random crops of each scan whose nearest base crop in ANOTHER scan lies where they overlap most, over up to
 * 16 other scans each.
 *
 * @param crops   [N, n + R, E]
 * @param labels  [N, R, n]
 */
function positionAcross(crops: NDArray<"float32">, labels: NDArray): Float64Array {
  const [items, R, n] = labels.shape as [number, number, number];
  const rows = unitRows(crops);
  const others = Math.min(items - 1, MEASURED_SCANS);
  return Float64Array.from({ length: items }, (_, a) => {
    let right = 0;
    for (let step = 1; step <= others; step++) {
      const bases = rows[(a + step) % items] as Float64Array[];
      for (let r = 0; r < R; r++) {
        const crop = rows[a]?.[n + r] as Float64Array;
        const nearest = largest(bases.slice(0, n).map((base) => dot(crop, base)));
        const overlaps = labels.data.subarray((a * R + r) * n, (a * R + r + 1) * n) as Float32Array;
        // Of equal overlaps each is right.
        if (overlaps[nearest] === overlaps[largest(overlaps)]) right++;
      }
    }
    return others === 0 ? 0 : right / (others * R);
  });
}

const training = {
  learningRate: 3e-3,
  batchSize: PAPER_DEFAULTS.batchSize,
  epochs: 10,
  minimumSteps: 300,
  warmup: 0.05,
  weightDecay: PAPER_DEFAULTS.weightDecay,
} as const;

export const recipe = defineRecipe<Params, Record<string, never>, typeof options>({
  slug: "voco",
  summary:
    "Teaches an encoder of volumes where in a scan a crop lies, by its overlap with a grid of base crops, without labels.",
  needs: { towers: "one", modalities: ["volume"], labels: "none", train: ["whole", "head"] },
  options,
  training: {
    whole: {
      ...training,
      source:
        "ours: half the rate of the experiment from random weights; the paper takes 1e-4 for 250,000 steps",
    },
    head: {
      ...training,
      source: "ours: a map on frozen features that starts at the identity",
    },
  },
  deviations: [
    "The scan is resized so that a cell of the grid is as large as the encoder's input; the paper resizes each crop.",
    "The form of the paper alone: the released code's losses need a momentum teacher of the crops.",
    "With --train head a linear map on the frozen vectors of crops is trained and exported; the paper trains the encoder.",
    "The projector goes; the vectors that come out are the encoder's. Whole scans are squeezed into the encoder's input for their own vectors.",
    "AdamW without AMSGrad.",
  ],
  check({ batchSize }) {
    if (batchSize < 2) throw new Error("voco: crops are standardised over a batch, of 2 scans at least");
  },
  init(key, context) {
    const { width } = context.towers[0] as RecipeTower;
    const { projection } = context.options;
    return {
      ...(context.train === "head" && { map: headInit(foldIn(key, 0), { inputs: width, outputs: width }) }),
      projector: vocoProjectorInit(foldIn(key, 1), {
        inputs: width,
        hidden: projection,
        outputs: projection,
      }),
    };
  },
  itemSize([x = 0, y = 0, z = 0], { options: { grid } }) {
    if (x !== y || x % 2 !== 0)
      throw new Error(
        `voco: crops are square in the plane and of an even number of voxels; this encoder takes ${x} × ${y} × ${z}`,
      );
    return [grid * x, grid * y, z];
  },
  views(item, key, context) {
    const { grid, randomCrops } = context.options;
    const { crops, labels } = volumeViews(item, key, {
      grid,
      randomCrops,
      augmentation: augmentationOf(context),
    });
    return { groups: { crops }, targets: { labels } };
  },
  embed(params, features) {
    return params.map ? head(params.map, features) : features;
  },
  loss(params, _state, batch, context) {
    const { crops } = batch.views;
    const { labels } = batch.targets;
    if (!crops || !labels) throw new Error("voco: needs views of the items");
    const [B, V, D] = crops.shape as [number, number, number];
    const [, R, n] = labels.shape as [number, number, number];
    const tower = context.towers[0] as RecipeTower;
    const embedded = this.embed(params, reshape(crops, [B * V, D]), tower, context);
    const projected = vocoProjector(params.projector, embedded);
    const byVolume = reshape(projected, [B, V, projected.shape[1] as number]);
    const { loss, prediction, regularisation, logits } = vocoLoss(
      { bases: narrow(byVolume, 1, 0, n), crops: narrow(byVolume, 1, n, R) },
      labels,
      { lambdaReg: context.options.lambdaReg },
    );
    return { loss, parts: { prediction, regularisation, correlation: overlapCorrelation(logits, labels) } };
  },
  measure: {
    metric: {
      id: "position",
      label: "Position across scans",
      better: "higher",
      description:
        "Share of random crops whose nearest base crop in another scan, by cosines of standardised vectors, lies where they overlap most.",
    },
    views(item, key, { options: { grid } }) {
      const { crops, labels } = volumeViews(item, key, {
        grid,
        randomCrops: MEASURED_CROPS,
        augmentation: null,
      });
      return { groups: { crops }, targets: { labels } };
    },
    of: ({ crops }, { labels }) => positionAcross(crops as NDArray<"float32">, labels as NDArray),
  },
});
