import { describe, expect } from "vitest";
import type { NDArray, Tensor } from "../src/index.ts";
import { compile, toNumbers } from "../src/index.ts";
import { expectClose, randomArrays } from "./support/arrays.ts";
import { gradientCheck } from "./support/gradient-check.ts";
import { property } from "./support/property.ts";
import { randomPrograms, runProgram } from "./support/random-graph.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

describe("random programs", () => {
  property("have the gradients of finite differences", 120, [randomPrograms], async (program) => {
    const inputs = randomArrays(program.seed, program.shapes, { low: -1.5, high: 1.5 });
    await gradientCheck((...tensors) => runProgram(program, tensors), inputs, {
      name: "program",
      tolerance: 2e-5,
    });
  });

  property("give in float32 what they give in float64", 80, [randomPrograms], async (program) => {
    const runtime = trackedRuntime();
    try {
      const run = compile((...tensors: Tensor[]) => runProgram(program, tensors), { runtime });
      const exact = randomArrays(program.seed, program.shapes, { low: -1.5, high: 1.5 });
      const single = exact.map(
        ({ shape, data }): NDArray => ({
          dtype: "float32",
          shape,
          data: Float32Array.from(data as Float64Array),
        }),
      );
      const [wanted, found] = [await run(...exact), await run(...single)];
      wanted.forEach((array, i) => {
        expect([found[i]!.dtype, found[i]!.shape]).toEqual(["float32", array.shape]);
        expectClose("float32", toNumbers(found[i]!), toNumbers(array), 1e-4);
      });
    } finally {
      await runtime.release();
    }
  });
});
