import { readFileSync } from "node:fs";
import {
  evaluate,
  mul,
  type NDArray,
  ndarray,
  sum as sumOf,
  type Tensor,
  tensor,
  toNumbers,
  transpose,
  valueAndGrad,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { alignmentUniformity, stsSpearman } from "./diagnostics.ts";
import { multiPositiveInfoNCE } from "./multi-positive.ts";
import { whitenedcseLoss } from "./objective.ts";
import { sgwViews, shuffledGroupWhitening } from "./sgw.ts";

const golden = z
  .object({
    cases: z.array(
      z.object({
        name: z.string(),
        function: z.string(),
        inputs: z.record(z.string(), z.unknown()),
        expected: z.record(z.string(), z.unknown()),
        tolerance: z.number(),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL("./golden.json", import.meta.url), "utf8")));

type Numbers = number | readonly Numbers[];
const matrix = z.array(z.array(z.number()));
const inputs = z.object({
  x: matrix,
  y: matrix,
  views: z.array(matrix),
  permutation: z.array(z.number()),
  permutations: z.array(z.array(z.number())),
  groups: z.number(),
  stop_gradient_through_matrix: z.boolean(),
  upstream_gradient: matrix,
  temperature: z.number(),
  mode: z.enum(["sum", "weighted"]),
  weights: z.array(z.number()),
  dense_weight: matrix,
  dense_bias: z.array(z.number()),
  subsets: z.array(z.object({ similarity: z.array(z.number()), gold: z.array(z.number()) })),
});

/** Inputs of a golden case, and a comparison with all of its expected values. */
function goldenCase(name: string) {
  const found = golden.cases.find((entry) => entry.name === name);
  if (!found) throw new Error(`golden.json has no case '${name}'`);
  const { expected, tolerance } = found;
  return {
    given: inputs.partial().strict().parse(found.inputs) as z.infer<typeof inputs>,
    compareAll(actual: Readonly<Record<string, Numbers | NDArray | readonly NDArray[]>>): void {
      expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
      for (const [key, wanted] of Object.entries(expected)) {
        const want = [wanted].flat(4).map(Number);
        const got = flat(actual[key] as Numbers);
        expect(got.length, key).toBe(want.length);
        want.forEach((number, i) => {
          const error = Math.abs((got[i] as number) - number);
          expect(error, `${key}, entry ${i}: ${got[i]} instead of ${number}`).toBeLessThanOrEqual(
            tolerance * Math.max(1, Math.abs(number)),
          );
        });
      }
    },
  };
}

function flat(value: unknown): number[] {
  if (typeof value === "number") return [value];
  if (Array.isArray(value)) return value.flatMap(flat);
  return toNumbers(value as NDArray);
}

const order = (permutation: readonly number[]): Tensor => tensor(permutation, { dtype: "int32" });
const orders = (permutations: readonly (readonly number[])[]): Tensor[] => permutations.map(order);
/** The golden cases have no epsilon on the diagonal. */
const exact = { ridge: 0 } as const;

describe("golden cases", () => {
  it("covers every case", () => {
    expect(golden.cases.map(({ name }) => name)).toEqual([
      "sgw_one_view_stop_gradient",
      "sgw_one_view_full_gradient",
      "sgw_three_views",
      "multi_positive_sum",
      "multi_positive_weighted",
      "head_end_to_end",
      "alignment_uniformity",
      "sts_spearman",
    ]);
  });

  it.each([
    ["sgw_one_view_stop_gradient", true],
    ["sgw_one_view_full_gradient", false],
  ])("%s", async (name, centres) => {
    const { given, compareAll } = goldenCase(name);
    const whitened = (x: Tensor): Tensor =>
      shuffledGroupWhitening(x, order(given.permutation), {
        ...exact,
        groups: given.groups,
        stopGradient: given.stop_gradient_through_matrix,
      });
    const { gradients } = valueAndGrad(({ x }: { x: Tensor }) =>
      sumOf(mul(whitened(x), tensor(given.upstream_gradient))),
    )({ x: tensor(given.x) });
    const { y, grad_x } = await evaluate({ y: whitened(tensor(given.x)), grad_x: gradients.x });
    compareAll({ y, grad_x, ...(centres && { column_means: columnMeans(y) }) });
  });

  it("sgw_three_views", async () => {
    const { given, compareAll } = goldenCase("sgw_three_views");
    const views = given.views.map((view) => tensor(view));
    const options = { ...exact, groups: given.groups };
    const y_views = sgwViews(views, orders(given.permutations), options);
    const other = shuffledGroupWhitening(
      views[0] as Tensor,
      order(given.permutations[1] as number[]),
      options,
    );
    compareAll(await evaluate({ y_views, view0_with_permutation1: other }));
  });

  it.each(["multi_positive_sum", "multi_positive_weighted"])("%s", async (name) => {
    const { given, compareAll } = goldenCase(name);
    const { temperature, mode, weights } = given;
    const { value, gradients } = valueAndGrad((views: Tensor[]) =>
      multiPositiveInfoNCE(views, { temperature, mode, ...(weights && { weights }) }),
    )(given.views.map((view) => tensor(view)));
    compareAll(await evaluate({ loss: value, grad_views: gradients }));
  });

  it("head_end_to_end", async () => {
    const { given, compareAll } = goldenCase("head_end_to_end");
    const start = {
      views: given.views.map((view) => tensor(view)),
      // The file's y = x Wᵀ + b.
      weight: tensor(given.dense_weight),
      bias: tensor(given.dense_bias),
    };
    const run = ({ views, weight, bias }: typeof start) =>
      whitenedcseLoss({ weight: transpose(weight), bias }, views, orders(given.permutations), {
        ...exact,
        groups: given.groups,
        temperature: given.temperature,
      });
    const { value, gradients } = valueAndGrad((all: typeof start) => run(all).loss)(start);
    compareAll(
      await evaluate({
        loss: value,
        head_outputs: run(start).outputs,
        grad_views: gradients.views,
        grad_dense_weight: gradients.weight,
        grad_dense_bias: gradients.bias,
      }),
    );
  });

  it("alignment_uniformity", async () => {
    const { given, compareAll } = goldenCase("alignment_uniformity");
    compareAll({ ...(await alignmentUniformity(ndarray(given.x), ndarray(given.y))) });
  });

  it("sts_spearman", () => {
    const { given, compareAll } = goldenCase("sts_spearman");
    const { perSubset, all, mean, weightedMean } = stsSpearman(given.subsets);
    compareAll({ per_subset: perSubset, all, mean, wmean: weightedMean });
  });
});

/** Mean of every column of [N, D]. */
function columnMeans(rows: NDArray): number[] {
  const [n, width] = rows.shape as [number, number];
  const means = new Array<number>(width).fill(0);
  toNumbers(rows).forEach((value, i) => {
    means[i % width] = (means[i % width] as number) + value / n;
  });
  return means;
}
