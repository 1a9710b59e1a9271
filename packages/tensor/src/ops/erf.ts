import type { DType } from "../core/ndarray.ts";
import { ndarray } from "../core/ndarray.ts";
import type { Nodes } from "./elementwise.ts";

/** Nodes and weights of the Gauss-Legendre rule with n points on [0, 1]: the roots of P_n by Newton's method. */
function gaussLegendre(n: number): { readonly node: number; readonly weight: number }[] {
  return Array.from({ length: n }, (_, i) => {
    let z = Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let slope = 0;
    for (let round = 0; round < 8; round++) {
      let [before, current] = [1, z];
      for (let k = 2; k <= n; k++)
        [before, current] = [current, ((2 * k - 1) * z * current - (k - 1) * before) / k];
      slope = (n * (z * current - before)) / (z * z - 1);
      z -= current / slope;
    }
    return { node: (1 + z) / 2, weight: 1 / ((1 - z * z) * slope * slope) };
  });
}

/** With so many points the integral is right to 1e-15 as long as |x| ≤ 6. */
const POINTS = 24;
/** From here on erf is 1 in float64. */
const SATURATED = 6;

/**
 * Nodes of erf(x) = 2x/√π ∫₀¹ e^(-x²t²) dt. ONNX Runtime has the kernel in float32; in float64 the integral is a weighted
 * sum of 24 exponentials, which suits numerical checks and nothing that must be fast.
 */
export function emitErf(nodes: Nodes, x: string, dtype: DType): string {
  if (dtype === "float32") return nodes("Erf", x);
  const { graph } = nodes;
  const rule = gaussLegendre(POINTS);
  const vector = (values: number[]): string => graph.constant(ndarray(values, { dtype }));
  const rates = vector(rule.map(({ node }) => -node * node));
  const weights = vector(rule.map(({ weight }) => (2 / Math.sqrt(Math.PI)) * weight));
  const bounded = nodes("Min", nodes("Max", x, -SATURATED), SATURATED);
  const squares = graph.node("Unsqueeze", [nodes("Mul", bounded, bounded), graph.int64s([-1])]);
  return nodes("Mul", bounded, nodes("MatMul", nodes("Exp", nodes("Mul", squares, rates)), weights));
}
