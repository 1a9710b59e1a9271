import type { Spec } from "../../core/tensor.ts";
import type { GraphBuilder } from "../../onnx/builder.ts";

/**
 * Jacobi's method with all rotations of a round in parallel. Row i and row i + N/2 of M [B, N, K] are a pair; after
 * each round the rows move on as in a round-robin tournament, so that in N - 1 rounds every two of them have met and
 * all are back in their places.
 */

/** Sweeps over all pairs at most; they end when no pair of a sweep was far from its goal. */
const MOST_SWEEPS = 16;

/** Where each row comes from when the rows move on: the first stays, the others go round. */
function tournament(size: number): number[] {
  const half = size / 2;
  if (half === 1) return [0, 1];
  const top = [0, half, ...Array.from({ length: half - 2 }, (_, i) => i + 1)];
  const bottom = [...Array.from({ length: half - 1 }, (_, i) => half + 1 + i), half - 1];
  return [...top, ...bottom];
}

/** What the rotation of each pair is computed from, [B, N/2] each. */
export interface Pairs {
  /** Diagonal entries, or squared lengths, of both rows. */
  readonly first: string;
  readonly second: string;
  /** What the rotation brings to 0. */
  readonly coupling: string;
}

export interface JacobiProblem {
  /** The rows [B, N, K], N even. */
  readonly rows: string;
  readonly spec: Spec;
  /** A coupling of this size, [] or [B, 1], relative to which others are small. */
  readonly scale: (body: GraphBuilder, pairs: Pairs) => string;
  readonly pairs: (body: GraphBuilder, rows: string) => Pairs;
  /** What happens to the rows in a round; `rotate` turns the pairs of any [B, N, …] and moves the rows on. */
  readonly round: (body: GraphBuilder, rows: string, rotate: (rows: string) => string) => string;
}

/** Runs sweeps until the couplings are gone. Returns the rows in their first places. */
export function jacobiNodes(graph: GraphBuilder, problem: JacobiProblem): string {
  const { spec } = problem;
  const size = spec.shape[1] as number;
  const rounds = size - 1;
  const body = graph.body();
  const name = (what: string): string => `${body.prefix}${what}`;
  const round = body.input(name("round"), { shape: [], dtype: "int64" });
  body.input(name("going"), { shape: [], dtype: "bool" });
  const rows = body.input(name("rows"), spec);
  const worst = body.input(name("worst"), { shape: [], dtype: spec.dtype });
  const real = (value: number): string => body.scalar(value, spec.dtype);

  const pairs = problem.pairs(body, rows);
  const { cosine, sine } = rotations(body, pairs, real);
  const order = body.int64s(tournament(size));
  const rotate = (value: string): string => {
    const [top, bottom] = body.nodeWithOutputs("Split", [value], 2, { axis: 1, num_outputs: 2 }) as [
      string,
      string,
    ];
    const times = (a: string, b: string): string => body.node("Mul", [a, b]);
    const turned = [
      body.node("Sub", [times(cosine, top), times(sine, bottom)]),
      body.node("Add", [times(sine, top), times(cosine, bottom)]),
    ];
    return body.node("Gather", [body.node("Concat", turned, { axis: 1 }), order], { axis: 1 });
  };
  const next = problem.round(body, rows, rotate);

  // The worst coupling of this sweep so far; a sweep that found only small ones was the last.
  const relative = body.node("Div", [
    body.node("Abs", [pairs.coupling]),
    body.node("Max", [problem.scale(body, pairs), real(spec.dtype === "float64" ? 1e-300 : 1e-37)]),
  ]);
  const largest = body.node("ReduceMax", [relative], { keepdims: 0 });
  const inSweep = body.node("Mod", [round, body.scalar(rounds, "int64")]);
  const fresh = body.node("Equal", [inSweep, body.scalar(0, "int64")]);
  const known = body.node("Where", [fresh, real(0), worst]);
  const seen = body.node("Max", [known, largest]);
  const last = body.node("Equal", [inSweep, body.scalar(rounds - 1, "int64")]);
  const small = body.node("Less", [seen, real(spec.dtype === "float64" ? 1e-9 : 1e-5)]);
  const going = body.node("Not", [body.node("And", [last, small])]);
  body.output(name("stillGoing"), going, { shape: [], dtype: "bool" });
  body.output(name("nextRows"), next, spec);
  body.output(name("nextWorst"), seen, { shape: [], dtype: spec.dtype });

  const most = graph.scalar(MOST_SWEEPS * rounds, "int64");
  const start = graph.constant({ dtype: "bool", shape: [], data: new Uint8Array([1]) });
  const inputs = [most, start, problem.rows, graph.scalar(0, spec.dtype)];
  return graph.nodeWithOutputs("Loop", inputs, 2, { body: { body } })[0] as string;
}

/** Cosine and sine [B, N/2, 1] of the smaller angle that brings the coupling of each pair to 0. */
function rotations(
  body: GraphBuilder,
  { first, second, coupling }: Pairs,
  real: (value: number) => string,
): { readonly cosine: string; readonly sine: string } {
  const gap = body.node("Sub", [second, first]);
  const twice = body.node("Add", [coupling, coupling]);
  const square = (x: string): string => body.node("Mul", [x, x]);
  const length = body.node("Sqrt", [body.node("Add", [square(gap), square(twice)])]);
  const below = body.node("Add", [body.node("Abs", [gap]), length]);
  const forwards = body.node("GreaterOrEqual", [gap, real(0)]);
  const signed = body.node("Where", [forwards, twice, body.node("Neg", [twice])]);
  const still = body.node("Equal", [below, real(0)]);
  const tangent = body.node("Div", [signed, body.node("Where", [still, real(1), below])]);
  const root = body.node("Sqrt", [body.node("Add", [square(tangent), real(1)])]);
  const cosine = body.node("Reciprocal", [root]);
  const wide = (x: string): string => body.node("Unsqueeze", [x, body.int64s([2])]);
  return { cosine: wide(cosine), sine: wide(body.node("Mul", [tangent, cosine])) };
}
