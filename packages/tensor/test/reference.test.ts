import fc from "fast-check";
import { describe, expect } from "vitest";
import type { NDArray, Tensor } from "../src/index.ts";
import {
  add,
  averagePool2d,
  broadcastTo,
  constant,
  conv2d,
  div,
  equal,
  evaluate,
  greater,
  less,
  logSumExp,
  matmul,
  max,
  maximum,
  maxPool2d,
  mean,
  min,
  minimum,
  mul,
  slice,
  sub,
  sum,
  sumTo,
  toNumbers,
  transpose,
  where,
} from "../src/index.ts";
import { expectClose, randomArray, randomArrays } from "./support/arrays.ts";
import { gradientCheck } from "./support/gradient-check.ts";
import { property, seeds, shapes, size } from "./support/property.ts";
import type { Plain, Window } from "./support/reference.ts";
import {
  at,
  convolution,
  elementwise,
  generate,
  matrixProduct,
  plain,
  pooled,
  reduced,
} from "./support/reference.ts";

/** Shapes that broadcast with each other: axes of one result of which each may be 1 or missing at the front. */
const broadcastable = (count: number): fc.Arbitrary<number[][]> =>
  fc
    .tuple(
      shapes,
      fc.array(fc.tuple(fc.nat(4), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 })), {
        minLength: count,
        maxLength: count,
      }),
    )
    .map(([shape, masks]) =>
      masks.map(([dropped, ones]) =>
        shape.map((n, axis) => (ones[axis] ? 1 : n)).slice(Math.min(dropped, shape.length)),
      ),
    );

async function expectSame(
  what: string,
  tensors: readonly Tensor[],
  expected: readonly Plain[],
  tolerance: number,
): Promise<void> {
  const results = await evaluate(tensors);
  expected.forEach((wanted, i) => {
    expect(results[i]!.shape, `${what}: shape`).toEqual(wanted.shape);
    expectClose(what, toNumbers(results[i]!), wanted.data, tolerance);
  });
}

describe("broadcasting equals a loop over indices", () => {
  property("in arithmetic and comparisons", 60, [broadcastable(2), seeds], async ([a, b], seed) => {
    const arrays = randomArrays(seed, [a!, b!], { low: -3, high: 3 }).map(({ shape, data }) => ({
      dtype: "float64" as const,
      shape,
      data: (data as Float64Array).map(Math.round),
    }));
    const [x, y] = arrays.map(constant) as [Tensor, Tensor];
    const operands = arrays.map(plain);
    const positive = add(mul(y, y), 1);
    const cases: [Tensor, (p: number, q: number) => number][] = [
      [add(x, y), (p, q) => p + q],
      [sub(x, y), (p, q) => p - q],
      [mul(x, y), (p, q) => p * q],
      [div(x, positive), (p, q) => p / (q * q + 1)],
      [maximum(x, y), Math.max],
      [minimum(x, y), Math.min],
      [greater(x, y), (p, q) => Number(p > q)],
      [less(x, y), (p, q) => Number(p < q)],
      [equal(x, y), (p, q) => Number(p === q)],
    ];
    await expectSame(
      "broadcast",
      cases.map(([result]) => result),
      cases.map(([, fn]) => elementwise(operands, fn)),
      1e-15,
    );
  });

  property("in where", 40, [broadcastable(3), seeds], async ([c, a, b], seed) => {
    const [condition, x, y] = randomArrays(seed, [c!, a!, b!]) as [NDArray, NDArray, NDArray];
    const mask = greater(constant(condition), 0);
    const expected = elementwise([condition, x, y].map(plain), (p, q, r) => (p > 0 ? q : r));
    await expectSame("where", [where(mask, x, y)], [expected], 0);
  });

  property("in broadcastTo and its transpose sumTo", 40, [broadcastable(2), seeds], async ([a, b], seed) => {
    const whole = elementwise([generate(a!, () => 0), generate(b!, () => 0)], () => 0).shape;
    const [x, y] = randomArrays(seed, [a!, whole]) as [NDArray, NDArray];
    const wide = generate(whole, (index) => at(plain(x), index));
    const lead = whole.length - a!.length;
    const narrowed = reduced(
      plain(y),
      whole
        .map((_, axis) => axis)
        .filter((axis) => axis < lead || (a![axis - lead] === 1 && whole[axis] !== 1)),
      (values) => values.reduce((p, q) => p + q, 0),
    );
    await expectSame(
      "broadcastTo, sumTo",
      [broadcastTo(x, whole), sumTo(constant(y), a!)],
      [wide, { shape: a!, data: narrowed.data }],
      1e-14,
    );
  });
});

