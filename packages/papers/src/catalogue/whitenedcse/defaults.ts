/** Numbers that the paper or its released code fixes. */
export const PAPER_DEFAULTS = {
  /** P: copies of a sentence in a step, the anchor included. Released training script, num_pos 3. */
  copies: 3,
  /** G: groups of channels, six channels each at D = 768. Released code, default of the layer. */
  groups: 128,
  /** τ of the contrast. Released code. */
  temperature: 0.05,
  /** Weights of the positives in the mode "weighted". Released code, a variant that is commented out. */
  weights: [1, 0.8],
  /** Of BERT, which makes the copies differ. From memory. */
  dropout: 0.1,
  /** Released training script; decay and its end from memory of the trainer's defaults. */
  learningRate: 1e-5,
  weightDecay: 0,
  batchSize: 128,
  epochs: 1,
  /** Tokens of a sentence. Released training script. */
  context: 32,
  /** Steps between two looks at the development pairs, of which the best is kept. Released training script. */
  validateEvery: 125,
} as const;

/** Share of a group's mean variance that is added to its covariance's diagonal in training. Ours: the code adds none. */
export const TRAINING_RIDGE = 1e-5;
