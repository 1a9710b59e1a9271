import { sameShape } from "../core/axes.ts";
import { DTypeError, formatShape, ShapeError } from "../core/errors.ts";
import { isFloat } from "../core/ndarray.ts";
import type { TensorLike } from "../core/tensor.ts";
import { asOperands, asTensor, checkDType, defineOp, defineUnitOp, Tensor } from "../core/tensor.ts";
import { clamp, mul, neg } from "./arithmetic.ts";
import { zerosLike } from "./create.ts";

const straightThroughOp = defineUnitOp<undefined, [hard: Tensor, soft: Tensor]>({
  name: "straightThrough",
  infer: ([hard]) => [hard],
  lower: (_graph, [hard]) => [hard],
  vjp: ({ cotangents: [dy] }) => [null, dy],
});

/**
 * The value of one tensor with the gradient of another: y = hard, dy/dsoft = 1, dy/dhard = 0. For rounding, signs and
 * choices that have no gradient of their own.
 *
 * @throws ShapeError, DTypeError when the two differ in shape or dtype
 * @source Bengio, Léonard, Courville 2013
 */
export function straightThrough(hard: TensorLike, soft: Tensor): Tensor {
  const [value, path] = asOperands("straightThrough", hard, soft);
  checkDType("straightThrough", [path]);
  if (!sameShape(value.shape, path.shape))
    throw new ShapeError(
      `straightThrough: hard and soft have shapes ${formatShape(value.shape)} and ${formatShape(path.shape)}`,
    );
  return straightThroughOp([value, path], undefined, { inputs: [value], attributes: undefined });
}

const scaleGradientOp = defineUnitOp<undefined, [x: Tensor, factor: Tensor]>({
  name: "scaleGradient",
  infer: ([x]) => [x],
  lower: (_graph, [x]) => [x],
  vjp: ({ inputs: [, factor], cotangents: [dy] }) => [mul(dy, factor), null],
});

function scaled(operation: string, x: Tensor, factor: TensorLike): Tensor {
  checkDType(operation, [x]);
  const scale = asTensor(factor, x.dtype);
  if (scale.rank !== 0 || scale.dtype !== x.dtype)
    throw new ShapeError(
      `${operation}: the factor must be a ${x.dtype} scalar, got ${scale.dtype} ${formatShape(scale.shape)}`,
    );
  return scaleGradientOp([x, scale], undefined, { inputs: [x], attributes: undefined });
}

/**
 * x, whose gradient is multiplied by a factor (a number or a scalar).
 *
 * @throws ShapeError when the factor is no scalar of the dtype of x; DTypeError for integers
 */
export function scaleGradient(x: Tensor, factor: TensorLike): Tensor {
  return scaled("scaleGradient", x, factor);
}

/**
 * x, whose gradient is multiplied by -scale: what follows is minimised by its own weights and maximised by those
 * before.
 *
 * @throws ShapeError when the scale is no scalar of the dtype of x; DTypeError for integers
 * @source Ganin, Lempitsky 2015
 */
export function gradientReversal(x: Tensor, scale: TensorLike = 1): Tensor {
  return scaled("gradientReversal", x, typeof scale === "number" ? -scale : neg(scale));
}

const clampGradientOp = defineUnitOp<{ readonly limit: number }, [x: Tensor]>({
  name: "clampGradient",
  infer: ([x]) => {
    checkDType("clampGradient", [x]);
    return [x];
  },
  lower: (_graph, [x]) => [x],
  vjp: ({ cotangents: [dy], attributes: { limit } }) => [clamp(dy, -limit, limit)],
});

/**
 * x, each entry of whose gradient is kept within [-limit, limit].
 *
 * @throws RangeError when the limit is negative; DTypeError for integers
 */
export function clampGradient(x: Tensor, limit: number): Tensor {
  if (!(limit >= 0)) throw new RangeError(`clampGradient: the limit must be at least 0, got ${limit}`);
  return clampGradientOp([x], { limit });
}

/** What the gradient rule of a custom operation gets. */
export interface CustomGradientArguments {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Gradient with respect to each output, zeros where an output does not matter. */
  readonly cotangents: readonly Tensor[];
}

type GradientRule = (args: CustomGradientArguments) => readonly (Tensor | null)[];

const customOp = defineOp<{ readonly backward: GradientRule; readonly inputs: number }>({
  name: "customGradient",
  infer: (inputs, { inputs: count }) => inputs.slice(count),
  lower: (_graph, results) => results,
  vjp: ({ inputs, outputs, cotangents, attributes: { backward, inputs: count } }) => {
    const own = inputs.slice(0, count);
    const gradients = backward({
      inputs: own,
      outputs,
      cotangents: outputs.map((output, i) => cotangents[i] ?? zerosLike(output)),
    });
    if (gradients.length !== count)
      throw new RangeError(
        `customGradient: backward must return one gradient, or null, for each of ${count} inputs; got ${gradients.length}`,
      );
    for (const [i, gradient] of gradients.entries()) {
      const { shape, dtype } = own[i] as Tensor;
      if (gradient && (!sameShape(gradient.shape, shape) || gradient.dtype !== dtype))
        throw new ShapeError(
          `customGradient: input ${i} is ${dtype} ${formatShape(shape)}, but backward returned ${gradient.dtype} ${formatShape(gradient.shape)} for it`,
        );
    }
    return [...gradients, ...outputs.map(() => null)];
  },
});

/**
 * A function of tensors whose gradient is a rule of one's own. The rule is made of tensor operations, so it can be
 * differentiated again. Tensors that `forward` uses without getting them as inputs are constants to it.
 *
 *   const safeSqrt = customGradient(
 *     (x) => sqrt(x),
 *     ({ outputs: [y], cotangents: [dy] }) => [div(mul(dy, 0.5), maximum(y, 1e-3))],
 *   );
 *
 * @throws DTypeError when no output is a float; ShapeError, RangeError (when differentiated) unless `backward` gives
 *   one gradient of the input's shape, or null, for each input
 */
export function customGradient<A extends readonly Tensor[], R extends Tensor | readonly Tensor[]>(
  forward: (...inputs: A) => R,
  backward: GradientRule,
): (...inputs: A) => R {
  return (...inputs) => {
    const result = forward(...inputs);
    const single = result instanceof Tensor;
    const results: readonly Tensor[] = single ? [result] : result;
    if (!results.some(({ dtype }) => isFloat(dtype)))
      throw new DTypeError("customGradient: forward must return at least one float tensor");
    const attributes = { backward, inputs: inputs.length };
    const outputs = customOp([...inputs, ...results], attributes, { inputs: results, attributes });
    return (single ? outputs[0] : outputs) as R;
  };
}
