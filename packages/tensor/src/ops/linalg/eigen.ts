import { ndarray } from "../../core/ndarray.ts";
import type { Spec, TensorLike } from "../../core/tensor.ts";
import { defineOp, type Tensor } from "../../core/tensor.ts";
import type { GraphBuilder } from "../../onnx/builder.ts";
import { add, div, maximum, mul, stopGradient, sub } from "../arithmetic.ts";
import { abs } from "../math.ts";
import { matmul } from "../matmul.ts";
import { diagonalMatrix } from "../rearrange.ts";
import { max } from "../reduce.ts";
import { expandDims, reshape, transpose } from "../structure.ts";
import { asMatrices, asSquare, flatBatch, symmetricPart } from "./batches.ts";
import { jacobiNodes } from "./jacobi.ts";

/** The rows [B, N, K] beside the rows of identity matrices, and padded with zeros to an even number N. */
function besideIdentity(
  graph: GraphBuilder,
  x: string,
  { shape, dtype }: Spec,
): readonly [rows: string, spec: Spec] {
  const [batch, size, width] = shape as [number, number, number];
  const even = size + (size % 2);
  const padding = graph.int64s([0, 0, 0, 0, even - size, 0]);
  const rows = even === size ? x : graph.node("Pad", [x, padding, graph.scalar(0, dtype)]);
  const identity = ndarray(
    Array.from({ length: even * even }, (_, i) => (i % (even + 1) === 0 ? 1 : 0)),
    { shape: [1, even, even], dtype },
  );
  const each = graph.node("Expand", [graph.constant(identity), graph.int64s([batch, even, even])]);
  const joined = graph.node("Concat", [rows, each], { axis: 2 });
  return [joined, { shape: [batch, even, width + even], dtype }];
}

/** Columns `from` to `to` of the first `count` rows. */
function cut(graph: GraphBuilder, rows: string, count: number, from: number, to: number): string {
  const bounds = [graph.int64s([0, from]), graph.int64s([count, to]), graph.int64s([1, 2])];
  return graph.node("Slice", [rows, ...bounds]);
}

/** Rows [B, N, K] in the order of indices [B, N]. */
function orderedRows(graph: GraphBuilder, rows: string, indices: string, width: number, spec: Spec): string {
  const [batch, size] = spec.shape as [number, number];
  const wide = graph.node("Unsqueeze", [indices, graph.int64s([2])]);
  const each = graph.node("Expand", [wide, graph.int64s([batch, size, width])]);
  return graph.node("GatherElements", [rows, each], { axis: 1 });
}

/** 1 or -1 for each row, so that its largest entry becomes positive: [B, N, 1]. */
function signs(graph: GraphBuilder, rows: string, dtype: Spec["dtype"]): string {
  const where = graph.node("ArgMax", [graph.node("Abs", [rows])], { axis: 2, keepdims: 1 });
  const largest = graph.node("GatherElements", [rows, where], { axis: 2 });
  const positive = graph.node("GreaterOrEqual", [largest, graph.scalar(0, dtype)]);
  return graph.node("Where", [positive, graph.scalar(1, dtype), graph.scalar(-1, dtype)]);
}

function turned(graph: GraphBuilder, x: string): string {
  return graph.node("Transpose", [x], { perm: [0, 2, 1] });
}

/**
 * 1 / (x_j - x_i) for i ≠ j, 0 on the diagonal: [B, N] to [B, N, N]. Gaps that are nothing beside the largest entry
 * count as 0, and give 0, instead of a division by it.
 */
function inverseGaps(x: Tensor): Tensor {
  const gaps = sub(expandDims(x, 1), expandDims(x, 2));
  const scale = stopGradient(max(abs(x), { axes: -1, keepDims: true }));
  const smallest = mul(expandDims(scale, 2), x.dtype === "float64" ? 1e-12 : 1e-6);
  const guard = maximum(mul(smallest, smallest), x.dtype === "float64" ? 1e-290 : 1e-36);
  return div(gaps, add(mul(gaps, gaps), guard));
}

/** How a gradient turns orthonormal columns: F ⊙ (VᵀdV - dVᵀV). */
function turning(vectors: Tensor, gradient: Tensor, gaps: Tensor): Tensor {
  const product = matmul(vectors, gradient, { transposeA: true });
  return mul(gaps, sub(product, transpose(product)));
}

