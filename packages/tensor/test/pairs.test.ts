import { describe, expect, test } from "vitest";
import { runtime } from "#runtime";
import type { NDArray, Tensor } from "../src/index.ts";
import {
  add,
  compile,
  gradients,
  mul,
  normalArray,
  pairLogSumExp,
  randomKey,
  ShapeError,
  sum,
  tensor,
  toNumbers,
} from "../src/index.ts";
import { expectClose } from "./support/arrays.ts";
import { nodesOf } from "./support/graph-nodes.ts";

const [a, b] = [normalArray(randomKey(1), [9, 4]), normalArray(randomKey(2), [9, 4])];

describe("pairLogSumExp", () => {
  test("reads values of the graph around its loop that are results at the same time", async () => {
    const both = compile((x: Tensor, y: Tensor) => {
      const doubled = mul(y, 2);
      const { rows, columns } = pairLogSumExp(x, doubled, { blockRows: 4 });
      return { doubled, rows, slope: gradients(sum(columns), [doubled])[0] as Tensor };
    });
    const alone = compile((x: Tensor, y: Tensor) => {
      const { rows, columns } = pairLogSumExp(x, mul(y, 2), { blockRows: 9 });
      return { rows, slope: mul(gradients(sum(columns), [y])[0] as Tensor, 0.5) };
    });
    const [found, expected] = [await both(a, b), await alone(a, b)];
    expect(toNumbers(found.doubled)).toEqual(toNumbers(b).map((x) => 2 * x));
    expectClose("rows", toNumbers(found.rows), toNumbers(expected.rows), 1e-6);
    expectClose("slope", toNumbers(found.slope), toNumbers(expected.slope), 1e-5);
    await both.close();
    await alone.close();
  });

  test("gives the same where the runtime has standard operators only", async () => {
    const plain = { ...runtime, target: { ...runtime.target, contribOps: false } };
    const slopes = (x: Tensor, y: Tensor) => {
      const { rows, columns } = pairLogSumExp(x, y, { blockRows: 4 });
      return gradients(add(sum(rows), mul(sum(columns), 2)), [x, y]);
    };
    const [standard, fused] = [compile(slopes, { runtime: plain }), compile(slopes, { runtime })];
    const [found, expected] = [await standard(a, b), await fused(a, b)];
    found.forEach((x, i) => {
      expectClose("slope", toNumbers(x), toNumbers(expected[i] as NDArray), 1e-6);
    });
    await standard.close();
    await fused.close();
  });

  test("computes columns only where they are needed", async () => {
    const one = await nodesOf((x, y) => pairLogSumExp(x as Tensor, y as Tensor).rows, [a, b]);
    const both = await nodesOf(
      (x, y) => {
        const { rows, columns } = pairLogSumExp(x as Tensor, y as Tensor);
        return [rows, columns];
      },
      [a, b],
    );
    expect(one).toContain("Scan");
    expect(both.length).toBeGreaterThan(one.length);
  });

  test("refuses operands that do not pair and blocks that are none", () => {
    const x = tensor([[1, 2]]);
    expect(() => pairLogSumExp(x, tensor([[1, 2, 3]]))).toThrow(ShapeError);
    expect(() => pairLogSumExp(x, tensor([1, 2]))).toThrow("pairLogSumExp: b has shape [2]");
    expect(() => pairLogSumExp(x, x, { blockRows: 0 })).toThrow("blockRows must be an integer >= 1, got 0");
  });
});
