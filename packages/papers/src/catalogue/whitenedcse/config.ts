import { PAPER_DEFAULTS } from "./defaults.ts";
import type { EncoderConfig } from "./encoder.ts";
import type { Defects } from "./word-vectors.ts";
import type { WorldConfig } from "./world.ts";

export interface DataConfig {
  /** The generated sentences; null for a preset that needs the user's own. */
  readonly world: WorldConfig | null;
  /** How own sentences are used. */
  readonly own: {
    /** Most sentences that are read. */
    readonly sentences: number;
    readonly vocabulary: number;
    /** Most tokens of a sentence. */
    readonly context: number;
    /** In place of those of the training: other sentences, other rates. */
    readonly learningRates: LearningRates;
  };
}

/** What stands for the pre-trained encoder. */
export interface StartConfig {
  /** Word vectors from what stands near each other in the training sentences, or normal numbers as BERT starts from. */
  readonly words: { readonly kind: "neighbours"; readonly window: number } | { readonly kind: "random" };
  /** Planted on the generated world only: real sentences bring their own. */
  readonly defects: Defects;
}

/** Learning rates of the first step, which fall linearly to 0. Every arm has the one that suits it, so that none is held back. */
export interface LearningRates {
  readonly usual: number;
  /** By arm, where another one is better. */
  readonly of: Readonly<Record<string, number>>;
}

export interface TrainingConfig {
  /** Steps, or epochs over the sentences where steps are null. */
  readonly steps: number | null;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRates: LearningRates;
  readonly weightDecay: number;
  readonly temperature: number;
  /** Channels of a group. */
  readonly groupSize: number;
  /** Steps between two looks at the development pairs. */
  readonly validateEvery: number;
}

export interface WhitenedCseConfig {
  readonly data: DataConfig;
  readonly encoder: EncoderConfig;
  readonly start: StartConfig;
  readonly training: TrainingConfig;
}

const world: WorldConfig = {
  topics: 20,
  synonyms: 25,
  functionWords: 200,
  zipf: 1.1,
  length: 16,
  mixed: 3,
  concentration: 2,
  training: 3000,
  development: 400,
  test: 1000,
};

const smallOwn = {
  sentences: 100_000,
  vocabulary: 8192,
  context: PAPER_DEFAULTS.context,
  learningRates: { usual: 5e-4, of: { standardised: 2e-3 } },
} as const;

/** The paper's rate, for all arms. */
const paperRates: LearningRates = { usual: PAPER_DEFAULTS.learningRate, of: {} };

export const defaultConfig: WhitenedCseConfig = {
  data: { world, own: smallOwn },
  encoder: {
    width: 48,
    layers: 1,
    heads: 4,
    dropout: 0.4,
    pooling: "mean",
    branchScale: 0.1,
    finalNorm: false,
  },
  start: {
    words: { kind: "neighbours", window: 5 },
    defects: { cone: 0.7, nuisances: 3, nuisanceDeviation: 0.5 },
  },
  training: {
    steps: 240,
    epochs: PAPER_DEFAULTS.epochs,
    batchSize: 64,
    learningRates: {
      usual: 2e-3,
      of: {
        "simcse-2": 8e-3,
        "simcse-3": 1.6e-2,
        "large-groups": 1.6e-2,
        "full-gradient": 1.6e-2,
        "no-contrast": 3.2e-2,
      },
    },
    weightDecay: PAPER_DEFAULTS.weightDecay,
    temperature: PAPER_DEFAULTS.temperature,
    groupSize: 4,
    validateEvery: 30,
  },
};

export const smokeConfig: WhitenedCseConfig = {
  ...defaultConfig,
  data: {
    world: { ...world, topics: 12, functionWords: 60, length: 12, training: 600, development: 60, test: 120 },
    own: { ...smallOwn, sentences: 2000 },
  },
  encoder: { ...defaultConfig.encoder, width: 32 },
  training: { ...defaultConfig.training, steps: 16, validateEvery: 8, batchSize: 48 },
};

/** BERT-base in size, trained as the paper says. BERT's weights are not at hand: it starts from random ones. */
export const paperConfig: WhitenedCseConfig = {
  data: {
    world: null,
    own: {
      sentences: 1_000_000,
      vocabulary: 30_522,
      context: PAPER_DEFAULTS.context,
      learningRates: paperRates,
    },
  },
  encoder: {
    width: 768,
    layers: 12,
    heads: 12,
    dropout: PAPER_DEFAULTS.dropout,
    pooling: "first",
    branchScale: 1,
    finalNorm: true,
  },
  start: { words: { kind: "random" }, defects: { cone: 0, nuisances: 0, nuisanceDeviation: 0 } },
  training: {
    steps: null,
    epochs: PAPER_DEFAULTS.epochs,
    batchSize: PAPER_DEFAULTS.batchSize,
    learningRates: paperRates,
    weightDecay: PAPER_DEFAULTS.weightDecay,
    temperature: PAPER_DEFAULTS.temperature,
    groupSize: 768 / PAPER_DEFAULTS.groups,
    validateEvery: PAPER_DEFAULTS.validateEvery,
  },
};
