import {
  add,
  cast,
  checkAxes,
  div,
  greater,
  l2Normalize,
  log,
  maskedLogSoftmax,
  maskedSoftmax,
  matmul,
  maximum,
  mean,
  mul,
  smoothL1,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
  where,
} from "@concord/tensor";
import { overRowBlocks, weightedMean } from "./blocks.ts";
import { distancesOf } from "./distances.ts";
import {
  type OwnPairOptions,
  type PairOptions,
  type Relation,
  relationBetween,
  relationWithin,
} from "./relations.ts";

/** Embeddings of both sides of the pairs of a batch: [N, D] and [M, D]. */
export interface BothSides {
  readonly a: Tensor;
  readonly b: Tensor;
}

export interface DistillationOptions extends PairOptions {
  /** Factor s on the student's products; a number, or a scalar tensor when it is learned. Default 1. */
  readonly logitScale?: number | Tensor;
  /** Factor s' on the teacher's products. Default 1. */
  readonly teacherScale?: number | Tensor;
  /** T > 0 of the student's softmax. Default 1. */
  readonly temperature?: number;
  /** T' > 0 of the teacher's. Default: `temperature`. */
  readonly teacherTemperature?: number;
  /** Share α in [0, 1] of the true pairs in the targets. Default 0: the teacher alone. */
  readonly alpha?: number;
  /** `forward`, KL(q ‖ p): the student covers all that the teacher holds likely; `reverse`, KL(p ‖ q). Default `forward`. */
  readonly divergence?: "forward" | "reverse";
  /** Average of a → b and b → a; with false a → b only. Default true. */
  readonly symmetric?: boolean;
}

/** Below this probability q ln q is under 1e-28, and ln never meets 0. */
const SMALLEST_PROBABILITY = 1e-30;

const rowSum = (x: Tensor, keepDims = false): Tensor => sum(x, { axes: 1, keepDims });

interface Direction {
  readonly relation: Relation;
  readonly student: Tensor;
  readonly teacher: readonly [queries: Tensor, keys: Tensor];
  readonly options: DistillationOptions;
}

function divergenceOfRows({ relation, student, teacher, options }: Direction): Tensor {
  const { alpha = 0, divergence = "forward", blockRows } = options;
  const [teacherRows, teacherKeys] = teacher;
  const rows = overRowBlocks(relation.rows, relation.columns, blockRows, (at) => {
    const productsOf = (x: Tensor, y: Tensor): Tensor => matmul(at.rowsOf(x), y, { transposeB: true });
    const { positives, allowed } = relation.block(at);
    const kept = greater(allowed, 0);
    const soft = maskedSoftmax(productsOf(teacherRows, teacherKeys), kept);
    const mass = rowSum(positives, true);
    const matched = greater(mass, 0);
    const mixed = add(mul(soft, 1 - alpha), mul(div(positives, where(matched, mass, 1)), alpha));
    const targets = alpha === 0 ? soft : where(matched, mixed, soft);
    const logits = productsOf(student, relation.keys);
    const logProbabilities = maskedLogSoftmax(logits, kept);
    const logTargets = log(maximum(targets, SMALLEST_PROBABILITY));
    const loss =
      divergence === "forward"
        ? mul(targets, sub(logTargets, logProbabilities))
        : mul(maskedSoftmax(logits, kept), sub(logProbabilities, logTargets));
    return { loss: rowSum(loss), counted: cast(greater(rowSum(allowed), 0), logits.dtype) };
  });
  return weightedMean(rows.loss, rows.counted);
}

