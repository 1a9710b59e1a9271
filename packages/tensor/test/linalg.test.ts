import { afterAll, describe, expect, test } from "vitest";
import type { NDArray, Tensor } from "../src/index.ts";
import {
  abs,
  cholesky,
  compile,
  expandDims,
  eye,
  inverse,
  inverseSquareRoot,
  matmul,
  max,
  mul,
  ndarray,
  ones,
  orthogonalize,
  solvePositive,
  sub,
  svd,
  symmetricEigen,
  toNumbers,
  transpose,
  triangularSolve,
} from "../src/index.ts";
import { expectClose, randomArray, valuesOf } from "./support/arrays.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

const runtime = trackedRuntime();
afterAll(() => runtime.release());

function distance(a: Tensor, b: Tensor): Tensor {
  return max(abs(sub(a, b)));
}

function scaledColumns(vectors: Tensor, values: Tensor): Tensor {
  return mul(vectors, expandDims(values, -2));
}

async function errorsOf(fn: (x: Tensor) => readonly Tensor[], x: NDArray): Promise<number[]> {
  const results = await compile((input: Tensor) => fn(input), { runtime })(x);
  return results.map((result) => Number(result.data[0]));
}

describe.each([
  ["float32", 1e-6],
  ["float64", 4e-15],
] as const)("decompositions of matrices of many sizes, %s", (dtype, unit) => {
  test.each([1, 2, 3, 6, 17, 32, 64])("N = %i", async (size) => {
    const x = randomArray(size, [2, size, size], { low: -1, high: 1, dtype });
    const identity = eye(size, dtype);
    const eigen = await errorsOf((input) => {
      const { values, vectors } = symmetricEigen(input);
      const symmetric = mul(sub(input, mul(transpose(input), -1)), 0.5);
      return [
        distance(matmul(scaledColumns(vectors, values), vectors, { transposeB: true }), symmetric),
        distance(matmul(vectors, vectors, { transposeA: true }), identity),
      ];
    }, x);
    const singular = await errorsOf((input) => {
      const { u, s, v } = svd(input);
      return [
        distance(matmul(scaledColumns(u, s), v, { transposeB: true }), input),
        distance(matmul(u, u, { transposeA: true }), identity),
        distance(matmul(v, v, { transposeA: true }), identity),
      ];
    }, x);
    const factored = await errorsOf((input) => {
      const positive = sub(matmul(input, input, { transposeB: true }), mul(identity, -1));
      const lower = cholesky(positive);
      return [
        distance(matmul(lower, lower, { transposeB: true }), positive),
        distance(matmul(positive, solvePositive(positive, input)), input),
      ];
    }, x);
    // Rounding grows with the number of rotations and of terms of a product.
    for (const error of [...eigen, ...singular, ...factored]) expect(error).toBeLessThan(unit * (2 + size));
  });
});

describe("symmetricEigen", () => {
  test("finds equal, opposite and vanishing eigenvalues", async () => {
    const matrices = ndarray(
      [
        [
          [2, 0, 0],
          [0, 2, 0],
          [0, 0, 2],
        ],
        [
          [0, 1, 0],
          [1, 0, 0],
          [0, 0, 0],
        ],
        [
          [0, 0, 0],
          [0, 0, 0],
          [0, 0, 0],
        ],
        [
          [1, 1, 1],
          [1, 1, 1],
          [1, 1, 1],
        ],
      ],
      { dtype: "float64" },
    );
    const run = compile((x: Tensor) => symmetricEigen(x), { runtime });
    const { values, vectors } = await run(matrices);
    expectClose("values", toNumbers(values), [2, 2, 2, -1, 0, 1, 0, 0, 0, 0, 0, 3], 1e-14);
    expect(toNumbers(vectors).slice(0, 9)).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 1]);
  });

  test("does not depend on the scale of the matrix", async () => {
    const x = randomArray(5, [5, 5]);
    const run = compile((a: Tensor) => symmetricEigen(a).values, { runtime });
    const wanted = toNumbers(await run(x));
    for (const scale of [1e-100, 1e-12, 1e12, 1e100]) {
      const scaled = { ...x, data: (x.data as Float64Array).map((value) => value * scale) } as NDArray;
      const found = toNumbers(await run(scaled)).map((value) => value / scale);
      expectClose(`scaled by ${scale}`, found, wanted, 1e-13);
    }
  });
});

