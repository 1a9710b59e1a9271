import { foldIn } from "@concord/tensor";
import type {
  ArmResult,
  Claim,
  Experiment,
  Preset,
  PresetName,
  UnitContext,
} from "../../harness/contract.ts";
import { armById, arms, hasPrototypes, type Training } from "./arms.ts";
import { cropsOf, defaultConfig, paperConfig, type SwavConfig, smokeConfig } from "./config.ts";
import {
  accuracies,
  clusterMetrics,
  createEmbedder,
  type Embedder,
  mapPoints,
  metrics,
  pixelFeatures,
} from "./evaluation.ts";
import { prototypeFigures } from "./figures.ts";
import { paperStatistics } from "./multi-crop.ts";
import { type Network, type SwavParams, type SwavStatistics, swavNetwork } from "./network.ts";
import { inputs, loadOwnSets, type OwnSets, ownConfig, ownRun, validateOwnRun } from "./own-data.ts";
import { type LabelledImages, shapesWorld } from "./shapes-world.ts";
import { trainEncoder } from "./training.ts";

const README = "README of the official code";

const claims: readonly Claim[] = [
  {
    id: "learns-features",
    statement: "A linear probe on SwAV's features beats one on a random encoder's by at least 15 points.",
    metric: "probe",
    arm: "swav",
    against: "random",
    change: "absolute",
    direction: "higher",
    margin: 15,
    source: "the method's purpose; margin of the specification of this small experiment",
  },
  {
    id: "beats-pixels",
    statement: "A linear probe on SwAV's features beats one on pixels.",
    metric: "probe",
    arm: "swav",
    against: "pixels",
    change: "absolute",
    direction: "higher",
    margin: 0,
    source: "as above",
  },
  {
    id: "neighbours-improve",
    statement:
      "Nearest neighbours by SwAV's features are of the same class more often than by a random encoder's, by at least 10 points.",
    metric: "knn",
    arm: "swav",
    against: "random",
    change: "absolute",
    direction: "higher",
    margin: 10,
    source: "the method's purpose",
  },
  {
    id: "beats-simclr",
    statement: "SwAV's features are better for a linear probe than SimCLR's after as many steps.",
    metric: "probe",
    arm: "swav",
    against: "simclr",
    change: "absolute",
    direction: "higher",
    margin: 0,
    source: "batch 256, 200 epochs: 72.7 (README) against 61.9 (from memory)",
  },
  {
    id: "multi-crop-helps",
    statement: "Small crops beside the two full ones improve the linear probe.",
    metric: "probe",
    arm: "swav",
    against: "two-crops",
    change: "absolute",
    direction: "higher",
    margin: 0,
    source: `${README}: 74.6 against 70.1`,
  },
  {
    id: "fixed-prototypes-suffice",
    statement: "Prototypes that are never trained cost at most 3 points of the linear probe.",
    metric: "probe",
    arm: "fixed-prototypes",
    against: "swav",
    change: "absolute",
    direction: "higher",
    margin: -3,
    source: "73.1 against 73.9 (from memory)",
  },
  {
    id: "balance-prevents-collapse",
    statement: "Without Sinkhorn at least 70 of 100 prototypes less are used: images share a few.",
    metric: "prototypes-used",
    arm: "no-sinkhorn",
    against: "swav",
    change: "absolute",
    direction: "lower",
    margin: 70,
    source: "the paper's reason for balanced codes (section 3.1)",
  },
  {
    id: "balance-teaches",
    statement: "Without Sinkhorn the linear probe is at least 5 points worse.",
    metric: "probe",
    arm: "swav",
    against: "no-sinkhorn",
    change: "absolute",
    direction: "higher",
    margin: 5,
    source: "as above",
  },
  {
    id: "swap-teaches",
    statement:
      "Predicting one's own code instead of another crop's makes the linear probe at least 5 points worse.",
    metric: "probe",
    arm: "swav",
    against: "no-swap",
    change: "absolute",
    direction: "higher",
    margin: 5,
    source: "the idea of swapped prediction (section 3)",
  },
];

/** Independent uses of a seed's key; crops have one of their own in training.ts. */
const streams = { world: 0, start: 1, split: 3 } as const;
/** Forward passes after which running statistics are those of the images. */
const CALIBRATION_PASSES = 40;

/** What the arms of a seed have in common. */
export interface Prepared extends OwnSets {
  /** The preset's, with what own images change. */
  readonly config: SwavConfig;
  readonly network: Network;
  readonly start: { readonly params: SwavParams; readonly statistics: SwavStatistics };
  readonly embedder: Embedder;
}

