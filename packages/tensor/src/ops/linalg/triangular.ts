import { formatShape, ShapeError } from "../../core/errors.ts";
import type { Spec, TensorLike } from "../../core/tensor.ts";
import { asOperands, defineUnitOp, type Tensor, type UnitOp } from "../../core/tensor.ts";
import type { GraphBuilder } from "../../onnx/builder.ts";
import { mul, neg, sub } from "../arithmetic.ts";
import { eye } from "../create.ts";
import { log } from "../math.ts";
import { matmul } from "../matmul.ts";
import { diagonal, tril, triu } from "../rearrange.ts";
import { reshape, sum, transpose } from "../structure.ts";
import { asMatrices, asSquare, flatBatch, sameBatch, symmetricPart } from "./batches.ts";

/** Rows and columns of [B, M, N] from `from` up to `to`. */
function block(
  graph: GraphBuilder,
  x: string,
  rows: readonly [number, number],
  columns: readonly [number, number],
): string {
  const at = (end: 0 | 1): string => graph.int64s([rows[end], columns[end]]);
  return graph.node("Slice", [x, at(0), at(1), graph.int64s([1, 2])]);
}

function transposed(graph: GraphBuilder, x: string): string {
  return graph.node("Transpose", [x], { perm: [0, 2, 1] });
}

interface Factor {
  readonly factor: string;
  readonly inverse: string;
}

/** L and its inverse by halves: everything but the 1 × 1 blocks is matrix products. */
function choleskyNodes(graph: GraphBuilder, x: string, { shape, dtype }: Spec): Factor {
  const [batch, size] = shape as [number, number, number];
  if (size === 1) {
    const factor = graph.node("Sqrt", [x]);
    return { factor, inverse: graph.node("Reciprocal", [factor]) };
  }
  const half = size >> 1;
  const [front, back] = [
    [0, half],
    [half, size],
  ] as const;
  const part = (n: number): Spec => ({ shape: [batch, n, n], dtype });
  const first = choleskyNodes(graph, block(graph, x, front, front), part(half));
  const below = graph.node("MatMul", [block(graph, x, back, front), transposed(graph, first.inverse)]);
  const rest = graph.node("Sub", [
    block(graph, x, back, back),
    graph.node("MatMul", [below, transposed(graph, below)]),
  ]);
  const second = choleskyNodes(graph, rest, part(size - half));
  const coupling = graph.node("Neg", [
    graph.node("MatMul", [graph.node("MatMul", [second.inverse, below]), first.inverse]),
  ]);
  const zeros = graph.node("Expand", [graph.scalar(0, dtype), graph.int64s([batch, half, size - half])]);
  const joined = (a: string, b: string, c: string): string => {
    const rows = [graph.node("Concat", [a, zeros], { axis: 2 }), graph.node("Concat", [b, c], { axis: 2 })];
    return graph.node("Concat", rows, { axis: 1 });
  };
  return {
    factor: joined(first.factor, below, second.factor),
    inverse: joined(first.inverse, coupling, second.inverse),
  };
}

const choleskyOp = defineUnitOp<undefined, [x: Tensor]>({
  name: "cholesky",
  infer: ([x]) => [x],
  lower: (graph, [x], _attributes, { inputs: [spec] }) => [choleskyNodes(graph, x, spec).factor],
  vjp: ({ outputs, cotangents }) => {
    const [factor, dy] = [outputs[0], cotangents[0]];
    // Murray 2016: dA = L⁻ᵀ Φ(Lᵀ dL) L⁻¹, made symmetric; Φ takes the lower triangle with half the diagonal.
    const products = tril(matmul(factor, dy, { transposeA: true }));
    const halved = sub(products, mul(products, mul(eye(factor.shape[2] as number, factor.dtype), 0.5)));
    const left = solveOp([factor, halved], { upper: false, transposed: true });
    return [symmetricPart(solveOp([factor, transpose(left)], { upper: false, transposed: true }))];
  },
});

/**
 * Cholesky factor of symmetric positive definite matrices: A = L Lᵀ with L lower triangular, [..., N, N] to
 * [..., N, N]. The symmetric part of A is factorised; NaN where it is not positive definite.
 *
 * Runs inside the graph on every runtime, by halves, down to single numbers: about 20 N nodes, so for N up to a few
 * hundred. float32 and float64.
 */
export function cholesky(x: TensorLike): Tensor {
  const input = asSquare("cholesky", x);
  return reshape(choleskyOp([flatBatch(symmetricPart(input))], undefined), input.shape);
}

interface SolveAttributes {
  readonly upper: boolean;
  readonly transposed: boolean;
}

