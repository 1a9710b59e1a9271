import {
  abs,
  add,
  asTensor,
  checkAxes,
  concat,
  div,
  exp,
  expandDims,
  full,
  greater,
  log,
  logSumExp,
  max,
  mul,
  narrow,
  ones,
  stopGradient,
  sub,
  sum,
  type Tensor,
  where,
} from "@concord/tensor";

/** Logarithm of a mass of 0: finite, so that nothing becomes NaN, and so low that it vanishes beside any other. */
const NO_MASS = -1e9;

interface Scaling {
  /** [N, M] logarithms of the kernel: similarity / ε, or -cost / ε. */
  readonly kernel: Tensor;
  /** [N], [M]: logarithms of the masses. */
  readonly rows: Tensor;
  readonly columns: Tensor;
  readonly iterations: number;
}

function checkRun(operation: string, epsilon: number, iterations: number): void {
  if (!(epsilon > 0 && Number.isFinite(epsilon)))
    throw new RangeError(`${operation}: epsilon must be > 0, got ${epsilon}`);
  if (!Number.isInteger(iterations) || iterations < 1)
    throw new RangeError(`${operation}: iterations must be an integer >= 1, got ${iterations}`);
}

function logMass(mass: Tensor): Tensor {
  const some = greater(mass, 0);
  return where(some, log(where(some, mass, 1)), NO_MASS);
}

/**
 * Logarithms [N, M] of the kernel with its columns, then its rows, scaled to the masses, again and again. A row
 * without mass has no say in the columns, from the start.
 */
function scaleKernel({ kernel, rows, columns, iterations }: Scaling): Tensor {
  let u = where(greater(rows, NO_MASS / 2), asTensor(0, rows.dtype), NO_MASS);
  let v = columns;
  for (let i = 0; i < iterations; i++) {
    v = sub(columns, logSumExp(add(kernel, expandDims(u, 1)), { axes: 0 }));
    u = sub(rows, logSumExp(add(kernel, expandDims(v, 0)), { axes: 1 }));
  }
  return add(kernel, add(expandDims(u, 1), expandDims(v, 0)));
}

export interface SinkhornCodeOptions {
  /** ε > 0, the weight of the codes' entropy: small gives hard codes, large gives uniform ones. Default 0.05. */
  readonly epsilon?: number;
  /** Default 3. */
  readonly iterations?: number;
  /** [B] bool: rows that count; the others get codes of zeros. Default: all. */
  readonly valid?: Tensor;
  /**
   * Scores [L, K] of remembered rows, which take part in the balance and get no codes, with a mask [L] of those that
   * hold something (as `readQueue` gives both).
   */
  readonly queue?: { readonly scores: Tensor; readonly valid?: Tensor };
  /** [K] shares of the K prototypes, adding up to 1. Default: 1 / K each. */
  readonly prototypeMass?: Tensor;
}

/**
 * Balanced soft assignment of samples to prototypes by optimal transport (Sinkhorn-Knopp).
 *
 *   Q = B · argmax_P  Σ_bk P_bk S_bk + ε H(P)   with   Σ_k P_bk = 1 / B,  Σ_b P_bk = m_k
 *
 * `iterations` times, prototypes are scaled to their masses, then samples to 1 / B: each sample's code adds up to 1
 * exactly, the masses of prototypes hold in the limit. Computed with logarithms, so no score overflows, whatever ε.
 * A constant for gradients.
 *
 * @param scores  [B, K] similarities of samples and prototypes, e.g. cosines
 * @returns [B, K]
 * @throws ShapeError when axes do not fit; RangeError when ε or iterations are not positive
 * @source Cuturi 2013; Caron et al. 2020 (SwAV), section 3.1, whose defaults these are
 */
export function sinkhornCodes(scores: Tensor, options: SinkhornCodeOptions = {}): Tensor {
  const operation = "sinkhornCodes";
  const { epsilon = 0.05, iterations = 3, valid, queue, prototypeMass } = options;
  checkRun(operation, epsilon, iterations);
  const { B, K } = checkAxes(operation, {
    scores: [scores, "B K"],
    ...(valid && { valid: [valid, "B"] as const }),
    ...(queue && { "queue.scores": [queue.scores, "L K"] as const }),
    ...(queue?.valid && { "queue.valid": [queue.valid, "L"] as const }),
    ...(prototypeMass && { prototypeMass: [prototypeMass, "K"] as const }),
  });
  const all = queue ? concat([scores, queue.scores]) : scores;
  const some = (mask: Tensor | undefined, count: number): Tensor =>
    mask ? where(mask, full([count], 0, scores.dtype), NO_MASS) : full([count], 0, scores.dtype);
  const own = some(valid, B);
  const rows = queue ? concat([own, some(queue.valid, queue.scores.shape[0] as number)]) : own;
  const columns = prototypeMass ? logMass(prototypeMass) : full([K], 0, scores.dtype);
  const scaled = scaleKernel({ kernel: div(stopGradient(all), epsilon), rows, columns, iterations });
  const codes = exp(queue ? narrow(scaled, 0, 0, B) : scaled);
  return stopGradient(valid ? where(expandDims(valid, 1), codes, 0) : codes);
}

export interface OptimalTransportOptions {
  /** ε > 0, in units of the cost. Default 0.1. */
  readonly epsilon?: number;
  /** Default 50. */
  readonly iterations?: number;
  /** [N] non-negative masses that add up to 1. Default: 1 / N each. */
  readonly rowMass?: Tensor;
  /** [M] likewise. Default: 1 / M each. */
  readonly columnMass?: Tensor;
}

export interface OptimalTransport {
  /** P [N, M]: how much of row i goes to column j. Rows add up to their masses exactly, columns in the limit. */
  readonly plan: Tensor;
  /** Σ_ij P_ij C_ij, without the entropy. */
  readonly cost: Tensor;
  /** Largest difference of a column's sum from its mass: how far the iteration is from its limit. */
  readonly violation: Tensor;
}

/**
 * Entropic optimal transport between two sets.
 *
 *   P = argmin_P  Σ_ij P_ij C_ij - ε H(P)   with   Σ_j P_ij = r_i,  Σ_i P_ij = c_j
 *
 * Computed with logarithms. Gradients go through all iterations; with `stopGradient(plan)` the cost's gradient is the
 * plan itself, as at the exact optimum of ε → 0.
 *
 * @param cost  [N, M]
 * @throws ShapeError when axes do not fit; RangeError when ε or iterations are not positive
 * @source Cuturi 2013; Peyré, Cuturi 2019, section 4.4 (log domain)
 */
export function optimalTransport(cost: Tensor, options: OptimalTransportOptions = {}): OptimalTransport {
  const operation = "optimalTransport";
  const { epsilon = 0.1, iterations = 50, rowMass, columnMass } = options;
  checkRun(operation, epsilon, iterations);
  const { N, M } = checkAxes(operation, {
    cost: [cost, "N M"],
    ...(rowMass && { rowMass: [rowMass, "N"] as const }),
    ...(columnMass && { columnMass: [columnMass, "M"] as const }),
  });
  const uniform = (count: number): Tensor => div(ones([count], cost.dtype), count);
  const [rows, columns] = [rowMass ?? uniform(N), columnMass ?? uniform(M)];
  const kernel = div(cost, -epsilon);
  const plan = exp(scaleKernel({ kernel, rows: logMass(rows), columns: logMass(columns), iterations }));
  const missing = sub(sum(plan, { axes: 0 }), columns);
  return {
    plan,
    cost: sum(mul(plan, cost)),
    violation: max(abs(missing)),
  };
}
