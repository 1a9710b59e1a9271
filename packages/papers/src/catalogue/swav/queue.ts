import { sinkhornCodes } from "@concord/align";
import {
  abs,
  asTensor,
  broadcastTo,
  cast,
  checkAxes,
  concat,
  greater,
  logicalOr,
  matmul,
  max,
  type NDArray,
  narrow,
  reshape,
  ShapeError,
  stopGradient,
  type Tensor,
  zerosArray,
} from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";
import {
  checkCropsForAssign,
  predictCodes,
  type SwappedPrediction,
  type SwappedPredictionOptions,
  scoreCrops,
} from "./swapped-prediction.ts";

/**
 * Queues before their first batch: zeros, [A, L, D].
 *
 * @param length  L, a multiple of the batch size
 * @throws RangeError when sizes are no counts or L is no multiple of the batch size
 * @source released code: 3840 places at batch 256
 */
export function emptyQueues(options: {
  readonly length: number;
  readonly batchSize: number;
  readonly width: number;
  /** A. Default 2, the full crops. */
  readonly crops?: number;
}): NDArray<"float32"> {
  const { length, batchSize, width, crops = PAPER_DEFAULTS.cropsForAssign.length } = options;
  for (const [name, value] of Object.entries({ length, batchSize, width, crops }))
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`emptyQueues: ${name} must be an integer >= 1, got ${value}`);
  if (length % batchSize !== 0)
    throw new RangeError(
      `emptyQueues: the length must be a multiple of the batch size ${batchSize}, got ${length}`,
    );
  return zerosArray([crops, length, width]);
}

/**
 * A queue with a batch put in at its front; the rows at its end fall out.
 *
 *   queue ← [z ; queue[0 … L - B)]
 *
 * @param queue       [L, D]
 * @param embeddings  [B, D] of length 1, B ≤ L; stored without gradient
 * @throws ShapeError when widths differ or the batch is larger than the queue
 * @source released code, after the codes of the batch were computed
 */
export function pushQueue(queue: Tensor, embeddings: Tensor): Tensor {
  const { L, B } = checkAxes("pushQueue", { queue: [queue, "L D"], embeddings: [embeddings, "B D"] });
  if (B > L) throw new ShapeError(`pushQueue: ${B} rows do not fit a queue of ${L}`);
  const news = stopGradient(embeddings);
  return B === L ? news : stopGradient(concat([news, narrow(queue, 0, 0, L - B)]));
}

/** Whether a queue [L, D] is full, a bool scalar: its last row holds something else than zeros. */
export function isQueueFull(queue: Tensor): Tensor {
  const [length = 0] = queue.shape;
  return greater(max(abs(narrow(queue, 0, length - 1, 1))), 0);
}

export interface QueuedPrediction extends SwappedPrediction {
  /** [A, L, D] with this batch in it. */
  readonly queue: Tensor;
  /** Bool scalar: a queue was full in this epoch, now or before. */
  readonly useQueue: Tensor;
}

/**
 * `swappedPredictionLoss` whose codes are balanced together with remembered embeddings, for batches that are small
 * beside the number of prototypes.
 *
 *   Q_a = last B rows of sinkhorn_knopp([queue_a Cᵀ ; s_a])   once a queue is full, else sinkhorn_knopp(s_a)
 *
 * Remembered rows are scored with the prototypes of now, take part in the balance and nowhere else. Each queue is read
 * before the batch goes in.
 *
 * @param projections  [V·B, D], prototypes [K, D]: as for `swappedPredictionLoss`
 * @param queue        [A, L, D], one for each crop of `cropsForAssign`, in that order; zeros at the start
 * @param useQueue     bool scalar, default false: a queue was found full earlier in this epoch. Queues are then used
 *   even where they are not full, as in the released code; begin every epoch with false
 * @throws as `swappedPredictionLoss`; ShapeError when queues do not fit
 * @source section 3.2 ("working with small batches"); filling, order and the flag: released code
 */
export function swappedPredictionLossWithQueue(
  projections: Tensor,
  prototypes: Tensor,
  queue: Tensor,
  options: SwappedPredictionOptions & { readonly useQueue?: Tensor },
): QueuedPrediction {
  const {
    cropsForAssign = PAPER_DEFAULTS.cropsForAssign,
    temperature = PAPER_DEFAULTS.temperature,
    eps = PAPER_DEFAULTS.eps,
    iters = PAPER_DEFAULTS.iters,
    nCrops,
  } = options;
  const { embeddings, scores, embeddingsByCrop, scoresByCrop } = scoreCrops(projections, prototypes, options);
  checkCropsForAssign(cropsForAssign, nCrops);
  const { A, L, D } = checkAxes("swappedPredictionLossWithQueue", {
    queue: [queue, "A L D"],
    prototypes: [prototypes, "K D"],
  });
  if (A !== cropsForAssign.length)
    throw new ShapeError(
      `swappedPredictionLossWithQueue: ${cropsForAssign.length} crops provide codes, got ${A} queues`,
    );
  let useQueue = options.useQueue ?? cast(asTensor(0), "bool");
  const codes: Tensor[] = [];
  const pushed: Tensor[] = [];
  cropsForAssign.forEach((crop, a) => {
    const remembered = reshape(narrow(queue, 0, a, 1), [L, D]);
    useQueue = logicalOr(useQueue, isQueueFull(remembered));
    const queued = stopGradient(matmul(remembered, prototypes, { transposeB: true }));
    codes.push(
      sinkhornCodes(scoresByCrop[crop] as Tensor, {
        epsilon: eps,
        iterations: iters,
        queue: { scores: queued, valid: broadcastTo(reshape(useQueue, [1]), [L]) },
      }),
    );
    pushed.push(reshape(pushQueue(remembered, embeddingsByCrop[crop] as Tensor), [1, L, D]));
  });
  return {
    loss: predictCodes(scoresByCrop, codes, cropsForAssign, temperature),
    codes,
    scores,
    embeddings: stopGradient(embeddings),
    queue: concat(pushed),
    useQueue,
  };
}
