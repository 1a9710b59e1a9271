import {
  adamw,
  add,
  dropout,
  foldIn,
  keyArray,
  l2Normalize,
  layerNorm,
  logSoftmax,
  matmul,
  mean,
  minimise,
  mul,
  type NDArray,
  ndarray,
  neg,
  normalArray,
  type Runtime,
  randomKey,
  softmax,
  sum,
  type Tensor,
  treeEntries,
  zerosArray,
} from "@concord/tensor";

const [BATCH, TOKENS, WIDTH] = [16, 6, 24];

/** Losses of `referenceTraining`, step by step, as ONNX Runtime's CPU kernels gave them in float32. */
export const REFERENCE_LOSSES: readonly number[] = [
  4.583157, 3.897347, 3.414948, 2.697934, 2.622201, 2.221436, 1.85852, 1.507316, 1.421379, 1.145479, 1.003948,
  0.706624,
];

export interface Training {
  readonly losses: readonly number[];
  /** Every parameter and every moment of the optimiser after the last step. */
  readonly state: readonly NDArray[];
}

/** Pairs of a sequence and a vector, aligned by a small attention layer: dropout, layer norm, cross entropy, AdamW. */
export async function referenceTraining(runtime: Runtime): Promise<Training> {
  const key = randomKey(2026);
  const square = (index: number): NDArray => normalArray(foldIn(key, index), [WIDTH, WIDTH], 0, 0.2);
  const params = {
    query: square(0),
    value: square(1),
    other: square(2),
    gain: ndarray(new Array(WIDTH).fill(1)),
    bias: zerosArray([WIDTH]),
  };
  const batch = {
    tokens: normalArray(foldIn(key, 3), [BATCH, TOKENS, WIDTH]),
    vectors: normalArray(foldIn(key, 4), [BATCH, WIDTH]),
    diagonal: ndarray(
      Array.from({ length: BATCH }, (_, row) => Array.from({ length: BATCH }, (_, k) => (k === row ? 1 : 0))),
    ),
  };
  type Batch = { tokens: Tensor; vectors: Tensor; diagonal: Tensor; key: Tensor };
  const trainer = minimise({
    params,
    optimiser: adamw({ learningRate: 5e-3, weightDecay: 0.01 }),
    options: { runtime },
    loss: (p, { tokens, vectors, diagonal, key: dropoutKey }: Batch) => {
      const scores = matmul(matmul(tokens, p.query), tokens, { transposeB: true });
      const attended = matmul(softmax(mul(scores, 1 / Math.sqrt(WIDTH))), matmul(tokens, p.value));
      const hidden = dropout(dropoutKey, layerNorm(add(tokens, attended), p.gain, p.bias), 0.1);
      const left = l2Normalize(mean(hidden, { axes: 1 }));
      const right = l2Normalize(matmul(vectors, p.other));
      const logits = mul(matmul(left, right, { transposeB: true }), 10);
      return neg(mean(sum(mul(diagonal, logSoftmax(logits)), { axes: 1 })));
    },
  });
  const losses: number[] = [];
  for (let step = 0; step < REFERENCE_LOSSES.length; step++) {
    losses.push((await trainer.step({ ...batch, key: keyArray(foldIn(foldIn(key, 5), step)) })).loss);
  }
  const state = treeEntries(trainer.state()).map(([, leaf]) => leaf as NDArray);
  await trainer.close();
  return { losses, state };
}
