import { PAPER_DEFAULTS } from "./defaults.ts";
import { type MultiCropOptions, paperColours, paperStatistics } from "./multi-crop.ts";
import type { NetworkConfig } from "./network.ts";
import type { ShapesWorldOptions } from "./shapes-world.ts";

export type OptimiserConfig =
  | {
      readonly kind: "adam";
      /** Peak of a cosine schedule to 0. */
      readonly learningRate: number;
      /** Share of the steps that warm up. */
      readonly warmup: number;
    }
  | {
      readonly kind: "larc";
      readonly baseLr: number;
      readonly finalLr: number;
      readonly startWarmup: number;
      readonly warmupEpochs: number;
      readonly weightDecay: number;
    };

export interface TrainingConfig {
  readonly epochs: number;
  readonly batchSize: number;
  readonly optimiser: OptimiserConfig;
  /** Steps at the start in which prototypes do not move: a number, or a share of all steps below 1. */
  readonly freezePrototypes: number;
  readonly temperature: number;
  readonly eps: number;
  readonly iters: number;
  /** Of the contrastive baseline. */
  readonly contrastiveTemperature: number;
  /** Remembered embeddings for balancing codes; null for none. */
  readonly queue: { readonly length: number; readonly startsAtEpoch: number } | null;
}

export interface DataConfig {
  /** Generated pictures; null for a preset that needs the user's own. */
  readonly generated:
    | (ShapesWorldOptions & {
        readonly training: number;
        /** Labelled pictures: for fitting the probe, and for measuring. */
        readonly probe: number;
        readonly test: number;
      })
    | null;
  readonly own: {
    /** Side that images are loaded at, unless the user says otherwise. */
    readonly imageSize: number;
    /** Most images for fitting the probe and for measuring, taken from the images or the test file. */
    readonly probe: number;
    readonly test: number;
  };
}

export interface SwavConfig {
  readonly data: DataConfig;
  readonly network: NetworkConfig;
  /** Crops with and without small ones; sizes as shares of the image's side. */
  readonly crops: {
    readonly full: CropShare;
    readonly small: CropShare;
    /** Least area of a crop where there are two alone. */
    readonly twoCropMinScale: number;
    readonly augmentation: Omit<MultiCropOptions, "groups">;
  };
  readonly training: TrainingConfig;
  /** Threads that make crops; 0 for none beside the one that trains. */
  readonly workers: number;
}

interface CropShare {
  readonly count: number;
  /** Side of the crop as a share of the image's. */
  readonly side: number;
  readonly minScale: number;
  readonly maxScale: number;
}

const smallAugmentation = {
  flip: 0.5,
  // Half the strength, as SimCLR has it for pictures of 32 × 32 pixels.
  colour: { probability: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, grey: 0.2 },
  blur: { probability: 0.5, minSigma: 0.1, maxSigma: 0.7 },
  statistics: { mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25] },
} as const;

const smallCrops = {
  full: { count: 2, side: 1, minScale: 0.5, maxScale: 1 },
  small: { count: 2, side: 2 / 3, minScale: 0.4, maxScale: 0.8 },
  twoCropMinScale: 0.5,
  augmentation: smallAugmentation,
} as const;

export const defaultConfig: SwavConfig = {
  data: {
    generated: {
      size: 24,
      saturation: 0,
      clutter: 2,
      noise: 0.04,
      minRadius: 0.3,
      maxRadius: 0.4,
      minLevel: 0.4,
      maxLevel: 0.6,
      spread: 0.4,
      dark: 0,
      training: 4000,
      probe: 1000,
      test: 2000,
    },
    own: { imageSize: 28, probe: 2000, test: 2000 },
  },
  network: {
    backbone: {
      kind: "convolutional",
      blocks: [
        { filters: 16, stride: 2 },
        { filters: 24, stride: 1 },
        { filters: 48, stride: 2 },
        { filters: 64, stride: 2 },
      ],
    },
    hidden: 96,
    width: 32,
    prototypes: 60,
  },
  crops: smallCrops,
  training: {
    epochs: 8,
    batchSize: 96,
    optimiser: { kind: "adam", learningRate: 1.6e-2, warmup: 0.05 },
    freezePrototypes: 0.1,
    temperature: PAPER_DEFAULTS.temperature,
    // Sharper than the paper's 0.05, at which the codes of so small a network become uniform: see README.md.
    eps: 0.02,
    iters: PAPER_DEFAULTS.iters,
    contrastiveTemperature: 0.2,
    queue: null,
  },
  workers: 1,
};

