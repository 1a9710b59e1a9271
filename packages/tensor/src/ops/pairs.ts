import { checkAxes } from "../core/axes.ts";
import { pullback } from "../core/grad.ts";
import type { DType } from "../core/ndarray.ts";
import type { Spec } from "../core/tensor.ts";
import { checkDType, defineOp, type Tensor } from "../core/tensor.ts";
import type { GraphBuilder } from "../onnx/builder.ts";
import { add, mul, neg, stopGradient, sub } from "./arithmetic.ts";
import { matmul } from "./matmul.ts";
import { softmax } from "./reduce.ts";
import { reshape } from "./structure.ts";

/** Rows [start, start + count) of a graph value, as emitted nodes. */
function rowsOf(graph: GraphBuilder, x: string, start: number, count: number): string {
  const bounds = [start, start + count].map((n) => graph.int64s([n]));
  return graph.node("Slice", [x, ...bounds, graph.int64s([0])]);
}

/** a · bᵀ of two graph values. */
function productWithTransposed(graph: GraphBuilder, a: string, b: string, dtype: DType): string {
  if (dtype === "float32" && graph.target.contribOps)
    return graph.node("FusedMatMul", [a, b], { transB: 1 }, "com.microsoft");
  return graph.node("MatMul", [a, graph.node("Transpose", [b], { perm: [1, 0] })]);
}

interface Blocked {
  /** Values that pass from block to block, with their shapes. */
  readonly states: readonly (readonly [start: string, shape: readonly number[]])[];
  /** Values of which each block gets its rows: [B, width]. */
  readonly rows: readonly (readonly [value: string, width: number, dtype: DType])[];
  /** Width of the results that each block gives for its rows: [B, width]. */
  readonly results: readonly number[];
  readonly block: (
    graph: GraphBuilder,
    states: readonly string[],
    rows: readonly string[],
    count: number,
  ) => { readonly states: readonly string[]; readonly results: readonly string[] };
}

/**
 * Emits a computation over blocks of rows, one after another: a Scan over the whole blocks, so that the runtime frees
 * what a block needed before the next, then the rest. Returns the last states and the results of all rows.
 */
function overBlocks(
  graph: GraphBuilder,
  rowCount: number,
  blockRows: number,
  dtype: DType,
  { states, rows, results, block }: Blocked,
): { readonly states: readonly string[]; readonly results: readonly string[] } {
  const whole = Math.floor(rowCount / blockRows);
  const rest = rowCount - whole * blockRows;
  let current = states.map(([start]) => start);
  const parts: string[][] = results.map(() => []);
  if (whole > 0) {
    const body = graph.body();
    const inner = [...states.keys()].map((i) => `${body.prefix}state${i}`);
    inner.forEach((name, i) => body.input(name, { shape: states[i]?.[1] ?? [], dtype }));
    const slices = rows.map(([, width, type], i) =>
      body.input(`${body.prefix}rows${i}`, { shape: [blockRows, width], dtype: type }),
    );
    const made = block(body, inner, slices, blockRows);
    made.states.forEach((value, i) =>
      body.output(`${body.prefix}next${i}`, value, { shape: states[i]?.[1] ?? [], dtype }),
    );
    made.results.forEach((value, i) =>
      body.output(`${body.prefix}result${i}`, value, { shape: [blockRows, results[i] as number], dtype }),
    );
    const blocks = rows.map(([value, width]) => {
      const first = rest === 0 ? value : rowsOf(graph, value, 0, whole * blockRows);
      return graph.reshape(first, [whole, blockRows, width]);
    });
    const outputs = graph.nodeWithOutputs("Scan", [...current, ...blocks], states.length + results.length, {
      body: { body },
      num_scan_inputs: rows.length,
    });
    current = outputs.slice(0, states.length);
    outputs.slice(states.length).forEach((value, i) => {
      parts[i]?.push(graph.reshape(value, [whole * blockRows, results[i] as number]));
    });
  }
  if (rest > 0) {
    const slices = rows.map(([value]) => rowsOf(graph, value, whole * blockRows, rest));
    const made = block(graph, current, slices, rest);
    current = [...made.states];
    made.results.forEach((value, i) => parts[i]?.push(value));
  }
  return {
    states: current,
    results: parts.map((list) =>
      list.length === 1 ? (list[0] as string) : graph.node("Concat", list, { axis: 0 }),
    ),
  };
}

interface PairAttributes {
  readonly blockRows: number;
}

