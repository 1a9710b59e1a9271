import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { property } from "./support/property.ts";
import type { Program } from "./support/random-graph.ts";
import { checkDerivatives, checkPrecisions } from "./support/random-graph-check.ts";
import { randomPrograms } from "./support/random-graph-uses.ts";

const smooth = { float: "float64", derivatives: true } as const;

describe("random programs", () => {
  property("have the gradients of finite differences", 100, [randomPrograms(smooth)], (program) =>
    checkDerivatives(program, "float64"),
  );

  property(
    "have them in float32 too, with the operations that have no other kernel",
    70,
    [randomPrograms({ float: "float32", derivatives: true, longest: 4 })],
    (program) => checkDerivatives(program, "float32"),
  );

  property(
    "give in float32 what they give in float64",
    60,
    [randomPrograms({ float: "float64" })],
    checkPrecisions,
  );
});

describe("the checks of random programs", () => {
  test("find a gradient that is not the derivative", async () => {
    const program: Program = {
      inputs: { x: { shape: [2], data: [0.5, -1] } },
      steps: [
        { op: "stopGradient", operands: ["x"], attributes: {}, results: [{ name: "y", shape: [2] }] },
        { op: "mul", operands: ["x", "y"], attributes: {}, results: [{ name: "z", shape: [2] }] },
      ],
    };
    await expect(checkDerivatives(program, "float64")).rejects.toThrow(
      /^gradient with respect to x at index 0 \(float64\): 0\.27\d*, but differences give 0\.54/,
    );
  });

  test("show the single operation that fails", () => {
    const withoutMatmul = fc.property(
      randomPrograms({ float: "float32" }),
      ({ steps }) => !steps.some(({ op }) => op === "matmul"),
    );
    const { counterexample, numShrinks } = fc.check(withoutMatmul, { seed: 20240229, numRuns: 1000 });
    expect(numShrinks).toBeGreaterThan(0);
    expect(counterexample?.[0].steps.map(({ op }) => op)).toEqual(["matmul"]);
  });
});