export const smokeConfig: SwavConfig = {
  ...defaultConfig,
  data: {
    ...defaultConfig.data,
    generated: {
      size: 16,
      saturation: 0,
      clutter: 2,
      noise: 0.04,
      minRadius: 0.3,
      maxRadius: 0.4,
      minLevel: 0.4,
      maxLevel: 0.6,
      spread: 0.4,
      dark: 0,
      training: 512,
      probe: 200,
      test: 200,
    },
  },
  network: {
    backbone: {
      kind: "convolutional",
      blocks: [
        { filters: 8, stride: 2 },
        { filters: 16, stride: 2 },
      ],
    },
    hidden: 32,
    width: 16,
    prototypes: 16,
  },
  training: { ...defaultConfig.training, epochs: 2, batchSize: 32 },
  // Starting a thread takes longer than all crops of so few steps.
  workers: 0,
};

/** ResNet-50 with the paper's settings for batch 256 and a queue, 200 epochs. */
export const paperConfig: SwavConfig = {
  data: { generated: null, own: { imageSize: 256, probe: 50_000, test: 50_000 } },
  network: {
    backbone: { kind: "resnet50" },
    hidden: PAPER_DEFAULTS.hidden,
    width: PAPER_DEFAULTS.width,
    prototypes: PAPER_DEFAULTS.prototypes,
  },
  crops: {
    full: { count: 2, side: 224 / 256, minScale: 0.14, maxScale: 1 },
    small: { count: 6, side: 96 / 256, minScale: 0.05, maxScale: 0.14 },
    twoCropMinScale: PAPER_DEFAULTS.twoCropMinScale,
    augmentation: {
      flip: 0.5,
      colour: paperColours,
      blur: { probability: 0.5, minSigma: 0.1, maxSigma: 2 },
      statistics: paperStatistics,
    },
  },
  training: {
    epochs: 200,
    batchSize: PAPER_DEFAULTS.smallBatch.batchSize,
    optimiser: {
      kind: "larc",
      baseLr: PAPER_DEFAULTS.smallBatch.baseLr,
      finalLr: PAPER_DEFAULTS.smallBatch.finalLr,
      startWarmup: PAPER_DEFAULTS.smallBatch.startWarmup,
      warmupEpochs: PAPER_DEFAULTS.smallBatch.warmupEpochs,
      weightDecay: PAPER_DEFAULTS.weightDecay,
    },
    freezePrototypes: PAPER_DEFAULTS.smallBatch.freezePrototypesIterations,
    temperature: PAPER_DEFAULTS.temperature,
    eps: PAPER_DEFAULTS.eps,
    iters: PAPER_DEFAULTS.iters,
    contrastiveTemperature: 0.1,
    queue: {
      length: PAPER_DEFAULTS.smallBatch.queueLength,
      startsAtEpoch: PAPER_DEFAULTS.smallBatch.queueStartsAtEpoch,
    },
  },
  workers: 2,
};

/** Crops of an arm for images of a given side. */
export function cropsOf({ crops }: SwavConfig, imageSize: number, kind: "multi" | "two"): MultiCropOptions {
  const group = ({ count, side, minScale, maxScale }: CropShare) => ({
    count,
    size: Math.max(1, Math.round(side * imageSize)),
    minScale,
    maxScale,
  });
  const { full, small, twoCropMinScale, augmentation } = crops;
  const groups =
    kind === "multi" ? [group(full), group(small)] : [{ ...group(full), minScale: twoCropMinScale }];
  return { groups, ...augmentation };
}
