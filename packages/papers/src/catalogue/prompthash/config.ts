import { PAPER_DEFAULTS } from "./defaults.ts";
import type { EncoderConfig } from "./encoders.ts";

/** Stage A: the pre-training that stands for CLIP's own. */
export interface PretrainingConfig {
  readonly epochs: number;
  readonly batchSize: number;
  /** Peak of a cosine schedule, after a warm-up of a tenth of the steps. */
  readonly learningRate: number;
  readonly temperature: number;
}

/** The training of the codes. */
export interface HashingConfig {
  readonly epochs: number;
  readonly batchSize: number;
  /** Length of the auxiliary code; the others have the paper's 16, 32 and 64 bits. */
  readonly auxiliaryBits: number;
  /** Peaks of the schedule for hash parts, fusion and the last blocks of the encoders. */
  readonly learningRates: { readonly hash: number; readonly fusion: number; readonly encoder: number };
  /** Similar pairs weigh as much as all others together; not the paper's. */
  readonly balance: boolean;
  readonly interWeight: number;
  readonly quantWeight: number;
  readonly reconWeight: number;
  /**
   * How strongly the prompt multiplies the text at the start, see `textAffinityPrompt`; a parameter from then on. Null:
   * by the prompt itself, always, as in the paper. Others are diagnostics.
   */
  readonly promptStrength: number | null;
  /** Of global and local alignment. */
  readonly alignmentWeight: number;
  readonly residualDropout: number;
  readonly fusion: {
    readonly heads: number;
    readonly feedForward: number;
    readonly states: number;
    readonly dropout: number;
  };
  /** Chance that a modality is missing for a sample in a step, in the arms that drop modalities. */
  readonly modalityDropout: number;
  /** Random crops: largest shift in pixels. Mirror images come with chance 0.5. */
  readonly shift: number;
}

export interface DataConfig {
  /** Generated items; null for a preset that needs the user's own. The database holds the training items, too. */
  readonly generated: {
    readonly pretraining: number;
    readonly queries: number;
    readonly training: number;
    readonly database: number;
  } | null;
  /** How own pictures are used. */
  readonly own: {
    /** Side in pixels, unless the user says otherwise. */
    readonly imageSize: number;
    /** Shares of the pictures that are queries and that train; all but the queries are the database. */
    readonly queries: number;
    readonly training: number;
    readonly vocabulary: number;
    /** T, tokens of texts and prompts. */
    readonly context: number;
  };
}

export interface PromptHashConfig {
  readonly data: DataConfig;
  readonly encoder: EncoderConfig;
  readonly pretraining: PretrainingConfig;
  readonly hashing: HashingConfig;
}

const smallOwn = { imageSize: 32, queries: 0.15, training: 0.6, vocabulary: 4096, context: 24 } as const;

const smallHashing: HashingConfig = {
  epochs: 20,
  batchSize: 64,
  auxiliaryBits: 128,
  learningRates: { hash: 9e-3, fusion: 3e-3, encoder: 1e-3 },
  balance: false,
  interWeight: PAPER_DEFAULTS.interWeight,
  quantWeight: PAPER_DEFAULTS.quantWeight,
  reconWeight: PAPER_DEFAULTS.reconWeight,
  promptStrength: null,
  alignmentWeight: PAPER_DEFAULTS.globalWeight,
  residualDropout: PAPER_DEFAULTS.residualDropout,
  fusion: {
    heads: PAPER_DEFAULTS.fusionHeads,
    feedForward: 64,
    states: 2,
    dropout: PAPER_DEFAULTS.fusionDropout,
  },
  modalityDropout: 0.5,
  shift: 2,
};

export const defaultConfig: PromptHashConfig = {
  data: {
    generated: { pretraining: 4000, queries: 300, training: 768, database: 1200 },
    own: smallOwn,
  },
  encoder: {
    width: 32,
    image: { kind: "convolutional", filters: [24, 48, 64] },
    text: { layers: 2, heads: 4 },
    tunedBlocks: 2,
  },
  pretraining: { epochs: 8, batchSize: 64, learningRate: 2e-3, temperature: 0.07 },
  hashing: smallHashing,
};

export const smokeConfig: PromptHashConfig = {
  data: { generated: { pretraining: 256, queries: 40, training: 96, database: 160 }, own: smallOwn },
  encoder: {
    width: 16,
    image: { kind: "convolutional", filters: [8, 12] },
    text: { layers: 1, heads: 2 },
    tunedBlocks: 1,
  },
  pretraining: { epochs: 2, batchSize: 64, learningRate: 3e-3, temperature: 0.07 },
  hashing: {
    ...smallHashing,
    epochs: 2,
    batchSize: 48,
    auxiliaryBits: 96,
    fusion: { ...smallHashing.fusion, feedForward: 32, states: 2 },
  },
};

/**
 * CLIP ViT-B/16 with its text transformer, trained as the released scripts do. CLIP's own weights are not at hand, so
 * stage A trains both on the given pairs.
 */
export const paperConfig: PromptHashConfig = {
  data: {
    generated: null,
    // MIRFlickr-25K: 2,000 queries and 10,000 to train of 25,000.
    own: { imageSize: 224, queries: 0.08, training: 0.4, vocabulary: 49_408, context: 77 },
  },
  encoder: {
    width: 512,
    image: { kind: "vision-transformer", patchSize: 16, width: 768, layers: 12, heads: 12 },
    text: { layers: 12, heads: 8 },
    tunedBlocks: 2,
  },
  pretraining: { epochs: 32, batchSize: 128, learningRate: 5e-4, temperature: 0.07 },
  hashing: {
    epochs: PAPER_DEFAULTS.epochs,
    batchSize: PAPER_DEFAULTS.batchSize,
    auxiliaryBits: PAPER_DEFAULTS.auxiliaryBits,
    learningRates: {
      hash: PAPER_DEFAULTS.hashRate,
      fusion: PAPER_DEFAULTS.fusionRate,
      encoder: PAPER_DEFAULTS.encoderRate,
    },
    balance: false,
    interWeight: PAPER_DEFAULTS.interWeight,
    quantWeight: PAPER_DEFAULTS.quantWeight,
    reconWeight: PAPER_DEFAULTS.reconWeight,
    promptStrength: null,
    alignmentWeight: PAPER_DEFAULTS.globalWeight,
    residualDropout: PAPER_DEFAULTS.residualDropout,
    fusion: {
      heads: PAPER_DEFAULTS.fusionHeads,
      feedForward: PAPER_DEFAULTS.feedForward,
      states: PAPER_DEFAULTS.states,
      dropout: PAPER_DEFAULTS.fusionDropout,
    },
    modalityDropout: 0.5,
    shift: 16,
  },
};
