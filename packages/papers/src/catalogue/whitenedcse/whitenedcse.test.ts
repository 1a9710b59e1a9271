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
import { type MultiPositiveOptions, multiPositiveInfoNCE } from "./multi-positive.ts";
import { whitenedcseLoss } from "./objective.ts";
import { type SgwViewsOptions, sgwViews, shuffledGroupWhitening } from "./sgw.ts";

const { names, functions: covered, of } = goldenCases(import.meta.url);
type Golden = ReturnType<typeof of>;

const matrices = z.array(z.array(z.array(z.number())));
const orders = z.array(z.array(z.number().int()));
const parts = z.array(z.object({ similarity: z.array(z.number()), gold: z.array(z.number()) }));

/** Options under their names in the file. */
const options = z.object({
  groups: z.number().nullable().optional(),
  stop_gradient_through_matrix: z.boolean().nullish(),
  layout: z.enum(["per-view", "released-code"]).nullish(),
  temperature: z.number().nullish(),
  mode: z.enum(["sum", "weighted"]).nullish(),
  weights: z.array(z.number()).nullish(),
});

/** Training runs in float32; float64 shows that what is left is rounding. */
const precisions = ["float32", "float64"] as const;
type Precision = (typeof precisions)[number];

const order = (permutation: readonly number[]): Tensor => tensor(permutation, { dtype: "int32" });
const ordersOf = ({ inputs }: Golden): Tensor[] => orders.parse(inputs.permutations).map(order);
const viewsOf = ({ inputs }: Golden, dtype: Precision): Tensor[] =>
  matrices.parse(inputs.views).map((view) => tensor(view, { dtype }));
const inputOf = (golden: Golden, key: string, dtype: Precision): Tensor =>
  tensor(golden.value(key), { dtype });

/** Options of a case; what it leaves out has the function's default, but there is no epsilon on the diagonal. */
function optionsOf({ inputs }: Golden): SgwViewsOptions & MultiPositiveOptions {
  const { groups, stop_gradient_through_matrix: stopGradient, ...others } = options.parse(inputs);
  const given = Object.entries({ ...others, stopGradient }).filter(([, value]) => value != null);
  // Null says something of the groups alone: as many as the batch allows.
  return { ...Object.fromEntries(given), ...(groups !== undefined && { groups }), ridge: 0 };
}

type Compute = (golden: Golden, dtype: Precision) => Promise<Readonly<Record<string, Actual>>>;

/** Every function of the file, of a case to all that the file may expect of it. */
const functions: Readonly<Record<string, Compute>> = {
  shuffled_group_whitening(golden, dtype) {
    const x = inputOf(golden, "x", dtype);
    const permutation = order(golden.list("permutation"));
    const whitened = (given: Tensor): Tensor => shuffledGroupWhitening(given, permutation, optionsOf(golden));
    const { gradients } = valueAndGrad((given: { readonly x: Tensor }) =>
      sum(mul(whitened(given.x), inputOf(golden, "upstream_gradient", dtype))),
    )({ x });
    const y = whitened(x);
    return evaluate({ y, grad_x: gradients.x, column_means: mean(y, { axes: 0 }) });
  },

  sgw_views(golden, dtype) {
    const [views, permutations] = [viewsOf(golden, dtype), ordersOf(golden)];
    const [first, other] = [views[0] as Tensor, permutations[1]];
    return evaluate({
      y_views: stack(sgwViews(views, permutations, optionsOf(golden))),
      ...(other && { view0_with_permutation1: shuffledGroupWhitening(first, other, optionsOf(golden)) }),
    });
  },

  multi_positive_infonce(golden, dtype) {
    const { value, gradients } = valueAndGrad((views: Tensor[]) =>
      multiPositiveInfoNCE(views, optionsOf(golden)),
    )(viewsOf(golden, dtype));
    return evaluate({ loss: value, grad_views: stack(gradients) });
  },

  whitenedcse_loss(golden, dtype) {
    const start = {
      views: viewsOf(golden, dtype),
      weight: inputOf(golden, "dense_weight", dtype),
      bias: inputOf(golden, "dense_bias", dtype),
    };
    // The file's y = x Wᵀ + b.
    const run = ({ views, weight, bias }: typeof start) =>
      whitenedcseLoss({ weight: transpose(weight), bias }, views, ordersOf(golden), optionsOf(golden));
    const { value, gradients } = valueAndGrad((all: typeof start) => run(all).loss)(start);
    return evaluate({
      loss: value,
      head_outputs: stack([...run(start).outputs]),
      grad_views: stack(gradients.views),
      grad_dense_weight: gradients.weight,
      grad_dense_bias: gradients.bias,
    });
  },

  async alignment_uniformity(golden) {
    return { ...(await alignmentUniformity(golden.array("x"), golden.array("y"))) };
  },

  async sts_spearman({ inputs }) {
    const got = stsSpearman(parts.parse(inputs.subsets));
    return { per_subset: got.perSubset, all: got.all, mean: got.mean, wmean: got.weightedMean };
  },
};

describe("golden cases", () => {
  it("cover every function", () => {
    expect(covered.toSorted()).toEqual(Object.keys(functions).toSorted());
  });

  it.each(precisions.flatMap((dtype) => names.map((name) => ({ name, dtype }))))(
    "$name, $dtype",
    async ({ name, dtype }) => {
      const golden = of(name);
      const compute = functions[golden.function];
      if (!compute) throw new Error(`golden case '${name}' is of the unknown function '${golden.function}'`);
      const computed = await compute(golden, dtype);
      for (const key of golden.expected) {
        const actual = computed[key];
        if (actual === undefined) throw new Error(`golden case '${name}' expects '${key}', unknown here`);
        golden.compare(key, actual);
      }
    },
  );
});
