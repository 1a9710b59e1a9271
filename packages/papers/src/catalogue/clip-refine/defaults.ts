/** Numbers that the paper or its released configuration fixes. */
export const PAPER_DEFAULTS = {
  /** Weight of the ground-truth pairing in HyCD's targets. Released configuration; section on HyCD. */
  alpha: 0.5,
  /** Temperature of HyCD. Released code, default of the updater. */
  temperature: 1,
  /** Weights of InfoNCE, RaFA and HyCD. Released configuration; equal weights of the last two are reported as best. */
  lambdaContrastive: 0,
  lambdaRafa: 1,
  lambdaHycd: 1,
  /** Prior of the references: N(0, I). Released configuration; noise scale 1 in the ablation. */
  priorMean: 0,
  priorDeviation: 1,
  /** Released configuration: AdamW with the framework's betas and epsilon, no warm-up, constant rate, all parameters decay. */
  learningRate: 1e-6,
  weightDecay: 0.1,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  batchSize: 512,
  epochs: 1,
  /** Share of the pairs that trains; the rest validates. Released configuration. */
  trainingShare: 0.99,
} as const;
