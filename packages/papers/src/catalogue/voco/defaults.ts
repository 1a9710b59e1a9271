/** Numbers that the paper or its released code fixes. */
export const PAPER_DEFAULTS = {
  /** Sides of the prepared volume in voxels, depth last. Released code, get_loader. */
  side: 384,
  depth: 96,
  /** Base crops along each axis of the plane: 4 × 4 = 16 of them. Method figure; released code. */
  grid: 4,
  /** Side of a crop in the plane, base or random; all span the depth. Released code. */
  cropSize: 96,
  /** Side that crops are resized to before the encoder. Released code. */
  inputSize: 64,
  /** Random crops of a volume and step: 2 in the released code (sw_batch_size), 4 as an independent implementation quotes the original. */
  randomCrops: 4,
  /** Volumes of a step. Released code. */
  batchSize: 2,
  /** Probabilities and range of the augmentation of a crop. Released code. */
  flip: 0.2,
  rotate: 0.2,
  shift: 0.1,
  shiftBy: 0.1,
  /** Five pooled levels of the encoder together, and the widths of the projector. Released code. */
  features: 1152,
  embedding: 2048,
  /** Inside the logarithm of the prediction loss. Released code. */
  epsilon: 1e-6,
  /** λ of the regularisation. Equation 7. */
  lambdaReg: 1,
  /** Momentum of the teacher, which only the released form has. Released code. */
  momentum: 0.9,
  /** Hounsfield units that become [0, 1], and the threshold of the foreground after that. Released code. */
  window: [-175, 250] as const,
  foreground: 0.3,
  /** AdamW; warm-up, then cosine to 0. Released code, of the 10,000-volume release. */
  learningRate: 1e-4,
  warmup: 5000,
  steps: 250_000,
  weightDecay: 1e-5,
  /** Fine-tuning for segmentation. Released code for BTCV. */
  fineTuningRate: 3e-4,
  overlap: 0.75,
} as const;
