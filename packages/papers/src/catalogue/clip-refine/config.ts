import { PAPER_DEFAULTS } from "./defaults.ts";
import type { DualEncoderConfig } from "./dual-encoder.ts";

/** Stage A: the pre-training that stands for CLIP's own. */
export interface PretrainingConfig {
  readonly epochs: number;
  readonly batchSize: number;
  /** Peak of a cosine schedule. */
  readonly learningRate: number;
  /** Share of the steps that warm up. */
  readonly warmup: number;
  readonly weightDecay: number;
  /** Constant factor on cosines, here and in everything after. */
  readonly logitScale: number;
  /** Length of the orthogonal vectors that part the modalities at the start; 0 for none. */
  readonly separation: number;
  /** Mean norm that both towers are scaled to afterwards; 0 leaves them as they are. */
  readonly norm: number;
}

/** Stage B: the epoch that the paper adds. */
export interface RefinementConfig {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly logits: "raw" | "cosine";
  readonly lambdaRafa: number;
  /** Weight of the direct alignment loss in the arm that has it instead of RaFA. */
  readonly lambdaAlign: number;
}

export interface DataConfig {
  /** Generated pairs; null for a preset that needs the user's own. */
  readonly generated: {
    readonly pretraining: number;
    readonly refinement: number;
    readonly evaluation: number;
  } | null;
  /** How own pairs are used. */
  readonly own: {
    /** Side of the images in pixels, unless the user says otherwise. */
    readonly imageSize: number;
    /** Share of the images held out for evaluation. */
    readonly heldOut: number;
    /** Most held-out images that are evaluated. */
    readonly evaluation: number;
    readonly vocabulary: number;
    /** Most tokens of a caption. */
    readonly context: number;
  };
}

export interface ClipRefineConfig {
  readonly data: DataConfig;
  readonly encoder: DualEncoderConfig;
  readonly pretraining: PretrainingConfig;
  readonly refinement: RefinementConfig;
}

/** CLIP's trained logit scale, which the released code starts its baseline from, and the norm of its features. */
const CLIP_LOGIT_SCALE = 100;
const CLIP_NORM = Math.sqrt(CLIP_LOGIT_SCALE);

const smallPretraining = {
  warmup: 0,
  weightDecay: 0.01,
  logitScale: CLIP_LOGIT_SCALE,
  separation: 8,
  norm: CLIP_NORM,
} as const;

const smallOwn = { imageSize: 32, heldOut: 0.2, evaluation: 1000, vocabulary: 8192, context: 32 } as const;

export const defaultConfig: ClipRefineConfig = {
  data: { generated: { pretraining: 12_000, refinement: 4096, evaluation: 2000 }, own: smallOwn },
  encoder: {
    width: 256,
    image: { kind: "convolutional", filters: [32, 64, 96] },
    text: { kind: "bag-of-words", width: 64, wordDeviation: 1, hidden: [192] },
  },
  pretraining: { ...smallPretraining, epochs: 8, batchSize: 256, learningRate: 1e-3 },
  refinement: {
    epochs: 1,
    batchSize: 64,
    learningRate: 2e-5,
    weightDecay: PAPER_DEFAULTS.weightDecay,
    logits: "cosine",
    lambdaRafa: 4,
    lambdaAlign: 1,
  },
};

export const smokeConfig: ClipRefineConfig = {
  data: { generated: { pretraining: 1536, refinement: 256, evaluation: 250 }, own: smallOwn },
  encoder: {
    width: 64,
    image: { kind: "convolutional", filters: [16, 24, 32] },
    text: { kind: "bag-of-words", width: 64, wordDeviation: 1, hidden: [96] },
  },
  pretraining: { ...smallPretraining, separation: 4, epochs: 6, batchSize: 128, learningRate: 3e-3 },
  refinement: { ...defaultConfig.refinement, learningRate: 1e-4 },
};

/**
 * ViT-B/32 and a 512-d text transformer, refined as the paper says. CLIP's own weights are not at hand, so stage A
 * trains on the given pairs, with the settings of CLIP.
 */
export const paperConfig: ClipRefineConfig = {
  data: {
    generated: null,
    own: { imageSize: 224, heldOut: 0.01, evaluation: 5000, vocabulary: 49_408, context: 77 },
  },
  encoder: {
    width: 512,
    image: { kind: "vision-transformer", patchSize: 32, width: 768, layers: 12, heads: 12 },
    text: { kind: "transformer", width: 512, layers: 12, heads: 8 },
  },
  pretraining: {
    epochs: 32,
    batchSize: 512,
    learningRate: 5e-4,
    warmup: 0.05,
    weightDecay: 0.2,
    logitScale: CLIP_LOGIT_SCALE,
    separation: 0,
    norm: CLIP_NORM,
  },
  refinement: {
    epochs: PAPER_DEFAULTS.epochs,
    batchSize: PAPER_DEFAULTS.batchSize,
    learningRate: PAPER_DEFAULTS.learningRate,
    weightDecay: PAPER_DEFAULTS.weightDecay,
    logits: "raw",
    lambdaRafa: PAPER_DEFAULTS.lambdaRafa,
    lambdaAlign: 1,
  },
};
