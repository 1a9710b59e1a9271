import { MODALITY_DEFAULTS, PAPER_DEFAULTS, SENSORS, type Sensor } from "./defaults.ts";
import type { ModalityEncoderConfig } from "./modality-encoder.ts";

/** Stage A: the training of pictures and texts that stands for CLIP's own. */
export interface PretrainingConfig {
  readonly epochs: number;
  readonly batchSize: number;
  /** Peak of a cosine schedule. */
  readonly learningRate: number;
  /** Share of the steps that warm up. */
  readonly warmup: number;
  readonly weightDecay: number;
}

/** How one sensor is bound. */
export interface SensorConfig {
  readonly epochs: number;
  readonly batchSize: number;
  readonly rank: number;
  readonly learningRate: number;
  readonly patchDropout: number;
  /** Steps that warm up, at most a tenth of all. */
  readonly warmup: number;
}

/** Stage B: sensors are bound to what is frozen. */
export interface BindingConfig {
  readonly alpha: number;
  readonly weightDecay: number;
  /** Factor on the rate of what is trained beside the adapters (`coef-lr`). */
  readonly otherRateFactor: number;
  readonly sensors: Readonly<Record<Sensor, SensorConfig>>;
  /** Peak rates of arms for which another was best in the same search, by arm and sensor. */
  readonly armRates: Readonly<Record<string, Readonly<Partial<Record<Sensor, number>>>>>;
}

export type TextConfig =
  | {
      readonly kind: "bag-of-words";
      readonly width: number;
      readonly hidden: readonly number[];
      /** Standard deviation of the initial word vectors. */
      readonly wordDeviation: number;
    }
  | { readonly kind: "transformer"; readonly width: number; readonly layers: number; readonly heads: number };

export interface DataConfig {
  /** Sizes of the generated world; null for a preset that needs the user's own data. */
  readonly generated: {
    /** Captioned pictures of stage A. */
    readonly pictures: number;
    /** Events of stage B, seen by every sensor. */
    readonly events: number;
    readonly evaluation: number;
    /** How often the sound follows the shape. */
    readonly tie: number;
  } | null;
  /** Frames of a video. */
  readonly frames: number;
  /** How own data are used. */
  readonly own: {
    /** Share of the samples held out for evaluation. */
    readonly heldOut: number;
    readonly vocabulary: number;
    /** Most tokens of a caption. */
    readonly context: number;
    /** Log-mel bins and frames of a sound; both part into patches. */
    readonly audio: readonly [bins: number, frames: number];
  };
}

export interface LanguageBindConfig {
  readonly data: DataConfig;
  readonly encoder: ModalityEncoderConfig;
  readonly text: TextConfig;
  readonly pretraining: PretrainingConfig;
  readonly binding: BindingConfig;
}

function sensorsOf(of: (sensor: Sensor) => SensorConfig): Readonly<Record<Sensor, SensorConfig>> {
  return Object.fromEntries(SENSORS.map((sensor) => [sensor, of(sensor)])) as Record<Sensor, SensorConfig>;
}

/** Small settings: ranks, rates and lengths are ours, shares of dropped patches the paper's. */
function smallSensors(epochs: number, batchSize: number): Readonly<Record<Sensor, SensorConfig>> {
  return sensorsOf((sensor) => ({
    epochs,
    batchSize,
    rank: 4,
    learningRate: 1e-2,
    patchDropout: MODALITY_DEFAULTS[sensor].patchDropout,
    warmup: 10,
  }));
}

const smallOwn = { heldOut: 0.2, vocabulary: 8192, context: 32, audio: [32, 64] } as const;

export const defaultConfig: LanguageBindConfig = {
  data: {
    generated: { pictures: 4500, events: 2400, evaluation: 500, tie: 0.5 },
    frames: 3,
    own: smallOwn,
  },
  encoder: { patchSize: 4, inputSize: [24, 24], width: 64, layers: 2, heads: 4, outputs: 64 },
  text: { kind: "bag-of-words", width: 64, hidden: [128], wordDeviation: 1 },
  pretraining: {
    epochs: 8,
    batchSize: 128,
    learningRate: 1e-3,
    warmup: 0.05,
    weightDecay: 0.01,
  },
  binding: {
    alpha: PAPER_DEFAULTS.alpha,
    weightDecay: PAPER_DEFAULTS.weightDecay,
    otherRateFactor: PAPER_DEFAULTS.otherRateFactor,
    sensors: smallSensors(6, 64),
    armRates: { languagebind: { video: 3e-2 } },
  },
};

export const smokeConfig: LanguageBindConfig = {
  ...defaultConfig,
  data: {
    ...defaultConfig.data,
    generated: { pictures: 512, events: 256, evaluation: 100, tie: 0.5 },
    // Whole patches of 6.
    own: { ...smallOwn, audio: [30, 60] },
  },
  encoder: { ...defaultConfig.encoder, patchSize: 6, width: 32, layers: 1, heads: 2, outputs: 32 },
  text: { kind: "bag-of-words", width: 32, hidden: [32], wordDeviation: 1 },
  pretraining: { ...defaultConfig.pretraining, epochs: 4, batchSize: 64 },
  binding: { ...defaultConfig.binding, sensors: smallSensors(2, 64) },
};

/** ViT-L/14 and a text transformer of 12 layers, bound as the released scripts say; stage A stands for OpenCLIP's weights. */
export const paperConfig: LanguageBindConfig = {
  data: {
    generated: null,
    frames: PAPER_DEFAULTS.videoFrames,
    own: {
      heldOut: 0.01,
      vocabulary: 49_408,
      context: PAPER_DEFAULTS.context,
      audio: [PAPER_DEFAULTS.melBins, PAPER_DEFAULTS.audioFrames],
    },
  },
  encoder: {
    patchSize: 14,
    inputSize: [PAPER_DEFAULTS.imageSize, PAPER_DEFAULTS.imageSize],
    width: 1024,
    layers: 24,
    heads: 16,
    outputs: 768,
  },
  text: { kind: "transformer", width: 768, layers: 12, heads: 12 },
  pretraining: {
    epochs: 32,
    batchSize: 512,
    learningRate: 5e-4,
    warmup: 0.05,
    weightDecay: 0.2,
  },
  binding: {
    alpha: PAPER_DEFAULTS.alpha,
    weightDecay: PAPER_DEFAULTS.weightDecay,
    otherRateFactor: PAPER_DEFAULTS.otherRateFactor,
    sensors: MODALITY_DEFAULTS,
    armRates: {},
  },
};
