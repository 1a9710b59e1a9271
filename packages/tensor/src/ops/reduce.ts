import { checkAxes, normalizeAxes, normalizeAxis } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import type { DType } from "../core/ndarray.ts";
import { sizeOf } from "../core/ndarray.ts";
import type { OpDefinition, Spec, TensorLike } from "../core/tensor.ts";
import { asOperands, asTensor, checkDType, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { cast, div, equal, mul, neg, sub } from "./arithmetic.ts";
import { exp, sqrt } from "./math.ts";
import type { ReduceOptions } from "./structure.ts";
import { broadcastTo, reducedShape, reduceWith, sum } from "./structure.ts";

interface ReduceAttributes {
  readonly axes: readonly number[];
}

function defineReduction(
  name: string,
  opType: string,
  vjp: (x: Tensor, y: Tensor, dy: Tensor, axes: readonly number[]) => Tensor,
  dtypes: readonly DType[] = ["float32", "float64"],
  lower?: OpDefinition<ReduceAttributes>["lower"],
): (x: TensorLike, options?: ReduceOptions) => Tensor {
  const op = defineUnitOp<ReduceAttributes, [x: Tensor]>({
    name,
    infer: ([x], { axes }) => {
      checkDType(name, [x], dtypes);
      const { shape, dtype } = x;
      const reduced = reducedShape(shape, axes);
      if (sizeOf(shape) === 0 && sizeOf(reduced) > 0)
        throw new ShapeError(`${name}: ${formatShape(shape)} has no entries along axes [${axes.join(", ")}]`);
      return [{ shape: reduced, dtype }];
    },
    lower:
      lower ?? ((graph, [x], { axes }) => [graph.node(opType, [x, graph.int64s(axes)], { keepdims: 1 })]),
    vjp: ({ inputs, outputs, cotangents, attributes }) => [
      vjp(inputs[0], outputs[0], cotangents[0], attributes.axes),
    ],
  });
  return (x, options = {}) => reduceWith(name, x, options, (input, axes) => op([input], { axes }));
}

/** Arithmetic mean over axes. */
export const mean = defineReduction("mean", "ReduceMean", (x, _y, dy, axes) =>
  broadcastTo(div(dy, sizeOf(axes.map((axis) => x.shape[axis] as number))), x.shape),
);

/** The gradient of an extremum, parted evenly among the entries that attain it. */
function toExtrema(x: Tensor, y: Tensor, dy: Tensor, axes: readonly number[]): Tensor {
  const attained = cast(equal(x, y), x.dtype);
  return mul(attained, div(dy, sum(attained, { axes, keepDims: true })));
}

const ORDERED: readonly DType[] = ["float32", "float64", "int32", "int64", "uint8"];

/**
 * Largest value over axes. Ties share the gradient evenly, as `maximum` and `minimum` share it by halves; operations that
 * choose one entry (maxPool and globalMaxPool, segmentMax, sort, topK) give all of it to that entry, the first.
 *
 * @throws ShapeError when x has no entries along the axes
 */
export const max = defineReduction("max", "ReduceMax", toExtrema, ORDERED);
/**
 * Smallest value over axes; ties share the gradient evenly, see `max`.
 *
 * @throws ShapeError when x has no entries along the axes
 */
export const min = defineReduction("min", "ReduceMin", toExtrema, ORDERED);

/** ln Σ e^x over axes, without overflow. */
export const logSumExp = defineReduction(
  "logSumExp",
  "ReduceLogSumExp",
  (x, y, dy) => mul(exp(sub(x, y)), dy),
  ["float32", "float64"],
  // Several times faster than ONNX Runtime's kernel of this name, which takes exponentials one at a time.
  (graph, [x], { axes }, { inputs }) => {
    const { dtype } = inputs[0] as Spec;
    const [over, kept] = [graph.int64s(axes), { keepdims: 1 }];
    const bound = dtype === "float32" ? 3.4e38 : Number.MAX_VALUE;
    const bounds = [graph.scalar(-bound, dtype), graph.scalar(bound, dtype)];
    // Bounded, so that rows of nothing but -∞ give -∞ and no NaN.
    const largest = graph.node("Clip", [graph.node("ReduceMax", [x as string, over], kept), ...bounds]);
    const powers = graph.node("Exp", [graph.node("Sub", [x as string, largest])]);
    return [graph.node("Add", [graph.node("Log", [graph.node("ReduceSum", [powers, over], kept)]), largest])];
  },
);

const reduceSquares = defineReduction("sumSquares", "ReduceSumSquare", (x, _y, dy) => mul(mul(x, 2), dy));

/** Σ x² over axes, without writing the squares to memory. */
export function sumSquares(x: TensorLike, options: ReduceOptions = {}): Tensor {
  const input = asTensor(x);
  const axes = normalizeAxes("sumSquares", options.axes, input.rank);
  return axes.length === 0 ? mul(input, input) : reduceSquares(input, options);
}

/** Mean of squared deviations (divided by n, not n - 1). */
export function variance(x: TensorLike, options: ReduceOptions = {}): Tensor {
  const centred = sub(x, mean(x, { ...options, keepDims: true }));
  return mean(mul(centred, centred), options);
}

/** Euclidean norm over axes: √(Σ x² + epsilon). A small epsilon keeps the gradient finite at 0. */
export function norm(x: TensorLike, options: ReduceOptions & { readonly epsilon?: number } = {}): Tensor {
  const { epsilon = 0, ...reduce } = options;
  const squares = sumSquares(x, reduce);
  return sqrt(epsilon === 0 ? squares : sub(squares, -epsilon));
}

/**
 * Rows of unit length: x / √(Σ x² + ε) along the last axis.
 *
 * @param x  [..., D]
 * @returns [..., D]
 * @param options.epsilon  keeps the gradient finite for a row of zeros. Default 1e-12
 * @throws ShapeError when x has no axis; DTypeError for integers
 */
export function l2Normalize(x: TensorLike, options: { readonly epsilon?: number } = {}): Tensor {
  const input = asTensor(x);
  return div(input, norm(input, { axes: -1, keepDims: true, epsilon: options.epsilon ?? 1e-12 }));
}

function defineAlongAxis(
  name: string,
  opType: string,
  vjp: (y: Tensor, dy: Tensor, axis: number) => Tensor,
): (x: TensorLike, axis?: number) => Tensor {
  const op = defineUnitOp<{ readonly axis: number }, [x: Tensor]>({
    name,
    infer: ([x]) => {
      checkDType(name, [x]);
      return [x];
    },
    lower: (graph, inputs, { axis }) => [graph.node(opType, inputs, { axis })],
    vjp: ({ outputs, cotangents, attributes }) => [vjp(outputs[0], cotangents[0], attributes.axis)],
  });
  return (x, axis = -1) => {
    const input = asTensor(x);
    return op([input], { axis: normalizeAxis(name, axis, input.rank) });
  };
}

/** e^x / Σ e^x along an axis (default: the last). */
export const softmax = defineAlongAxis("softmax", "Softmax", (y, dy, axis) => {
  const weighted = mul(dy, y);
  return sub(weighted, mul(y, sum(weighted, { axes: axis, keepDims: true })));
});

/** x - ln Σ e^x along an axis (default: the last). */
export const logSoftmax = defineAlongAxis("logSoftmax", "LogSoftmax", (y, dy, axis) =>
  sub(dy, mul(exp(y), sum(dy, { axes: axis, keepDims: true }))),
);

function defineArg(name: string, opType: string): (x: TensorLike, axis?: number) => Tensor {
  const op = defineUnitOp<{ readonly axis: number }, [x: Tensor]>({
    name,
    infer: ([x], { axis }) => {
      checkDType(name, [x], ORDERED);
      const { shape } = x;
      if (shape[axis] === 0)
        throw new ShapeError(`${name}: ${formatShape(shape)} has no entries along axis ${axis}`);
      return [{ shape: shape.toSpliced(axis, 1), dtype: "int32" }];
    },
    lower: (graph, inputs, { axis }) => [
      graph.cast(graph.node(opType, inputs, { axis, keepdims: 0 }), "int32"),
    ],
  });
  return (x, axis = -1) => {
    const input = asTensor(x);
    return op([input], { axis: normalizeAxis(name, axis, input.rank) });
  };
}

/**
 * Index of the largest value along an axis, the first one among equals: [..., N, ...] to [..., ...], the axis dropped.
 * It is int32, as every index that operations return (topK, argsort, searchSorted, …), so that it reads as a plain
 * number in JavaScript; operations that take indices accept int32 and int64.
 *
 * @param axis  default: the last
 * @throws ShapeError when x has no such axis or no entry along it; DTypeError for booleans
 */
export const argmax = defineArg("argmax", "ArgMax");

/** Index (int32) of the smallest value along an axis, otherwise as `argmax`. */
export const argmin = defineArg("argmin", "ArgMin");

/**
 * Cross-entropy of each row with a distribution over the classes, in nats: -Σ_j target_j ln softmax_j(logits). For class
 * numbers as targets there is `crossEntropy`.
 *
 * @param logits   [..., C]
 * @param targets  [..., C], rows that sum to 1
 * @returns [...]
 * @throws ShapeError when the numbers of classes differ; DTypeError when the dtypes differ
 */
export function softmaxCrossEntropy(logits: TensorLike, targets: TensorLike): Tensor {
  const [scores, wanted] = asOperands("softmaxCrossEntropy", logits, targets);
  checkAxes("softmaxCrossEntropy", { logits: [scores, "... C"], targets: [wanted, "... C"] });
  return neg(sum(mul(wanted, logSoftmax(scores)), { axes: -1 }));
}