/** Outputs: the relative log-sum-exp of rows and of columns, and the diagonal, each [B]. */
const pairsOp = defineOp<
  PairAttributes,
  [a: Tensor, b: Tensor],
  [row: Tensor, column: Tensor, diagonal: Tensor]
>({
  name: "pairLogSumExp",
  infer: ([a]) => {
    const { shape, dtype } = a;
    const perRow = { shape: [shape[0] as number], dtype };
    return [perRow, perRow, perRow];
  },
  lower: (graph, [a, b], { blockRows }, { inputs: [left], used }) => {
    const { shape, dtype } = left;
    const [B, D] = shape as [number, number];
    const lowest = graph.scalar(dtype === "float32" ? -3e38 : -1e308, dtype);
    const fill = (value: string): string => graph.node("Expand", [value, graph.int64s([1, B])]);
    const range = graph.node(
      "Range",
      [0, B, 1].map((n) => graph.scalar(n, "int64")),
    );
    const rowNumbers = graph.reshape(range, [B, 1]);
    const { states, results } = overBlocks(graph, B, blockRows, dtype, {
      states: used[1]
        ? [
            [fill(lowest), [1, B]],
            [fill(graph.scalar(0, dtype)), [1, B]],
          ]
        : [],
      rows: [
        [a, D, dtype],
        [rowNumbers, 1, "int64"],
      ],
      results: [1, 1],
      block: (nodes, [maximum, total], [rows, numbers]) => {
        const products = productWithTransposed(nodes, rows as string, b, dtype);
        const diagonal = nodes.node("GatherElements", [products, numbers as string], { axis: 1 });
        const logProbabilities = nodes.node("LogSoftmax", [products], { axis: -1 });
        const own = nodes.node("GatherElements", [logProbabilities, numbers as string], { axis: 1 });
        const row = nodes.node("Neg", [own]);
        if (maximum === undefined) return { states: [], results: [row, diagonal] };
        const onColumns = nodes.int64s([0]);
        const highest = nodes.node("Max", [maximum, nodes.node("ReduceMax", [products, onColumns])]);
        const shrunk = nodes.node("Mul", [
          total as string,
          nodes.node("Exp", [nodes.node("Sub", [maximum, highest])]),
        ]);
        const added = nodes.node("ReduceSum", [
          nodes.node("Exp", [nodes.node("Sub", [products, highest])]),
          onColumns,
        ]);
        return { states: [highest, nodes.node("Add", [shrunk, added])], results: [row, diagonal] };
      },
    });
    const flat = (x: string): string => graph.reshape(x, [B]);
    const [row, diagonal] = results.map(flat) as [string, string];
    if (!used[1]) return [row, row, diagonal];
    const [maximum, total] = states.map(flat) as [string, string];
    const column = graph.node("Add", [graph.node("Sub", [maximum, diagonal]), graph.node("Log", [total])]);
    return [row, column, diagonal];
  },
  vjp: ({ inputs, outputs, cotangents, attributes: { blockRows } }) => {
    const [a, b] = inputs;
    const [, column, diagonal] = outputs;
    const [dRow, dColumn, dDiagonal] = cotangents;
    // The diagonal is a result of its own and what the others are relative to.
    let onDiagonal = dDiagonal;
    for (const relative of [dRow, dColumn])
      if (relative) onDiagonal = onDiagonal ? sub(onDiagonal, relative) : neg(relative);
    const weight = reshape(onDiagonal as Tensor, [-1, 1]);
    const own: [Tensor, Tensor] = [mul(weight, b), mul(weight, a)];
    if (!dRow && !dColumn) return own;
    const attributes = { blockRows, rows: dRow !== null, columns: dColumn !== null };
    const operands = [a, b, ...(dRow ? [dRow] : []), ...(dColumn ? [dColumn] : [])];
    const known = dColumn ? [...operands, add(column, diagonal)] : operands;
    const slopes = slopesOp(operands, attributes, { inputs: known, attributes });
    return slopes.map((slope, i) => add(slope, own[i] as Tensor));
  },
});

interface SlopeAttributes extends PairAttributes {
  readonly rows: boolean;
  readonly columns: boolean;
}

/** S = a bᵀ weighted by softmaxes: W = r ∘ softmax_rows(S) + c ∘ softmax_columns(S). Returns W b and Wᵀ a, whole. */
function slopes(
  [a, b, ...weights]: readonly Tensor[],
  { rows, columns }: SlopeAttributes,
): readonly [Tensor, Tensor] {
  const products = matmul(a as Tensor, b as Tensor, { transposeB: true });
  const parts: Tensor[] = [];
  if (rows) parts.push(mul(reshape(weights[0] as Tensor, [-1, 1]), softmax(products)));
  if (columns) parts.push(mul(reshape(weights.at(-1) as Tensor, [1, -1]), softmax(products, 0)));
  const weighted = parts.reduce(add);
  return [matmul(weighted, b as Tensor), matmul(weighted, a as Tensor, { transposeA: true })];
}

