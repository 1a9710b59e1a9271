import type { CropGeometry } from "./crops.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import type { NetworkConfig } from "./network.ts";

export interface PretrainingConfig {
  readonly steps: number;
  /** Volumes of a step. */
  readonly batchSize: number;
  /** R: random crops of a volume and step. */
  readonly randomCrops: number;
  /** Peak; linear warm-up from 0, then cosine to 0. */
  readonly learningRate: number;
  /** Peaks of arms that have one of their own, by id. */
  readonly learningRates: Readonly<Record<string, number>>;
  /** Share of the steps that warm up. */
  readonly warmup: number;
  readonly weightDecay: number;
}

export interface FineTuningConfig {
  readonly steps: number;
  /** Patches of a step, as large as crops. */
  readonly patches: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Share that neighbouring windows of the prediction have in common along each axis of the plane. */
  readonly overlap: number;
}

export interface DataConfig {
  /** Generated volumes; null for a preset that needs the user's own. */
  readonly generated: {
    readonly unlabelled: number;
    readonly labelled: number;
    readonly test: number;
  } | null;
  /** How own volumes are used. */
  readonly own: {
    /** Share held out for evaluation, and the most of them. */
    readonly heldOut: number;
    readonly test: number;
    readonly labelled: number;
  };
}

export interface VocoConfig {
  readonly data: DataConfig;
  readonly geometry: CropGeometry;
  readonly network: NetworkConfig;
  readonly pretraining: PretrainingConfig;
  readonly fineTuning: FineTuningConfig;
}

export const defaultConfig: VocoConfig = {
  data: {
    generated: { unlabelled: 60, labelled: 3, test: 10 },
    own: { heldOut: 0.2, test: 20, labelled: 3 },
  },
  geometry: { side: 64, depth: 16, grid: PAPER_DEFAULTS.grid, inputSide: 16, inputDepth: 16 },
  network: { widths: [8, 16, 32, 48], convolutions: 1, groups: 4, hidden: 128, embedding: 128 },
  pretraining: {
    steps: 150,
    batchSize: PAPER_DEFAULTS.batchSize,
    randomCrops: PAPER_DEFAULTS.randomCrops,
    learningRate: 6e-3,
    learningRates: { "place-regression": 1.2e-2, masked: 1e-3, released: 1e-3, flips: 1.2e-2 },
    warmup: 0.05,
    weightDecay: PAPER_DEFAULTS.weightDecay,
  },
  fineTuning: {
    steps: 150,
    patches: 6,
    learningRate: 1e-2,
    weightDecay: PAPER_DEFAULTS.weightDecay,
    overlap: 0.5,
  },
};

export const smokeConfig: VocoConfig = {
  ...defaultConfig,
  data: { ...defaultConfig.data, generated: { unlabelled: 6, labelled: 2, test: 3 } },
  geometry: { side: 32, depth: 8, grid: 4, inputSide: 8, inputDepth: 8 },
  network: { widths: [4, 8, 8], convolutions: 1, groups: 2, hidden: 32, embedding: 16 },
  pretraining: { ...defaultConfig.pretraining, steps: 12, randomCrops: 2 },
  fineTuning: { ...defaultConfig.fineTuning, steps: 8, patches: 2 },
};

/**
 * The paper's volumes, crops, widths of the features and of the projector, and the released schedule. The encoder is a
 * convolutional one whose pooled levels are as wide as those of the paper's Swin transformer.
 */
export const paperConfig: VocoConfig = {
  data: { generated: null, own: { heldOut: 0.05, test: 50, labelled: 24 } },
  geometry: {
    side: PAPER_DEFAULTS.side,
    depth: PAPER_DEFAULTS.depth,
    grid: PAPER_DEFAULTS.grid,
    inputSide: PAPER_DEFAULTS.inputSize,
    inputDepth: PAPER_DEFAULTS.inputSize,
  },
  network: {
    widths: [48, 48, 96, 192, 768],
    convolutions: 2,
    groups: 8,
    hidden: PAPER_DEFAULTS.embedding,
    embedding: PAPER_DEFAULTS.embedding,
  },
  pretraining: {
    steps: PAPER_DEFAULTS.steps,
    batchSize: PAPER_DEFAULTS.batchSize,
    randomCrops: PAPER_DEFAULTS.randomCrops,
    learningRate: PAPER_DEFAULTS.learningRate,
    learningRates: {},
    warmup: PAPER_DEFAULTS.warmup / PAPER_DEFAULTS.steps,
    weightDecay: PAPER_DEFAULTS.weightDecay,
  },
  fineTuning: {
    steps: 25_000,
    patches: 2,
    learningRate: PAPER_DEFAULTS.fineTuningRate,
    weightDecay: PAPER_DEFAULTS.weightDecay,
    overlap: PAPER_DEFAULTS.overlap,
  },
};