function generatedSets({ config, key: seedKey, progress }: UnitContext<SwavConfig>): OwnSets {
  const { generated } = config.data;
  if (!generated) throw new Error("This preset trains on your own images: give --images.");
  const key = foldIn(seedKey, streams.world);
  const steps = generated.training + generated.probe + generated.test;
  let step = 0;
  const set = (stream: number, count: number): LabelledImages => {
    progress({ phase: "drawing pictures", step, steps });
    step += count;
    return shapesWorld(foldIn(key, stream), count, generated);
  };
  return {
    training: set(0, generated.training),
    probe: set(1, generated.probe),
    test: set(2, generated.test),
  };
}

async function prepare(context: UnitContext<SwavConfig>): Promise<Prepared> {
  const own = ownRun(context.config, context.inputs);
  const sets = own
    ? await loadOwnSets(context, own, foldIn(context.key, streams.split))
    : generatedSets(context);
  const config = own ? ownConfig(context.config, own, sets.training.count) : context.config;
  const network = swavNetwork(config.network);
  const { groups, statistics = paperStatistics } = cropsOf(config, sets.training.size, "multi");
  const embedder = createEmbedder(network, {
    side: groups[0]?.size ?? sets.training.size,
    prototypes: config.network.prototypes,
    statistics,
  });
  return { ...sets, config, network, start: network.init(foldIn(context.key, streams.start)), embedder };
}

async function evaluateArm(
  id: string,
  encoder: { readonly params: SwavParams; readonly statistics: SwavStatistics },
  curve: readonly (readonly [number, number])[],
  { embedder, probe, test }: Prepared,
  context: UnitContext<SwavConfig>,
): Promise<ArmResult> {
  const { params, statistics } = encoder;
  const known = await embedder.embed(params, statistics, probe, context.signal);
  const asked = await embedder.embed(params, statistics, test, context.signal);
  const scores = await accuracies(
    { features: known.features, images: probe },
    { features: asked.features, images: test },
  );
  const clustered = hasPrototypes(armById(id));
  return {
    metrics: { ...scores, ...(clustered && clusterMetrics(asked, test)) },
    embeddings: mapPoints(asked, test),
    ...(clustered && { figures: prototypeFigures(asked, test, curve) }),
  };
}

async function runTraining(
  id: string,
  training: Training,
  shared: Prepared,
  context: UnitContext<SwavConfig>,
): Promise<ArmResult> {
  const { config } = shared;
  const crops = cropsOf(config, shared.training.size, training.crops);
  const { network, start, training: images } = shared;
  const trained = await trainEncoder(context, { network, start, training, images, crops, config });
  return evaluateArm(id, trained, trained.curve, shared, context);
}

const presets: Readonly<Record<PresetName, Preset<SwavConfig>>> = {
  smoke: {
    config: smokeConfig,
    seeds: 2,
    description: "2 seeds, 8 arms, about 7 seconds on 2 cores; checks that everything runs",
  },
  default: {
    config: defaultConfig,
    seeds: 3,
    description: "3 seeds, 8 arms, about 5 minutes on 2 cores",
  },
  paper: {
    config: paperConfig,
    seeds: 1,
    description:
      "ResNet-50, 2 × 224 + 6 × 96 pixels, batch 256 with a queue, 200 epochs; needs --images (e.g. ImageNet), months on 2 cores and about 80 GB of memory",
  },
};

export const experiment: Experiment<SwavConfig, Prepared> = {
  slug: "swav",
  arms: arms.map(({ training: _, ...arm }) => arm),
  metrics,
  claims,
  inputs,
  presets,
  validate: (given, preset) => validateOwnRun(presets[preset].config, given, preset),
  prepare,
  async runArm(id, shared, context) {
    const { training } = armById(id);
    const { probe, test, start } = shared;
    if (training === "pixels")
      return {
        metrics: await accuracies(
          { features: pixelFeatures(probe), images: probe },
          { features: pixelFeatures(test), images: test },
        ),
      };
    if (training) return runTraining(id, training, shared, context);
    const { params } = start;
    const statistics = await shared.embedder.calibrate(
      params,
      start.statistics,
      shared.training,
      CALIBRATION_PASSES,
    );
    return evaluateArm(id, { params, statistics }, [], shared, context);
  },
  dispose: ({ embedder }) => embedder.close(),
};
