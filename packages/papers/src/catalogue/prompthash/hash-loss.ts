import { quantizationLoss } from "@concord/align";
import {
  add,
  cast,
  checkAxes,
  clampMax,
  clampMin,
  concat,
  div,
  greater,
  matmul,
  maximum,
  mean,
  mul,
  narrow,
  reshape,
  softplus,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
} from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

/**
 * Which items of a set share a label with which items of a batch.
 *
 * @param labels  [N, C] with 1 where a label holds
 * @param batch   [n, C]
 * @returns [N, n], 1 or 0
 */
export function sharedLabels(labels: Tensor, batch: Tensor): Tensor {
  checkAxes("sharedLabels", { labels: [labels, "N C"], batch: [batch, "n C"] });
  return cast(greater(matmul(labels, batch, { transposeB: true }), 0), "float32");
}

/**
 * Negative log-likelihood of the similarities S given the codes of all items and those of a batch:
 *
 *   mean of softplus(s) - S s,   s = clamp(A hᵀ, ±64) / 2
 *
 * The cut comes before the half, and where it cuts there is no gradient.
 *
 * @param memory   A [N, K]
 * @param codes    h [n, K]
 * @param similar  S [N, n], 1 where two items share a label, else 0
 * @param balance  gives similar and other pairs the same weight in all; not the paper's. Default false
 * @returns scalar, nats a pair
 * @throws ShapeError when axes do not fit
 * @source released code (bayesian_loss)
 */
export function likelihood(memory: Tensor, codes: Tensor, similar: Tensor, balance = false): Tensor {
  const { N, n } = checkAxes("likelihood", {
    memory: [memory, "N K"],
    codes: [codes, "n K"],
    similar: [similar, "N n"],
  });
  return reshape(likelihoods(memory, codes, reshape(similar, [1, N, 1, n]), balance), []);
}

/**
 * `likelihood` of every one of A memories with every one of a sets of codes.
 *
 * @param memories  [A N, K] under each other
 * @param codes     [a n, K] under each other
 * @param similar   [1, N, 1, n]
 * @returns [A, a]
 */
function likelihoods(memories: Tensor, codes: Tensor, similar: Tensor, balance: boolean): Tensor {
  const [, N, , n] = similar.shape as [number, number, number, number];
  const limit = PAPER_DEFAULTS.productLimit / 2;
  const halves = matmul(memories, codes, { transposeB: true, scale: 0.5 });
  const cut = reshape(clampMin(clampMax(halves, limit), -limit), [-1, N, (codes.shape[0] as number) / n, n]);
  // As S is 0 or 1: softplus(s) - S s = softplus((1 - 2 S) s).
  const losses = softplus(mul(cut, sub(1, mul(similar, 2))));
  if (!balance) return mean(losses, { axes: [1, 3] });
  const share = (weights: Tensor): Tensor =>
    div(sum(mul(losses, weights), { axes: [1, 3] }), maximum(sum(weights), 1));
  return mul(add(share(similar), share(sub(1, similar))), 0.5);
}

/** N items of the training set, n of the batch, codes of K bits. */
export interface HashLossInputs {
  /** [n, K] relaxed codes in (-1, 1) */
  readonly imageCodes: Tensor;
  readonly textCodes: Tensor;
  /** [N, K] codes of all training items, those of the batch already written into them; constants */
  readonly imageBuffer: Tensor;
  readonly textBuffer: Tensor;
  /** [N, n], see `sharedLabels` */
  readonly similarity: Tensor;
  /** [n, K] ±1: the targets of the batch's items; constants */
  readonly binaryTargets: Tensor;
}

export interface HashLossOptions {
  /** Default 0.005. */
  readonly intraWeight?: number;
  /** Default 5 (released script for COCO: 20). */
  readonly interWeight?: number;
  /** Default 0.1 (released script for COCO: 1). */
  readonly quantWeight?: number;
  /** Of all three together; default 1, and 20 for the auxiliary code. */
  readonly groupWeight?: number;
  /** See `likelihood`. */
  readonly balance?: boolean;
}

/** Scalars with all weights; `loss` is their sum. */
export interface HashLoss {
  readonly loss: Tensor;
  readonly intraImage: Tensor;
  readonly intraText: Tensor;
  readonly inter: Tensor;
  readonly quantization: Tensor;
}

/**
 * The losses of codes of one length. With lik of `likelihood`, H the buffers, h the codes of the batch, B their targets:
 *
 *   L = w_group [ w_intra (lik(H_I, h_I) + lik(H_T, h_T)) + w_inter (lik(H_I, h_T) + lik(H_T, h_I))
 *               + w_quant (‖h_I - B‖² + ‖h_T - B‖²) / (n K) ]
 *
 * @throws ShapeError when axes do not fit
 * @source section on hashing; released code (hash_loss_group), weights of its scripts
 */
export function hashLossGroup(inputs: HashLossInputs, options: HashLossOptions = {}): HashLoss {
  const {
    intraWeight = PAPER_DEFAULTS.intraWeight,
    interWeight = PAPER_DEFAULTS.interWeight,
    quantWeight = PAPER_DEFAULTS.quantWeight,
    groupWeight = 1,
    balance = false,
  } = options;
  const { imageCodes, textCodes, similarity, binaryTargets } = inputs;
  checkAxes("hashLossGroup", {
    imageCodes: [imageCodes, "n K"],
    textCodes: [textCodes, "n K"],
    imageBuffer: [inputs.imageBuffer, "N K"],
    textBuffer: [inputs.textBuffer, "N K"],
    similarity: [similarity, "N n"],
    binaryTargets: [binaryTargets, "n K"],
  });
  const [N, n] = similarity.shape as [number, number];
  // All four at once: [buffer, code], each first of images and then of texts.
  const lik = likelihoods(
    stopGradient(concat([inputs.imageBuffer, inputs.textBuffer], 0)),
    concat([imageCodes, textCodes], 0),
    reshape(similarity, [1, N, 1, n]),
    balance,
  );
  const entry = (buffer: number, code: number): Tensor =>
    reshape(narrow(narrow(lik, 0, buffer, 1), 1, code, 1), []);
  const weighted = (part: Tensor, weight: number): Tensor => mul(part, weight * groupWeight);
  const intraImage = weighted(entry(0, 0), intraWeight);
  const intraText = weighted(entry(1, 1), intraWeight);
  const inter = weighted(add(entry(0, 1), entry(1, 0)), interWeight);
  const away = (codes: Tensor): Tensor => quantizationLoss(codes, { targets: binaryTargets });
  const quantization = weighted(add(away(imageCodes), away(textCodes)), quantWeight);
  const loss = add(add(intraImage, intraText), add(inter, quantization));
  return { loss, intraImage, intraText, inter, quantization };
}

/**
 * How far decoded codes lie from the longer binary codes: Σ over bits, mean over items of (d - B)².
 *
 * @param decoded  [n, K']
 * @param targets  [n, K'] ±1, constants
 * @returns scalar
 * @throws ShapeError when the shapes differ
 * @source released code (recon loss), before its weight mu · w_recon
 */
export function reconstructionLoss(decoded: Tensor, targets: Tensor): Tensor {
  checkAxes("reconstructionLoss", { decoded: [decoded, "n K"], targets: [targets, "n K"] });
  return mean(sum(square(sub(decoded, stopGradient(targets))), { axes: 1 }));
}