describe("operations equal a loop over indices", () => {
  const axisChoices = fc.array(fc.boolean(), { minLength: 4, maxLength: 4 });

  property("reductions", 50, [shapes, axisChoices, seeds], async (shape, chosen, seed) => {
    const axes = shape.map((_, axis) => axis).filter((axis) => chosen[axis]);
    const array = randomArray(seed, shape);
    const total = (values: number[]): number => values.reduce((p, q) => p + q, 0);
    const cases: [Tensor, (values: number[]) => number][] = [
      [sum(array, { axes, keepDims: true }), total],
      [mean(array, { axes, keepDims: true }), (values) => total(values) / values.length],
      [max(array, { axes, keepDims: true }), (values) => Math.max(...values)],
      [min(array, { axes, keepDims: true }), (values) => Math.min(...values)],
      [logSumExp(array, { axes, keepDims: true }), (values) => Math.log(total(values.map(Math.exp)))],
    ];
    await expectSame(
      "reduction",
      cases.map(([result]) => result),
      cases.map(([, fn]) => reduced(plain(array), axes, fn)),
      1e-13,
    );
    const single = constant({
      ...array,
      dtype: "float32",
      data: Float32Array.from(array.data as Float64Array),
    });
    await expectSame(
      "float32 sum",
      [sum(single, { axes, keepDims: true })],
      [reduced(plain(array), axes, total)],
      1e-5,
    );
  });

  property(
    "products of matrices, in every orientation",
    60,
    [broadcastable(2), size, size, size, fc.nat(7), seeds],
    async ([a, b], m, k, n, options, seed) => {
      const [transposeA, transposeB, double] = [1, 2, 4].map((bit) => (options & bit) !== 0) as [
        boolean,
        boolean,
        boolean,
      ];
      const [left, right] = randomArrays(
        seed,
        [
          [...a!, m, k],
          [...b!, k, n],
        ],
        { dtype: double ? "float64" : "float32" },
      ) as [NDArray, NDArray];
      const product = matmul(transposeA ? transpose(left) : left, transposeB ? transpose(right) : right, {
        transposeA,
        transposeB,
      });
      await expectSame(
        "matmul",
        [product],
        [matrixProduct(plain(left), plain(right))],
        double ? 1e-14 : 1e-5,
      );
    },
  );

  property(
    "blocks of a tensor",
    60,
    [
      fc.array(
        fc.tuple(fc.integer({ min: 1, max: 6 }), fc.nat(5), fc.nat(5), fc.integer({ min: 1, max: 4 })),
        { minLength: 1, maxLength: 3 },
      ),
      seeds,
    ],
    async (axes, seed) => {
      const shape = axes.map(([n]) => n);
      const starts = axes.map(([n, start]) => start % n);
      const ends = axes.map(([n, , length], axis) => Math.min(starts[axis]! + 1 + length, n));
      const steps = axes.map(([, , , step]) => step);
      const array = randomArray(seed, shape);
      const counts = steps.map((step, axis) => Math.ceil((ends[axis]! - starts[axis]!) / step));
      const expected = generate(counts, (index) =>
        at(
          plain(array),
          index.map((i, axis) => starts[axis]! + i * steps[axis]!),
        ),
      );
      const fromEnd = starts.map((start, axis) => start - shape[axis]!);
      await expectSame(
        "slice",
        [slice(array, starts, ends, steps), slice(array, fromEnd, ends, steps)],
        [expected, expected],
        0,
      );
      await gradientCheck((x) => slice(x!, starts, ends, steps), [array], { name: "slice" });
    },
  );

  const windows = fc
    .record({
      image: fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 7 })),
      size: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
      stride: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
      padding: fc.tuple(fc.nat(2), fc.nat(2)),
      channels: fc.tuple(
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 2 }),
      ),
    })
    .filter(({ image, size, padding }) => [0, 1].every((i) => image[i]! + 2 * padding[i]! >= size[i]!));

  property(
    "convolutions, and their gradients",
    40,
    [windows, seeds],
    async ({ image, channels: [b, c, o], ...window }, seed) => {
      const inputs = randomArrays(
        seed,
        [
          [b, c, ...image],
          [o, c, ...window.size],
        ],
        { dtype: "float32", low: -1, high: 1 },
      ) as [NDArray, NDArray];
      const expected = convolution(plain(inputs[0]), plain(inputs[1]), window);
      await expectSame(
        "conv2d",
        [conv2d(constant(inputs[0]), constant(inputs[1]), window)],
        [expected],
        1e-5,
      );
      await gradientCheck((x, w) => conv2d(x!, w!, window), inputs, { name: "conv2d", tolerance: 1e-2 });
    },
  );

  property(
    "pools, and their gradients",
    40,
    [windows, seeds],
    async ({ image, size: [k], stride: [s], padding: [p], channels: [b, c] }, seed) => {
      fc.pre(p < k && image.every((n) => n + 2 * p >= k));
      const window: Window = { size: [k, k], stride: [s, s], padding: [p, p] };
      const array = randomArray(seed, [b, c, ...image], { dtype: "float32", low: -8, high: 8 });
      const options = { stride: s, padding: p };
      const highest = pooled(plain(array), window, (values) =>
        Math.max(...values.map((value) => value ?? -Infinity)),
      );
      const average = pooled(
        plain(array),
        window,
        (values) => values.reduce<number>((q, value) => q + (value ?? 0), 0) / values.length,
      );
      const x = constant(array);
      await expectSame(
        "pools",
        [maxPool2d(x, k, options), averagePool2d(x, k, options)],
        [highest, average],
        1e-5,
      );
      await gradientCheck((t) => averagePool2d(t!, k, options), [array], {
        name: "averagePool2d",
        tolerance: 1e-2,
      });
      const double = randomArray(seed, [b, c, ...image]);
      await gradientCheck((t) => maxPool2d(t!, k, options), [double], { name: "maxPool2d" });
    },
  );
});
