/** The sensors that LanguageBind binds to language, each with an encoder of its own. */
export const SENSORS = ["video", "depth", "infrared", "audio"] as const;
export type Sensor = (typeof SENSORS)[number];

/** What the released training scripts set for a modality. */
export interface ModalityDefaults {
  /** r of the adapters. */
  readonly rank: number;
  readonly learningRate: number;
  /** Share of the patches that is left out in training. */
  readonly patchDropout: number;
  readonly batchSize: number;
  readonly epochs: number;
  /** Steps in which the rate rises from 0. */
  readonly warmup: number;
}

/** Released training scripts, one for each modality. */
export const MODALITY_DEFAULTS: Readonly<Record<Sensor, ModalityDefaults>> = {
  video: { rank: 16, learningRate: 1e-4, patchDropout: 0.3, batchSize: 640, epochs: 16, warmup: 2000 },
  audio: { rank: 16, learningRate: 1e-3, patchDropout: 0.1, batchSize: 1024, epochs: 16, warmup: 2000 },
  depth: { rank: 2, learningRate: 5e-4, patchDropout: 0.5, batchSize: 1024, epochs: 1, warmup: 200 },
  infrared: { rank: 2, learningRate: 1e-4, patchDropout: 0.5, batchSize: 1024, epochs: 1, warmup: 200 },
};

/** Numbers that the released code or its scripts fix for all modalities. */
export const PAPER_DEFAULTS = {
  /** The factor on cosines starts at 1 / 0.07 and stays in [1, 100]. Scripts; released code, training loop. */
  temperature: 0.07,
  maxLogitScale: 100,
  /** LoRA: the change is multiplied by alpha / r. Released code, conversion of the encoder. */
  alpha: 16,
  /** AdamW of the scripts; gains, biases, class token and θ do not decay. */
  beta1: 0.9,
  beta2: 0.98,
  epsilon: 1e-6,
  weightDecay: 0.2,
  /**
   * Factor on the rate of what is trained beside LoRA. The scripts give 1e-3 for depth and infrared, but the schedule
   * overwrites it in every step, so the effective factor is 1.
   */
  otherRateFactor: 1,
  /** Depth maps: nearest distance and the one that becomes 1, in metres. Released code, depth processing. */
  minDepth: 0.01,
  maxDepth: 10,
  /** Audio: released code, audio processing. */
  sampleRate: 16_000,
  melBins: 126,
  audioFrames: 1036,
  melMean: -4.2677393,
  melDeviation: 4.5689974,
  /** Frames of a clip of video, evenly spaced. */
  videoFrames: 8,
  imageSize: 224,
  /** Tokens of a text. */
  context: 77,
} as const;
