import { broadcastShapes, checkAxes } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import type { Spec, TensorLike } from "../core/tensor.ts";
import { asOperands, defineUnitOp, type Tensor, type UnitOp } from "../core/tensor.ts";
import { mul } from "./arithmetic.ts";
import { reshape, sumTo, transpose } from "./structure.ts";

interface MatmulAttributes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly scale: number;
}

function swapLast(rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis));
}

const matmulOp: UnitOp<MatmulAttributes, [a: Tensor, b: Tensor]> = defineUnitOp({
  name: "matmul",
  infer: ([a, b], { transposeA, transposeB }) => {
    const [left, right] = [a.shape, b.shape];
    const described = `matmul: ${formatShape(left)}${transposeA ? " transposed" : ""} by ${formatShape(right)}${transposeB ? " transposed" : ""}`;
    if (left.length < 2 || right.length < 2)
      throw new ShapeError(`${described}: both operands need at least two axes`);
    const [rows, inner] = transposeA ? [left.at(-1), left.at(-2)] : [left.at(-2), left.at(-1)];
    const [inner2, columns] = transposeB ? [right.at(-1), right.at(-2)] : [right.at(-2), right.at(-1)];
    if (inner !== inner2) throw new ShapeError(`${described}: inner sizes ${inner} and ${inner2} differ`);
    return [
      {
        shape: [
          ...broadcastShapes("matmul", left.slice(0, -2), right.slice(0, -2)),
          rows as number,
          columns as number,
        ],
        dtype: a.dtype,
      },
    ];
  },
  lower: (graph, [a, b], { transposeA, transposeB, scale }, { inputs }) => {
    if (!transposeA && !transposeB && scale === 1) return [graph.node("MatMul", [a, b])];
    const [left, right] = inputs;
    if (graph.target.contribOps && left.dtype === "float32") {
      const attributes = { transA: Number(transposeA), transB: Number(transposeB), alpha: { float: scale } };
      const [rows, columns] = [left.shape.at(-1) as number, right.shape.at(-1) as number];
      if (
        transposeA &&
        !transposeB &&
        left.shape.length === 2 &&
        right.shape.length === 2 &&
        rows < columns
      ) {
        // The kernel turns its first operand over once for every 128 columns of the second: the wider goes first.
        const product = graph.node("FusedMatMul", [b, a], attributes, "com.microsoft");
        return [graph.node("Transpose", [product], { perm: [1, 0] })];
      }
      return [graph.node("FusedMatMul", [a, b], attributes, "com.microsoft")];
    }
    const swap = (x: string, spec: Spec): string =>
      graph.node("Transpose", [x], { perm: swapLast(spec.shape.length) });
    const product = graph.node("MatMul", [transposeA ? swap(a, left) : a, transposeB ? swap(b, right) : b]);
    return [scale === 1 ? product : graph.node("Mul", [product, graph.scalar(scale, left.dtype)])];
  },
  vjp: ({ inputs, cotangents, attributes: { transposeA, transposeB, scale } }) => {
    const [a, b] = inputs;
    const dy = cotangents[0];
    const da = transposeA
      ? matmulOp([b, dy], { transposeA: transposeB, transposeB: true, scale })
      : matmulOp([dy, b], { transposeA: false, transposeB: !transposeB, scale });
    // One large product over all leading axes instead of a batch of small ones and their sum.
    const flatten = b.rank === 2 && a.rank > 2 && !transposeA;
    const [x, g] = flatten
      ? ([a, dy].map((t) => reshape(t, [-1, t.shape.at(-1) as number])) as [Tensor, Tensor])
      : [a, dy];
    const db = transposeB
      ? matmulOp([g, x], { transposeA: true, transposeB: transposeA, scale })
      : matmulOp([x, g], { transposeA: !transposeA, transposeB: false, scale });
    return [sumTo(da, a.shape), sumTo(db, b.shape)];
  },
});

export interface MatmulOptions {
  /** Use a with its last two axes swapped. */
  readonly transposeA?: boolean;
  /** Use b with its last two axes swapped. */
  readonly transposeB?: boolean;
  /** Factor on the product. Default 1. */
  readonly scale?: number;
}

/**
 * Matrix product over the last two axes, leading axes broadcast: [..., M, K] · [..., K, N] = [..., M, N].
 *
 * @throws ShapeError when the inner sizes differ or an operand has fewer than two axes
 */
export function matmul(a: TensorLike, b: TensorLike, options: MatmulOptions = {}): Tensor {
  const [left, right] = asOperands("matmul", a, b);
  const { transposeA = false, transposeB = false, scale = 1 } = options;
  const attributes = { transposeA, transposeB, scale };
  return matmulOp([left, right], attributes);
}

/**
 * Inner product of two vectors [D]: a scalar.
 *
 * @throws ShapeError unless both are vectors of one length; DTypeError when their dtypes differ
 */
export function dot(a: TensorLike, b: TensorLike): Tensor {
  const [left, right] = asOperands("dot", a, b);
  if (left.rank !== 1 || right.rank !== 1 || left.shape[0] !== right.shape[0]) {
    throw new ShapeError(
      `dot: expected two vectors of one length, got ${formatShape(left.shape)} and ${formatShape(right.shape)}`,
    );
  }
  return sumTo(mul(left, right), []);
}

/**
 * Outer product of two vectors: [M] and [N] to [M, N].
 *
 * @throws ShapeError unless both are vectors; DTypeError when their dtypes differ
 */
export function outer(a: TensorLike, b: TensorLike): Tensor {
  const [left, right] = asOperands("outer", a, b);
  checkAxes("outer", { a: [left, "M"], b: [right, "N"] });
  return mul(transpose(reshape(left, [1, -1])), reshape(right, [1, -1]));
}