const eigenOp = defineOp<undefined, [x: Tensor], [values: Tensor, vectors: Tensor]>({
  name: "symmetricEigen",
  infer: ([x]) => [{ shape: x.shape.slice(0, 2), dtype: x.dtype }, x],
  lower: (graph, [x], _attributes, { inputs: [spec] }) => {
    const { shape, dtype } = spec;
    const size = shape[1] as number;
    const [rows, wide] = besideIdentity(graph, columnsPadded(graph, x, size, dtype), {
      shape: shape.with(2, size + (size % 2)),
      dtype,
    });
    const [batch, even, width] = wide.shape as [number, number, number];
    const half = even / 2;
    const largest = graph.node("ReduceMax", [graph.node("Abs", [x])], { keepdims: 0 });
    const entries = (body: GraphBuilder, from: string, at: (i: number) => number): string =>
      body.node(
        "Gather",
        [
          body.node("Reshape", [from, body.int64s([batch, even * width])]),
          body.int64s(Array.from({ length: half }, (_, i) => at(i))),
        ],
        { axis: 1 },
      );
    const result = jacobiNodes(graph, {
      rows,
      spec: wide,
      scale: () => largest,
      pairs: (body, from) => ({
        first: entries(body, from, (i) => i * width + i),
        second: entries(body, from, (i) => (i + half) * (width + 1)),
        coupling: entries(body, from, (i) => i * width + i + half),
      }),
      round: (body, from, rotate) => {
        const halves = body.nodeWithOutputs("Split", [rotate(from)], 2, { axis: 2, num_outputs: 2 });
        const [matrix, vectors] = halves as [string, string];
        return body.node("Concat", [rotate(turned(body, matrix)), vectors], { axis: 2 });
      },
    });
    const diagonal = graph.node(
      "Gather",
      [
        graph.reshape(result, [batch, even * width]),
        graph.int64s(Array.from({ length: size }, (_, i) => i * (width + 1))),
      ],
      { axis: 1 },
    );
    const [values, order] = graph.nodeWithOutputs("TopK", [diagonal, graph.int64s([size])], 2, {
      axis: 1,
      largest: 0,
    }) as [string, string];
    const vectors = orderedRows(graph, cut(graph, result, size, even, even + size), order, size, spec);
    return [values, turned(graph, graph.node("Mul", [vectors, signs(graph, vectors, dtype)]))];
  },
  vjp: ({ outputs, cotangents: [dValues, dVectors] }) => {
    const [values, vectors] = outputs;
    const parts: Tensor[] = [];
    if (dValues) parts.push(diagonalMatrix(dValues));
    if (dVectors) parts.push(mul(turning(vectors, dVectors, inverseGaps(values)), 0.5));
    const inner = parts.slice(1).reduce(add, parts[0] as Tensor);
    return [symmetricPart(matmul(matmul(vectors, inner), vectors, { transposeB: true }))];
  },
});

function columnsPadded(graph: GraphBuilder, x: string, size: number, dtype: Spec["dtype"]): string {
  if (size % 2 === 0) return x;
  return graph.node("Pad", [x, graph.int64s([0, 0, 0, 0, 0, 1]), graph.scalar(0, dtype)]);
}

export interface SymmetricEigen {
  /** Ascending: [..., N]. */
  readonly values: Tensor;
  /** Column j belongs to value j, of length 1, its largest entry positive: [..., N, N]. */
  readonly vectors: Tensor;
}

/**
 * Eigenvalues and eigenvectors of symmetric matrices, A = V diag(λ) Vᵀ; the symmetric part of A counts.
 *
 * Jacobi's method in a loop of the graph, on every runtime: sweeps of N - 1 rounds of N / 2 rotations, 6 to 10 sweeps
 * of O(N³), good for N up to about a hundred. Relative to the largest eigenvalue, errors are about 2e-5 at N = 64 in
 * float32 and 3e-14 in float64. The gradient is V (diag(dλ) + F ⊙ (Vᵀ dV - dVᵀ V) / 2) Vᵀ with
 * F_ij = 1 / (λ_j - λ_i). Among equal eigenvalues the vectors are a matter of choice; their terms are left out.
 *
 * @param x  [..., N, N]
 * @source Golub, Van Loan, Matrix Computations (2013), section 8.5; gradient: Giles 2008
 */
export function symmetricEigen(x: TensorLike): SymmetricEigen {
  const input = asSquare("symmetricEigen", x);
  const [values, vectors] = eigenOp([flatBatch(symmetricPart(input))], undefined);
  return { values: reshape(values, input.shape.slice(0, -1)), vectors: reshape(vectors, input.shape) };
}