describe("svd", () => {
  test("keeps the digits of small singular values", async () => {
    const [a, b] = [
      orthogonalize(
        ndarray(
          [
            [1, 2],
            [3, -1],
            [0.5, 1],
          ],
          { dtype: "float64" },
        ),
      ),
      orthogonalize(
        ndarray(
          [
            [2, 1],
            [-1, 1],
          ],
          { dtype: "float64" },
        ),
      ),
    ];
    const product = matmul(scaledColumns(a, ndarrayTensor([1, 1e-10])), b, { transposeB: true });
    const [large, small] = await valuesOf(svd(product).s);
    expect(large).toBeCloseTo(1, 12);
    expect((small as number) / 1e-10).toBeCloseTo(1, 4);
  });

  test("of matrices of low rank has zeros", async () => {
    const { u, s, v } = svd(ones([4, 3], "float64"));
    expectClose("s", await valuesOf(s), [Math.sqrt(12), 0, 0], 1e-14);
    expectClose(
      "first column of v",
      (await valuesOf(v)).filter((_, i) => i % 3 === 0),
      new Array(3).fill(3 ** -0.5),
      1e-14,
    );
    expect((await valuesOf(u)).every(Number.isFinite)).toBe(true);
  });
});

function ndarrayTensor(values: number[]): Tensor {
  return mul(ndarray(values, { dtype: "float64" }), 1);
}

describe("inverse", () => {
  test("works without ONNX Runtime's own kernel", async () => {
    const plain = { ...runtime, target: { contribOps: false } };
    const x = randomArray(9, [2, 4, 4]);
    const invert = (a: Tensor): Tensor => inverse(a);
    const [found, wanted] = [
      await compile(invert, { runtime: plain })(x),
      await compile(invert, { runtime })(x),
    ];
    expectClose("inverse", toNumbers(found), toNumbers(wanted), 1e-10);
  });
});

describe("Newton–Schulz iterations", () => {
  test("whiten a covariance, and the residual tells how well", async () => {
    const samples = randomArray(2, [200, 8], { dtype: "float32" });
    const run = compile(
      (x: Tensor) => {
        const covariance = matmul(x, x, { transposeA: true, scale: 1 / 200 });
        const { inverseRoot, residual } = inverseSquareRoot(covariance);
        const white = matmul(x, inverseRoot);
        const early = inverseSquareRoot(covariance, { iterations: 3 }).residual;
        return {
          residual,
          early,
          left: distance(matmul(white, white, { transposeA: true, scale: 1 / 200 }), eye(8)),
        };
      },
      { runtime },
    );
    const { residual, early, left } = await run(samples);
    expect(Number(left.data[0])).toBeLessThan(1e-5);
    expect(Math.abs(Number(left.data[0]) - Number(residual.data[0]))).toBeLessThan(1e-5);
    expect(Number(early.data[0])).toBeGreaterThan(0.01);
  });
});

describe("linear algebra", () => {
  test("says what does not fit", () => {
    for (const [name, fn] of Object.entries({ cholesky, inverse, symmetricEigen })) {
      expect(() => fn(ones([2, 3]))).toThrow(`${name}: expected square matrices [..., N, N], got [2, 3]`);
      expect(() => fn(ones([2]))).toThrow(`${name}: expected axes [..., M, N], got [2]`);
      expect(() => fn(ones([2, 2], "int32"))).toThrow(`${name}: expected float32 or float64, got int32`);
    }
    expect(() => triangularSolve(ones([2, 2]), ones([3, 1]))).toThrow(
      "triangularSolve: A [..., N, N] and B [..., N, K] have shapes [2, 2] and [3, 1]",
    );
    expect(() => solvePositive(ones([2, 3, 3]), ones([4, 3, 1]))).toThrow(
      "solvePositive: shapes [2] and [4]",
    );
    expect(() => orthogonalize(ones([2, 2]), { iterations: 0 })).toThrow(
      "orthogonalize: needs an integer number of iterations >= 1, got 0",
    );
  });

  test("gives NaN, not a wrong number, where a matrix is not positive definite", async () => {
    expect(
      (
        await valuesOf(
          cholesky(
            ndarray([
              [1, 2],
              [2, 1],
            ]),
          ),
        )
      ).at(-1),
    ).toBeNaN();
  });
});