/** Substitution by halves, from the top for lower triangles and from the bottom for upper ones. */
function substitution(
  graph: GraphBuilder,
  a: string,
  b: string,
  size: number,
  width: number,
  upper: boolean,
): string {
  if (size === 1) return graph.node("Div", [b, a]);
  const half = size >> 1;
  const [front, back, all] = [
    [0, half],
    [half, size],
    [0, width],
  ] as const;
  const [known, open] = upper ? [back, front] : [front, back];
  const part = (range: readonly [number, number], value: string): string =>
    substitution(graph, block(graph, a, range, range), value, range[1] - range[0], width, upper);
  const first = part(known, block(graph, b, known, all));
  const used = graph.node("MatMul", [block(graph, a, open, known), first]);
  const second = part(open, graph.node("Sub", [block(graph, b, open, all), used]));
  return graph.node("Concat", upper ? [second, first] : [first, second], { axis: 1 });
}

const solveOp: UnitOp<SolveAttributes, [a: Tensor, b: Tensor]> = defineUnitOp({
  name: "triangularSolve",
  infer: ([, b]) => [b],
  lower: (graph, [a, b], { upper, transposed: turned }, { inputs: [, spec] }) => {
    const [, size, width] = spec.shape as [number, number, number];
    const matrix = turned ? transposed(graph, a) : a;
    return [substitution(graph, matrix, b, size, width, upper !== turned)];
  },
  vjp: ({ inputs: [a], outputs: [y], cotangents: [dy], attributes: { upper, transposed: turned } }) => {
    const db = solveOp([a, dy], { upper, transposed: !turned });
    const [left, right] = turned ? [y, db] : [db, y];
    const da = matmul(left, right, { transposeB: true, scale: -1 });
    return [upper ? triu(da) : tril(da), db];
  },
});

export interface TriangularSolveOptions {
  /** The upper triangle of A counts, not the lower one. Default false. */
  readonly upper?: boolean;
  /** Solve Aᵀ X = B. Default false. */
  readonly transpose?: boolean;
}

/**
 * Solves A X = B for triangular A by substitution: [..., N, N] and [..., N, K] to [..., N, K]. The other triangle of A
 * is not read. Runs inside the graph on every runtime, about 7 N nodes.
 *
 * @throws ShapeError when the rows differ or leading axes do not broadcast
 */
export function triangularSolve(a: TensorLike, b: TensorLike, options: TriangularSolveOptions = {}): Tensor {
  const [matrix, values] = solvable("triangularSolve", a, b);
  const attributes = { upper: options.upper ?? false, transposed: options.transpose ?? false };
  return reshape(solveOp([flatBatch(matrix), flatBatch(values)], attributes), values.shape);
}

function solvable(operation: string, a: TensorLike, b: TensorLike): readonly [Tensor, Tensor] {
  const [left, right] = asOperands(operation, a, b);
  const [matrix, values] = [asSquare(operation, left), asMatrices(operation, right)];
  if (matrix.shape.at(-1) !== values.shape.at(-2))
    throw new ShapeError(
      `${operation}: A [..., N, N] and B [..., N, K] have shapes ${formatShape(matrix.shape)} and ${formatShape(values.shape)}`,
    );
  return sameBatch(operation, matrix, values);
}

/**
 * Solves A X = B for symmetric positive definite A by Cholesky's factorisation: [..., N, N] and [..., N, K] to
 * [..., N, K]. NaN where A is not positive definite.
 *
 * @throws ShapeError when the rows differ or leading axes do not broadcast
 */
export function solvePositive(a: TensorLike, b: TensorLike): Tensor {
  const [matrix, values] = solvable("solvePositive", a, b);
  const factor = cholesky(matrix);
  return triangularSolve(factor, triangularSolve(factor, values), { transpose: true });
}

/** ln det A of symmetric positive definite matrices: [..., N, N] to [...]. NaN where A is not positive definite. */
export function logDeterminant(x: TensorLike): Tensor {
  return mul(sum(log(diagonal(cholesky(asSquare("logDeterminant", x)))), { axes: -1 }), 2);
}

const inverseOp: UnitOp<undefined, [x: Tensor]> = defineUnitOp({
  name: "inverse",
  infer: ([x]) => [x],
  lower: (graph, [x], _attributes, { inputs: [spec] }) => {
    if (graph.target.contribOps) return [graph.node("Inverse", [x], {}, "com.microsoft")];
    const turned = transposed(graph, x);
    const gram = graph.node("MatMul", [turned, x]);
    const { inverse } = choleskyNodes(graph, gram, spec);
    return [graph.node("MatMul", [transposed(graph, inverse), graph.node("MatMul", [inverse, turned])])];
  },
  vjp: ({ outputs: [y], cotangents: [dy] }) => {
    const inner = matmul(y, dy, { transposeA: true });
    return [neg(matmul(inner, y, { transposeB: true }))];
  },
});

/**
 * Inverse of square matrices: [..., N, N] to [..., N, N]. ONNX Runtime's kernel (LU with pivots) where there is one;
 * elsewhere through A⁻¹ = (AᵀA)⁻¹ Aᵀ inside the graph, which loses twice as many digits to the condition number.
 * Prefer `solvePositive` where only a product with the inverse of a positive definite matrix is wanted.
 */
export function inverse(x: TensorLike): Tensor {
  const input = asSquare("inverse", x);
  return reshape(inverseOp([flatBatch(input)], undefined), input.shape);
}
