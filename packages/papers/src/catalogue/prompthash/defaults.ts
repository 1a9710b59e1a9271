/** Numbers that the paper or its released code and scripts fix. */
export const PAPER_DEFAULTS = {
  /** Lengths of the codes, and of the auxiliary code that they must be able to give back. Released code. */
  bits: [16, 32, 64],
  auxiliaryBits: 256,
  /** mu: weight of all losses of the auxiliary code. Released code. */
  auxiliaryWeight: 20,
  /** Weight of the likelihood within a modality. Released code. */
  intraWeight: 0.005,
  /** Weights of the likelihood across modalities, the quantisation and the reconstruction. Released scripts (COCO: 20, 1). */
  interWeight: 5,
  quantWeight: 0.1,
  reconWeight: 0.001,
  /** Inner products of codes are cut off here, before they are halved. Released code. */
  productLimit: 64,
  /** Temperatures and weights of the two alignments. Released code. */
  globalTemperature: 0.07,
  localTemperature: 0.07,
  globalWeight: 5,
  localWeight: 5,
  /** Hidden width of the decoders. Released code. */
  decoderWidth: 256,
  /** ResMLP: blocks, hidden width over the width, dropout. Released code. */
  residualBlocks: 2,
  residualGrowth: 4,
  residualDropout: 0.5,
  /** Fusion: heads, feed-forward width, dropout of its transformer layer. Released code. */
  fusionHeads: 4,
  feedForward: 2048,
  fusionDropout: 0.1,
  /** State-space block: states a channel, length of the convolution, inner width over the width. Mamba-1. */
  states: 16,
  kernel: 4,
  innerGrowth: 2,
  /** Deviation of the learnable context of the prompt. Released code. */
  contextDeviation: 0.02,
  /** BertAdam. Released optimiser. */
  beta1: 0.9,
  beta2: 0.98,
  epsilon: 1e-6,
  weightDecay: 0.01,
  maximumNorm: 1,
  warmup: 0.05,
  /** Learning rates of hash parts, fusion and unfrozen blocks of the encoders. Released scripts. */
  hashRate: 1e-3,
  fusionRate: 1e-4,
  encoderRate: 1e-5,
  epochs: 100,
  batchSize: 128,
} as const;