/**
 * The blocked form of `slopes`. Inputs a, b, r (if rows), c (if columns); compiled with the log-sum-exp of the
 * columns as one more.
 */
const slopesOp = defineOp<SlopeAttributes>({
  name: "pairLogSumExpGradient",
  infer: ([a, b]) => [a as Spec, b as Spec],
  lower: (graph, [a, b, ...weights], { blockRows, rows: hasRows, columns }, { inputs: [left] }) => {
    const { shape, dtype } = left as Spec;
    const [B, D] = shape as [number, number];
    const rowWeights = hasRows ? [graph.reshape(weights[0] as string, [B, 1])] : [];
    const [columnWeights, logSums] = columns ? weights.slice(-2).map((x) => graph.reshape(x, [1, B])) : [];
    const zeros = graph.node("Expand", [graph.scalar(0, dtype), graph.int64s([B, D])]);
    const { states, results } = overBlocks(graph, B, blockRows, dtype, {
      states: [[zeros, [B, D]]],
      rows: [[a as string, D, dtype], ...rowWeights.map((x) => [x, 1, dtype] as const)],
      results: [D],
      block: (nodes, [sum], [rows, weight]) => {
        const products = productWithTransposed(nodes, rows as string, b as string, dtype);
        const parts: string[] = [];
        if (weight !== undefined)
          parts.push(nodes.node("Mul", [nodes.node("Softmax", [products], { axis: -1 }), weight]));
        if (columnWeights !== undefined) {
          const share = nodes.node("Exp", [nodes.node("Sub", [products, logSums as string])]);
          parts.push(nodes.node("Mul", [share, columnWeights]));
        }
        const weighted = parts.length === 1 ? (parts[0] as string) : nodes.node("Add", parts);
        const transposed = nodes.node("Transpose", [weighted], { perm: [1, 0] });
        const added = nodes.node("MatMul", [transposed, rows as string]);
        return {
          states: [nodes.node("Add", [sum as string, added])],
          results: [nodes.node("MatMul", [weighted, b as string])],
        };
      },
    });
    return [results[0] as string, states[0] as string];
  },
  vjp: ({ inputs, cotangents, attributes }) => {
    // Only second derivatives come here; they need all pairs at once.
    const apart = inputs.map((x) => stopGradient(x));
    const outputs = slopes(apart, attributes);
    const given = outputs.flatMap((output, i) => {
      const cotangent = cotangents[i];
      return cotangent ? [[output, cotangent] as const] : [];
    });
    return pullback(given, apart);
  },
});

export interface PairLogSumExp {
  /** [B] ln Σ_j e^(S_ij - S_ii) */
  readonly rows: Tensor;
  /** [B] ln Σ_i e^(S_ij - S_jj) */
  readonly columns: Tensor;
  /** [B] S_ii */
  readonly diagonal: Tensor;
}

/**
 * Log-sum-exps over all pairs of rows, S_ij = a_i · b_j, along rows and columns, each relative to the entry on the
 * diagonal. S is never whole in memory: beside operands and results there is room for a few blocks of
 * blockRows × B entries, in the gradient too, which computes S anew (one product more). Second derivatives do need S.
 *
 * @param a                  [B, D]
 * @param b                  [B, D]
 * @param options.blockRows  rows of S at a time, >= 1. Default: as many as fill 2²⁰ entries
 * @throws ShapeError when a and b differ in B or D; RangeError when blockRows is not a whole number >= 1
 */
export function pairLogSumExp(
  a: Tensor,
  b: Tensor,
  options: { readonly blockRows?: number } = {},
): PairLogSumExp {
  const { B } = checkAxes("pairLogSumExp", { a: [a, "B D"], b: [b, "B D"] });
  checkDType("pairLogSumExp", [a, b]);
  const { blockRows = Math.ceil(2 ** 20 / Math.max(B, 1)) } = options;
  if (!Number.isInteger(blockRows) || blockRows < 1)
    throw new RangeError(`pairLogSumExp: blockRows must be an integer >= 1, got ${blockRows}`);
  const [rows, columns, diagonal] = pairsOp([a, b], { blockRows: Math.min(blockRows, B) });
  return { rows, columns, diagonal } as PairLogSumExp;
}