/**
 * Distillation of similarities: the student's distribution over the candidates of each row follows a teacher's, or a
 * mixture of the teacher's with the true pairs (hybrid).
 *
 *   L = T² / N Σ_i KL(q_i ‖ p_i),   p_i = softmax_j(s a_i·b_j / T),   q_i = α y_i + (1 - α) softmax_j(s' a'_i·b'_j / T')
 *
 * averaged with the same from b to a. y holds the true pairs, by default the identity, normalised to sum 1 in each row;
 * a row without any follows the teacher alone. α = 1 is InfoNCE. Masked pairs are in neither softmax. No gradient flows
 * to the teacher. In KL(p ‖ q) a target below 1e-30 counts as 1e-30.
 *
 * @param student  a [N, D], b [M, D]
 * @param teacher  a [N, D'], b [M, D'], embeddings of the same items
 * @returns scalar, nats · T², not below 0
 * @throws ShapeError when student and teacher differ in their numbers of rows; RangeError when a temperature is not
 *   positive or α lies outside [0, 1]
 * @source Hinton et al. 2015, section 2; hybrid: Yamaguchi et al. 2025 (CLIP-Refine)
 */
export function distillationLoss(
  student: BothSides,
  teacher: BothSides,
  options: DistillationOptions = {},
): Tensor {
  const operation = "distillationLoss";
  const { temperature = 1, teacherTemperature = temperature, alpha = 0, symmetric = true } = options;
  const { logitScale = 1, teacherScale = 1 } = options;
  for (const [name, value] of Object.entries({ temperature, teacherTemperature }))
    if (!(value > 0)) throw new RangeError(`${operation}: ${name} must be > 0, got ${value}`);
  for (const [name, value] of Object.entries({ logitScale, teacherScale }))
    if (typeof value === "number" && !(value > 0))
      throw new RangeError(`${operation}: ${name} must be > 0, got ${value}`);
  if (!(alpha >= 0 && alpha <= 1))
    throw new RangeError(`${operation}: alpha must lie in [0, 1], got ${alpha}`);
  checkAxes(operation, {
    "student a": [student.a, "N D"],
    "teacher a": [teacher.a, "N T"],
    "student b": [student.b, "M D"],
    "teacher b": [teacher.b, "M T"],
  });
  const direction = (relation: Relation, from: Tensor, to: Tensor): Tensor =>
    divergenceOfRows({
      relation,
      student: div(mul(relation.queries, logitScale), temperature),
      teacher: [stopGradient(div(mul(from, teacherScale), teacherTemperature)), stopGradient(to)],
      options,
    });
  const relation = relationBetween(operation, student.a, student.b, options);
  const forward = direction(relation, teacher.a, teacher.b);
  const both = symmetric
    ? mul(add(forward, direction(relation.transposed(), teacher.b, teacher.a)), 0.5)
    : forward;
  return mul(both, temperature ** 2);
}

/**
 * Mean squared difference of the similarities of all pairs by student and teacher:
 *
 *   L = mean_ij (s a_i·b_j - s' a'_i·b'_j)²
 *
 * By the weights of the mask. No gradient flows to the teacher.
 *
 * @param student  a [N, D], b [M, D]
 * @param teacher  a [N, D'], b [M, D']
 * @returns scalar; 0 when the mask leaves out all pairs
 * @throws ShapeError when student and teacher differ in their numbers of rows
 */
export function similarityMatchingLoss(
  student: BothSides,
  teacher: BothSides,
  options: Pick<DistillationOptions, "logitScale" | "teacherScale" | "mask" | "blockRows"> = {},
): Tensor {
  const { logitScale = 1, teacherScale = 1, blockRows } = options;
  checkAxes("similarityMatchingLoss", {
    "student a": [student.a, "N D"],
    "teacher a": [teacher.a, "N T"],
    "student b": [student.b, "M D"],
    "teacher b": [teacher.b, "M T"],
  });
  const relation = relationBetween("similarityMatchingLoss", student.a, student.b, options);
  const scaled = mul(student.a, logitScale);
  const [from, to] = [stopGradient(mul(teacher.a, teacherScale)), stopGradient(teacher.b)];
  const rows = overRowBlocks(relation.rows, relation.columns, blockRows, (at) => {
    const block = (x: Tensor): Tensor => at.rowsOf(x);
    const found = matmul(block(scaled), student.b, { transposeB: true });
    const wanted = matmul(block(from), to, { transposeB: true });
    const { allowed } = relation.block(at);
    return { loss: rowSum(mul(allowed, square(sub(found, wanted)))), weight: rowSum(allowed) };
  });
  return overTotal(rows.loss, rows.weight);
}