/** U [B, M, N], s [B, N] and V [B, N, N] of [B, M, N] with M ≥ N. */
const svdOp = defineOp<undefined, [x: Tensor], [u: Tensor, values: Tensor, v: Tensor]>({
  name: "svd",
  infer: ([x]) => {
    const { shape, dtype } = x;
    const [batch, , size] = shape as [number, number, number];
    return [x, { shape: [batch, size], dtype }, { shape: [batch, size, size], dtype }];
  },
  lower: (graph, [x], _attributes, { inputs: [spec] }) => {
    const { shape, dtype } = spec;
    const [batch, length, size] = shape as [number, number, number];
    const columns: Spec = { shape: [batch, size, length], dtype };
    const [rows, wide] = besideIdentity(graph, turned(graph, x), columns);
    const even = wide.shape[1] as number;
    const half = even / 2;
    const result = jacobiNodes(graph, {
      rows,
      spec: wide,
      pairs: (body, from) => {
        const part = (start: number): string =>
          body.node("Slice", [
            from,
            body.int64s([start, 0]),
            body.int64s([start + half, length]),
            body.int64s([1, 2]),
          ]);
        const over = (product: string): string =>
          body.node("ReduceSum", [product, body.int64s([2])], { keepdims: 0 });
        const [first, second] = [part(0), part(half)];
        return {
          first: over(body.node("Mul", [first, first])),
          second: over(body.node("Mul", [second, second])),
          coupling: over(body.node("Mul", [first, second])),
        };
      },
      scale: (body, { first, second }) => {
        const both = body.node("Sqrt", [body.node("Mul", [first, second])]);
        const largest = body.node("ReduceMax", [body.node("Max", [first, second])], { keepdims: 0 });
        const noise = body.scalar(dtype === "float64" ? 1e-15 : 1e-7, dtype);
        return body.node("Add", [both, body.node("Mul", [largest, noise])]);
      },
      round: (_body, from, rotate) => rotate(from),
    });
    const unordered = cut(graph, result, size, 0, length);
    const lengths = graph.node("ReduceL2", [unordered, graph.int64s([2])], { keepdims: 0 });
    const [values, order] = graph.nodeWithOutputs("TopK", [lengths, graph.int64s([size])], 2, {
      axis: 1,
    }) as [string, string];
    const vectors = cut(graph, result, size, length, length + size);
    const right = orderedRows(graph, vectors, order, size, { shape: [batch, size], dtype });
    const left = orderedRows(graph, unordered, order, length, { shape: [batch, size], dtype });
    const turn = signs(graph, right, dtype);
    const tiny = graph.scalar(dtype === "float64" ? 1e-300 : 1e-37, dtype);
    const safe = graph.node("Unsqueeze", [graph.node("Max", [values, tiny]), graph.int64s([2])]);
    const unit = graph.node("Mul", [graph.node("Div", [left, safe]), turn]);
    return [turned(graph, unit), values, turned(graph, graph.node("Mul", [right, turn]))];
  },
  vjp: ({ outputs, cotangents: [dU, dS, dV] }) => {
    const [u, s, v] = outputs;
    const gaps = inverseGaps(mul(s, s));
    const [asRows, asColumns] = [expandDims(s, 1), expandDims(s, 2)];
    const inner: Tensor[] = [];
    if (dS) inner.push(diagonalMatrix(dS));
    if (dU) inner.push(mul(turning(u, dU, gaps), asRows));
    if (dV) inner.push(mul(turning(v, dV, gaps), asColumns));
    let left = matmul(u, inner.slice(1).reduce(add, inner[0] as Tensor));
    if (dU && (u.shape[1] as number) > (u.shape[2] as number)) {
      const outside = sub(dU, matmul(u, matmul(u, dU, { transposeA: true })));
      left = add(left, div(outside, maximum(asRows, u.dtype === "float64" ? 1e-290 : 1e-36)));
    }
    return [matmul(left, v, { transposeB: true })];
  },
});

export interface SingularValues {
  /** Left vectors as columns: [..., M, K]. */
  readonly u: Tensor;
  /** Descending: [..., K], K = min(M, N). */
  readonly s: Tensor;
  /** Right vectors as columns: [..., N, K]. */
  readonly v: Tensor;
}

/**
 * Thin singular value decomposition, A = U diag(s) Vᵀ. The largest entry of each column of the square factor (V, or U
 * where M < N) is positive; to a singular value of 0 belongs a column of zeros in the other factor.
 *
 * Jacobi's method on the columns, in a loop of the graph, as `symmetricEigen`; small singular values keep their
 * digits, as AᵀA is never formed. The gradient has terms 1 / (s_j² - s_i²) and 1 / s_i, and leaves out those of equal
 * values.
 *
 * @param x  [..., M, N]
 * @source Hestenes 1958; gradient: Townsend 2016
 */
export function svd(x: TensorLike): SingularValues {
  const input = asMatrices("svd", x);
  const lead = input.shape.slice(0, -2);
  const tall = (input.shape.at(-2) as number) >= (input.shape.at(-1) as number);
  const matrices = flatBatch(tall ? input : transpose(input));
  const [long, s, square] = svdOp([matrices], undefined);
  const [u, v] = tall ? [long, square] : [square, long];
  const unflat = (value: Tensor): Tensor => reshape(value, [...lead, ...value.shape.slice(1)]);
  return { u: unflat(u), s: unflat(s), v: unflat(v) };
}
