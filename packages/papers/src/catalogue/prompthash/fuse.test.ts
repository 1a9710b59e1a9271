import {
  asTensor,
  type NDArray,
  normalArray,
  randomKey,
  type Tensor,
  type Traced,
  toNumbers,
  treeMap,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { adaptiveGatedSelection } from "./adaptive-gated-selection.ts";
import { type FusionParams, fuse, fusionInit } from "./fuse.ts";
import { hashFeatures } from "./hash-features.ts";
import { resMlp, resMlpInit } from "./res-mlp.ts";

const [B, C, HIDDEN, HEADS] = [3, 4, 6, 2];
const D = 2 * C;
type Rows = number[][];

const rowsOf = (of: NDArray, width: number): Rows => {
  const values = Array.from(toNumbers(of));
  return Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
};
const read = async (x: Tensor): Promise<Rows> => rowsOf(await x.data(), x.shape.at(-1) as number);
/** Parameters that stand at no special value, such as a gain of 1: every one of them must matter. */
const stirred = <P>(params: P, seed: number): P => {
  let next = seed;
  return treeMap(params, (leaf) => {
    const array = leaf as NDArray;
    const noise = toNumbers(normalArray(randomKey(next++), array.shape));
    return { ...array, data: Float32Array.from(toNumbers(array), (x, i) => x + 0.3 * (noise[i] as number)) };
  }) as P;
};
const traced = <P>(params: P): Traced<P> => treeMap(params, (leaf) => asTensor(leaf as NDArray)) as Traced<P>;

const params = stirred(fusionInit(randomKey(1), { width: C, feedForward: HIDDEN, states: 2 }), 100);
const [u, v, w] = [2, 3, 4].map((seed) => normalArray(randomKey(seed), [B, C])) as [
  NDArray,
  NDArray,
  NDArray,
];

const vector = (of: NDArray): number[] => Array.from(toNumbers(of));
const zip = (x: number[], y: number[], f: (x: number, y: number) => number): number[] =>
  x.map((value, i) => f(value, y[i] as number));
const plus = (x: number[], y: number[]): number[] => zip(x, y, (a, b) => a + b);
const half = (x: number[], y: number[]): number[] => zip(x, y, (a, b) => (a + b) / 2);
const dot = (x: number[], y: number[]): number => zip(x, y, (a, b) => a * b).reduce((a, b) => a + b);

/** x W + b, with W [inputs, outputs]. */
function affine({ weight, bias }: { weight: NDArray; bias?: NDArray }, x: number[]): number[] {
  const outputs = weight.shape[1] as number;
  const columns = rowsOf(weight, outputs);
  return Array.from({ length: outputs }, (_, o) =>
    x.reduce(
      (sum, value, i) => sum + value * (columns[i]?.[o] as number),
      bias ? (vector(bias)[o] as number) : 0,
    ),
  );
}

function response(x: number[], { gamma, beta }: { gamma: NDArray; beta: NDArray }): number[] {
  const g = Math.hypot(...x);
  const [scale, shift] = [vector(gamma), vector(beta)];
  return x.map((value, i) => (scale[i] as number) * value * (g / (g + 1e-6)) + (shift[i] as number) + value);
}

function norm(x: number[], { gain, bias }: { gain: NDArray; bias: NDArray }): number[] {
  const mean = x.reduce((a, b) => a + b) / x.length;
  const deviation = Math.sqrt(x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length + 1e-5);
  const [scale, shift] = [vector(gain), vector(bias)];
  return x.map((value, i) => ((value - mean) / deviation) * (scale[i] as number) + (shift[i] as number));
}

/** Attention of a whole sequence, head by head. */
function attend(sequence: Rows): Rows {
  const { qkv, output } = params.layer.attention as unknown as Record<
    "qkv" | "output",
    { weight: NDArray; bias: NDArray }
  >;
  const projected = sequence.map((row) => affine(qkv, row));
  const size = D / HEADS;
  return projected.map((own) => {
    const joined = Array.from({ length: HEADS }, (_, head) => {
      const part = (row: number[], which: number): number[] =>
        row.slice(which * D + head * size, which * D + (head + 1) * size);
      const scores = projected.map((row) => Math.exp(dot(part(own, 0), part(row, 1)) / Math.sqrt(size)));
      const total = scores.reduce((a, b) => a + b);
      return projected
        .map((row, j) => part(row, 2).map((value) => (value * (scores[j] as number)) / total))
        .reduce(plus);
    }).flat();
    return affine(output, joined);
  });
}

/** The fusion by loops; the selection has golden cases of its own. */
async function slowFuse(a: Rows, b: Rows, attention: "sample" | "batch"): Promise<readonly [Rows, Rows]> {
  const pair = asTensor({
    dtype: "float32",
    shape: [B, 2, C],
    data: Float32Array.from(a.flatMap((x, i) => [...x, ...(b[i] as number[])])),
  });
  const selection = traced(params.selection as NonNullable<FusionParams["selection"]>);
  const selected = await read(adaptiveGatedSelection(selection, pair));
  const joint = a.map((x, i) => {
    const of = (token: number[], place: number): number[] =>
      half(
        affine(params.output, response(selected[2 * i + place] as number[], params.selectionNorm)),
        affine(params.input, token),
      );
    return response([...of(x, 0), ...of(b[i] as number[], 1)], params.jointNorm);
  });
  const mixed = attention === "batch" ? attend(joint) : joint.flatMap((row) => attend([row]));
  const out = joint.map((row, i) => {
    const attended = norm(plus(row, mixed[i] as number[]), params.layer.attentionNorm);
    const hidden = affine(params.layer.expand, attended).map((value) => Math.max(0, value));
    const whole = norm(plus(attended, affine(params.layer.contract, hidden)), params.layer.feedForwardNorm);
    return whole.map((value) => value / Math.hypot(...whole));
  });
  return [out.map((row) => row.slice(0, C)), out.map((row) => row.slice(C))];
}

/** Single precision against loops in double. */
function expectClose(got: Rows, want: Rows): void {
  expect(got.length).toBe(want.length);
  got.flat().forEach((value, i) => {
    expect(Math.abs(value - (want.flat()[i] as number)), `entry ${i}`).toBeLessThan(1e-5);
  });
}

describe("fuse", () => {
  it.each(["sample", "batch"] as const)("equals the loops, attention over a %s", async (attention) => {
    const got = fuse(traced(params), asTensor(u), asTensor(v), { attention, heads: HEADS });
    const want = await slowFuse(rowsOf(u, C), rowsOf(v, C), attention);
    expectClose(await read(got[0]), want[0]);
    expectClose(await read(got[1]), want[1]);
  });
});

describe("hashFeatures", () => {
  const residual = traced(stirred(resMlpInit(randomKey(5), C), 300));
  const finish = async (rows: Rows): Promise<Rows> =>
    read(
      resMlp(residual, asTensor({ dtype: "float32", shape: [B, C], data: Float32Array.from(rows.flat()) })),
    );
  const halves = (x: Rows, y: Rows): Rows => x.map((row, i) => half(row, y[i] as number[]));

  it("fuses images with texts, what comes out with prompts, and adds half of each", async () => {
    const [i, t, p] = [rowsOf(u, C), rowsOf(v, C), rowsOf(w, C)];
    const [i1, t1] = await slowFuse(i, t, "sample");
    const [i2, p1] = await slowFuse(i1, p, "sample");
    const got = hashFeatures(
      { fusion: traced(params), residual },
      { image: asTensor(u), text: asTensor(v), prompt: asTensor(w) },
      { fusion: { heads: HEADS } },
    );
    expectClose(await read(got.image), await finish(halves(i, i2)));
    expectClose(await read(got.text), await finish(halves(t, t1)));
    expectClose(await read(got.prompt as Tensor), await finish(halves(p, p1)));
    const without = hashFeatures(
      { fusion: traced(params), residual },
      { image: asTensor(u), text: asTensor(v) },
      { fusion: { heads: HEADS } },
    );
    expectClose(await read(without.image), await finish(halves(i, i1)));
  });

  it("ends with two residual blocks that equal the loops", async () => {
    const blocks = stirred(resMlpInit(randomKey(5), C), 300);
    // The exact GELU, by the error function's series: its arguments are small here.
    const erf = (x: number): number => {
      let [sum, term] = [0, x];
      for (let n = 0; n < 60; n++) {
        sum += term / (2 * n + 1);
        term *= -(x * x) / (n + 1);
      }
      return (2 / Math.sqrt(Math.PI)) * sum;
    };
    const gelu = (x: number): number => (x / 2) * (1 + erf(x / Math.SQRT2));
    const want = rowsOf(u, C).map((row) =>
      blocks.reduce(
        (x, block) => plus(x, affine(block.contract, affine(block.expand, norm(x, block.norm)).map(gelu))),
        row,
      ),
    );
    expect(blocks).toHaveLength(2);
    expectClose(await finish(rowsOf(u, C)), want);
  });
});