function overTotal(values: Tensor, weights: Tensor): Tensor {
  const total = sum(weights);
  return div(sum(values), where(greater(total, 0), total, 1));
}

/**
 * Relational distillation by distances: the distances among the student's rows, relative to their mean, follow those
 * among the teacher's.
 *
 *   L = mean_{i ≠ j} h(d_ij / mean d - d'_ij / mean d'),   h(x) = x² / 2 up to |x| = 1, then |x| - 1/2
 *
 * Widths may differ. By the weights of the mask, in the means of distances too. No gradient flows to the teacher.
 *
 * @param student  [N, D]
 * @param teacher  [N, D'] embeddings of the same items
 * @param options.mask  [N, N] false or 0 for pairs that are left out
 * @returns scalar; 0 when the mask leaves out all pairs
 * @throws ShapeError when the numbers of rows differ or the mask does not fit
 * @source Park et al. 2019, equations 6 to 8 (RKD-D)
 */
export function relationalDistanceLoss(
  student: Tensor,
  teacher: Tensor,
  options: Pick<OwnPairOptions, "mask" | "blockRows"> = {},
): Tensor {
  const operation = "relationalDistanceLoss";
  checkAxes(operation, { student: [student, "N D"], teacher: [teacher, "N T"] });
  const N = student.shape[0] as number;
  const relation = relationWithin(operation, student, options, "unmatched");
  const ofStudent = distancesOf(operation, relation, "euclidean");
  const fixed = stopGradient(teacher);
  const ofTeacher = distancesOf(operation, { ...relation, queries: fixed, keys: fixed }, "euclidean");
  const { columns, block } = relation;
  const totals = overRowBlocks(N, columns, options.blockRows, (at) => {
    const { allowed } = block(at);
    return {
      own: rowSum(mul(allowed, ofStudent(at))),
      other: rowSum(mul(allowed, ofTeacher(at))),
      weight: rowSum(allowed),
    };
  });
  const scaleOfMean = (total: Tensor): Tensor => {
    const average = overTotal(total, totals.weight);
    return div(1, where(greater(average, 0), average, 1));
  };
  const [own, other] = [scaleOfMean(totals.own), scaleOfMean(totals.other)];
  const rows = overRowBlocks(N, columns, options.blockRows, (at) => {
    const { allowed } = block(at);
    const found = mul(ofStudent(at), own);
    const wanted = mul(ofTeacher(at), other);
    return { loss: rowSum(mul(allowed, smoothL1(found, wanted))) };
  });
  return overTotal(rows.loss, totals.weight);
}

/**
 * Distance of embeddings from a teacher's embeddings of the same items, row by row: the mean over entries of
 * (x - t)², or the mean over rows of 1 - cosine. No gradient flows to the teacher.
 *
 * @param x        [N, D]
 * @param teacher  [N, D]
 * @param options.distance  default `squared`
 * @param options.weights   [N] weight of each row. Default: 1 each
 * @returns scalar; 0 when all weights are 0
 * @throws ShapeError when the shapes differ
 */
export function featureDistillationLoss(
  x: Tensor,
  teacher: Tensor,
  options: { readonly distance?: "squared" | "cosine"; readonly weights?: Tensor } = {},
): Tensor {
  const { distance = "squared", weights } = options;
  checkAxes("featureDistillationLoss", {
    x: [x, "N D"],
    teacher: [teacher, "N D"],
    ...(weights && { weights: [weights, "N"] as const }),
  });
  const target = stopGradient(teacher);
  const losses =
    distance === "cosine"
      ? sub(1, rowSum(mul(l2Normalize(x), l2Normalize(target))))
      : mean(square(sub(x, target)), { axes: 1 });
  return weights ? weightedMean(losses, cast(weights, x.dtype)) : mean(losses);
}
