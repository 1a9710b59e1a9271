/** Numbers that the paper or its released code fixes. */
export const PAPER_DEFAULTS = {
  /** Of the softmax over prototypes. Released code, default of the option. */
  temperature: 0.1,
  /** Weight of the codes' entropy, and rounds of Sinkhorn-Knopp. Released code, defaults of the options. */
  eps: 0.05,
  iters: 3,
  /** Crops whose codes are predicted: the two full ones. Released code, default of the option. */
  cropsForAssign: [0, 1],
  /** Width of the embeddings, number of prototypes, hidden width of the head. Released code and scripts. */
  width: 128,
  prototypes: 3000,
  hidden: 2048,
  /** Released scripts: sides and area shares of the crops with multi-crop, and of two crops without it. */
  fullCrops: { count: 2, size: 224, minScale: 0.14, maxScale: 1 },
  smallCrops: { count: 6, size: 96, minScale: 0.05, maxScale: 0.14 },
  twoCropMinScale: 0.08,
  /** Released code: LARC (clip off) around SGD. */
  momentum: 0.9,
  weightDecay: 1e-6,
  trustCoefficient: 0.001,
  larcEps: 1e-8,
  /** Released scripts, batch 4096. */
  largeBatch: {
    batchSize: 4096,
    baseLr: 4.8,
    finalLr: 0.0048,
    startWarmup: 0.3,
    warmupEpochs: 10,
    freezePrototypesIterations: 313,
  },
  /** Released scripts, batch 256 with a queue. */
  smallBatch: {
    batchSize: 256,
    baseLr: 0.6,
    finalLr: 0.0006,
    startWarmup: 0,
    warmupEpochs: 0,
    freezePrototypesIterations: 5005,
    queueLength: 3840,
    queueStartsAtEpoch: 15,
  },
} as const;
