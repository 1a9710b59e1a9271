import {
  evaluate,
  mean,
  mul,
  stack,
  sum,
  type Tensor,
  tensor,
  transpose,
  valueAndGrad,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { type Actual, goldenCases } from "../../../test/golden.ts";
import { alignmentUniformity, stsSpearman } from "./diagnostics.ts";
import { multiPositiveInfoNCE } from "./multi-positive.ts";
import { whitenedcseLoss } from "./objective.ts";
import { sgwViews, shuffledGroupWhitening } from "./sgw.ts";

const { names, of } = goldenCases(import.meta.url);
const parts = z.array(z.object({ similarity: z.array(z.number()), gold: z.array(z.number()) }));

/** Inputs of a golden case in the forms of this paper, and a comparison with all its expected values. */
function goldenCase(name: string) {
  const found = of(name);
  const order = (permutation: unknown): Tensor => tensor(permutation as number[], { dtype: "int32" });
  return {
    ...found,
    /** The golden cases have no epsilon on the diagonal. */
    whitening: () => ({ ridge: 0, groups: found.number("groups") }),
    views: () =>
      z
        .array(z.unknown())
        .parse(found.inputs.views)
        .map((view) => tensor(view as number[][])),
    order: () => order(found.value("permutation")),
    orders: () => z.array(z.unknown()).parse(found.inputs.permutations).map(order),
    compareAll(actual: Readonly<Record<string, Actual>>): void {
      for (const [key, value] of Object.entries(actual)) found.compare(key, value);
      found.expectAllCompared();
    },
  };
}

describe("golden cases", () => {
  it("covers every case", () => {
    expect(names).toEqual([
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
    const golden = goldenCase(name);
    const whitened = (x: Tensor): Tensor =>
      shuffledGroupWhitening(x, golden.order(), {
        ...golden.whitening(),
        stopGradient: z.boolean().parse(golden.value("stop_gradient_through_matrix")),
      });
    const x = golden.tensor("x");
    const { gradients } = valueAndGrad((given: { x: Tensor }) =>
      sum(mul(whitened(given.x), golden.tensor("upstream_gradient"))),
    )({ x });
    const y = whitened(x);
    const values: Record<string, Tensor> = { y, grad_x: gradients.x };
    if (centres) values.column_means = mean(y, { axes: 0 });
    golden.compareAll(await evaluate(values));
  });

  it("sgw_three_views", async () => {
    const golden = goldenCase("sgw_three_views");
    const [views, orders] = [golden.views(), golden.orders()];
    golden.compareAll(
      await evaluate({
        y_views: stack(sgwViews(views, orders, golden.whitening())),
        view0_with_permutation1: shuffledGroupWhitening(
          views[0] as Tensor,
          orders[1] as Tensor,
          golden.whitening(),
        ),
      }),
    );
  });

  it.each(["multi_positive_sum", "multi_positive_weighted"])("%s", async (name) => {
    const golden = goldenCase(name);
    const options = {
      temperature: golden.number("temperature"),
      mode: z.enum(["sum", "weighted"]).parse(golden.inputs.mode),
      ...("weights" in golden.inputs && { weights: golden.list("weights") }),
    };
    const { value, gradients } = valueAndGrad((views: Tensor[]) => multiPositiveInfoNCE(views, options))(
      golden.views(),
    );
    golden.compareAll(await evaluate({ loss: value, grad_views: stack(gradients) }));
  });

  it("head_end_to_end", async () => {
    const golden = goldenCase("head_end_to_end");
    const start = {
      views: golden.views(),
      weight: golden.tensor("dense_weight"),
      bias: golden.tensor("dense_bias"),
    };
    // The file's y = x Wᵀ + b.
    const run = ({ views, weight, bias }: typeof start) =>
      whitenedcseLoss({ weight: transpose(weight), bias }, views, golden.orders(), {
        ...golden.whitening(),
        temperature: golden.number("temperature"),
      });
    const { value, gradients } = valueAndGrad((all: typeof start) => run(all).loss)(start);
    golden.compareAll(
      await evaluate({
        loss: value,
        head_outputs: stack(run(start).outputs),
        grad_views: stack(gradients.views),
        grad_dense_weight: gradients.weight,
        grad_dense_bias: gradients.bias,
      }),
    );
  });

  it("alignment_uniformity", async () => {
    const golden = goldenCase("alignment_uniformity");
    golden.compareAll({ ...(await alignmentUniformity(golden.array("x"), golden.array("y"))) });
  });

  it("sts_spearman", () => {
    const golden = goldenCase("sts_spearman");
    const got = stsSpearman(parts.parse(golden.inputs.subsets));
    golden.compareAll({ per_subset: got.perSubset, all: got.all, mean: got.mean, wmean: got.weightedMean });
  });
});
