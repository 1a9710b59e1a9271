import type { Tensor, TensorLike } from "../../core/tensor.ts";
import { add, div, mul, sub } from "../arithmetic.ts";
import { eye } from "../create.ts";
import { abs, sqrt } from "../math.ts";
import { matmul } from "../matmul.ts";
import { trace } from "../rearrange.ts";
import { max, norm } from "../reduce.ts";
import { expandDims } from "../structure.ts";
import { asMatrices, asSquare, symmetricPart } from "./batches.ts";

function checkIterations(operation: string, iterations: number): void {
  if (!Number.isInteger(iterations) || iterations < 1)
    throw new RangeError(`${operation}: needs an integer number of iterations >= 1, got ${iterations}`);
}

/** A number for each matrix as [..., 1, 1]. */
function overMatrix(x: Tensor): Tensor {
  return expandDims(expandDims(x, -1), -1);
}

export interface InverseSquareRootOptions {
  /** Default 15. Each halves the digits that are missing once near; a smallest eigenvalue λ needs about ln(trace / λ) more. */
  readonly iterations?: number;
  /** Share of the mean eigenvalue that is added to the diagonal. Default 0. */
  readonly ridge?: number;
}

export interface InverseSquareRoot {
  /** W = A^(-1/2), symmetric: [..., N, N]. */
  readonly inverseRoot: Tensor;
  /** A^(1/2): [..., N, N]. */
  readonly root: Tensor;
  /** Largest entry of |W A W - I| of each matrix, [...]: how far the iteration is from its limit. */
  readonly residual: Tensor;
}

/**
 * Symmetric inverse square roots of symmetric positive definite matrices, for whitening (ZCA), by the coupled
 * Newton–Schulz iteration
 *
 *   Y_0 = A / tr A,  Z_0 = I,  T = (3 I - Z Y) / 2,  Y ← Y T,  Z ← T Z,   W = Z / √tr A
 *
 * Matrix products only, so it runs on every runtime; three products [N, N] an iteration, and the gradient goes through
 * all of them. What is not asked of the result is not computed.
 *
 * @param x  [..., N, N], positive definite; its symmetric part counts
 * @source Higham, Functions of Matrices (2008), section 6.7
 */
export function inverseSquareRoot(x: TensorLike, options: InverseSquareRootOptions = {}): InverseSquareRoot {
  const { iterations = 15, ridge = 0 } = options;
  const input = symmetricPart(asSquare("inverseSquareRoot", x));
  checkIterations("inverseSquareRoot", iterations);
  const size = input.shape.at(-1) as number;
  const identity = eye(size, input.dtype);
  const given = overMatrix(trace(input));
  const matrix = ridge === 0 ? input : add(input, mul(identity, mul(given, ridge / size)));
  const scale = ridge === 0 ? given : mul(given, 1 + ridge);
  let y = div(matrix, scale);
  let z: Tensor | undefined;
  for (let i = 0; i < iterations; i++) {
    const step = sub(mul(identity, 1.5), mul(z ? matmul(z, y) : y, 0.5));
    y = matmul(y, step);
    z = z ? matmul(step, z) : step;
  }
  const root = sqrt(scale);
  const inverseRoot = div(z as Tensor, root);
  const distance = abs(sub(matmul(matmul(inverseRoot, matrix), inverseRoot), identity));
  return { inverseRoot, root: mul(y, root), residual: max(distance, { axes: [-2, -1] }) };
}

/**
 * The nearest matrix with orthonormal rows or columns (whichever are fewer), U Vᵀ of the singular value decomposition
 * U S Vᵀ, by Newton–Schulz iterations
 *
 *   X_0 = A / ‖A‖_F,   X ← 1.5 X - 0.5 X Xᵀ X
 *
 * Matrix products only; the gradient goes through all of them. A singular value σ needs about 2.5 ln(‖A‖_F / σ)
 * iterations and five more; those that are 0 stay 0.
 *
 * @param x           [..., M, N] to [..., M, N]
 * @param iterations  default 20
 * @source Björck, Bowie 1971
 */
export function orthogonalize(x: TensorLike, options: { readonly iterations?: number } = {}): Tensor {
  const { iterations = 20 } = options;
  const input = asMatrices("orthogonalize", x);
  checkIterations("orthogonalize", iterations);
  const wide = (input.shape.at(-2) as number) <= (input.shape.at(-1) as number);
  let current = div(input, norm(input, { axes: [-2, -1], keepDims: true }));
  for (let i = 0; i < iterations; i++) {
    const gram = wide
      ? matmul(current, current, { transposeB: true })
      : matmul(current, current, { transposeA: true });
    const cubic = wide ? matmul(gram, current) : matmul(current, gram);
    current = sub(mul(current, 1.5), mul(cubic, 0.5));
  }
  return current;
}
