import fc from "fast-check";
import { describe, expect } from "vitest";
import type { Tensor } from "../src/index.ts";
import {
  add,
  broadcastTo,
  cast,
  concat,
  constant,
  evaluate,
  exp,
  gather,
  logSoftmax,
  logSumExp,
  matmul,
  max,
  maximum,
  min,
  minimum,
  mul,
  narrow,
  neg,
  pad,
  reshape,
  scatterAddAlong,
  segmentSum,
  sizeOf,
  slice,
  softmax,
  split,
  sub,
  sum,
  tensor,
  toNumbers,
  transpose,
} from "../src/index.ts";
import { expectClose, randomArray, randomArrays } from "./support/arrays.ts";
import { property, seeds, shapes, size } from "./support/property.ts";

describe("identities", () => {
  const withAxis = shapes.filter((shape) => shape.length > 0);

  property(
    "transposing back and forth, and in two steps",
    40,
    [shapes, fc.nat(23), fc.nat(23), seeds],
    async (shape, p, q, seed) => {
      const order = (choice: number): number[] => {
        const left = shape.map((_, axis) => axis);
        return shape.map((_, i) => left.splice((choice >> i) % left.length, 1)[0]!);
      };
      const [first, second] = [order(p), order(q)];
      const x = constant(randomArray(seed, shape));
      const back = shape.map((_, axis) => first.indexOf(axis));
      const once = second.map((axis) => first[axis]!);
      const [original, returned, twice, direct] = await evaluate([
        x,
        transpose(transpose(x, first), back),
        transpose(transpose(x, first), second),
        transpose(x, once),
      ] as const);
      expect(returned).toEqual(original);
      expect(twice).toEqual(direct);
    },
  );

  property("reshaping there and back, by any way", 30, [shapes, seeds], async (shape, seed) => {
    const x = constant(randomArray(seed, shape));
    const [original, returned] = await evaluate([
      x,
      reshape(reshape(reshape(x, [-1]), [1, ...shape].reverse()), shape),
    ] as const);
    expect(returned).toEqual(original);
  });

  property(
    "parting and joining; joining and cutting",
    40,
    [withAxis, fc.nat(3), fc.integer({ min: 1, max: 3 }), seeds],
    async (shape, chosen, parts, seed) => {
      const axis = chosen % shape.length;
      const tiled = shape.with(axis, shape[axis]! * parts);
      const [a, b] = randomArrays(seed, [tiled, shape]).map(constant) as [Tensor, Tensor];
      const joined = concat([a, b], axis);
      const [original, rejoined, first, firstCut, secondCut, second] = await evaluate([
        a,
        concat(split(a, parts, axis), axis),
        a,
        narrow(joined, axis, 0, tiled[axis]!),
        narrow(joined, axis, tiled[axis]!, shape[axis]!),
        b,
      ] as const);
      expect(rejoined).toEqual(original);
      expect(firstCut).toEqual(first);
      expect(secondCut).toEqual(second);
    },
  );

  property(
    "a border that is added and cut off",
    30,
    [withAxis, fc.nat(2), fc.nat(2), seeds],
    async (shape, before, after, seed) => {
      const x = constant(randomArray(seed, shape));
      const padded = pad(
        x,
        shape.map(() => [before, after] as const),
        7,
      );
      const [original, cut, total, sumOfPadded] = await evaluate([
        x,
        slice(
          padded,
          shape.map(() => before),
          shape.map((n) => n + before),
        ),
        sum(x),
        sum(padded),
      ] as const);
      expect(cut).toEqual(original);
      const border = sizeOf(shape.map((n) => n + before + after)) - sizeOf(shape);
      expectClose("sum", toNumbers(sumOfPadded), [toNumbers(total)[0]! + 7 * border], 1e-12);
    },
  );

  property(
    "of products: (AB)ᵀ = BᵀAᵀ, A(B + C) = AB + AC",
    30,
    [size, size, size, seeds],
    async (m, k, n, seed) => {
      const [a, b, c] = randomArrays(seed, [
        [m, k],
        [k, n],
        [k, n],
      ]).map(constant) as [Tensor, Tensor, Tensor];
      const [turned, swapped, whole, parts] = await evaluate([
        transpose(matmul(a, b)),
        matmul(b, a, { transposeA: true, transposeB: true }),
        matmul(a, add(b, c)),
        add(matmul(a, b), matmul(a, c)),
      ] as const);
      expectClose("(AB)ᵀ", toNumbers(swapped), toNumbers(turned), 1e-13);
      expectClose("A(B + C)", toNumbers(whole), toNumbers(parts), 1e-13);
    },
  );

  property(
    "of exponentials: softmax = exp ∘ logSoftmax, shifts cancel, max ≤ logSumExp ≤ max + ln n",
    40,
    [withAxis, fc.nat(3), fc.integer({ min: -500, max: 500 }), seeds],
    async (shape, chosen, shift, seed) => {
      const axis = chosen % shape.length;
      const x = constant(randomArray(seed, shape));
      const over = { axes: axis } as const;
      const [probabilities, exponentials, shifted, total, high, shiftedHigh, top] = (
        await evaluate([
          softmax(x, axis),
          exp(logSoftmax(x, axis)),
          softmax(add(x, shift), axis),
          sum(softmax(x, axis), over),
          logSumExp(x, over),
          sub(logSumExp(add(x, shift), over), shift),
          max(x, over),
        ] as const)
      ).map(toNumbers) as [number[], number[], number[], number[], number[], number[], number[]];
      expectClose("exp of logSoftmax", exponentials, probabilities, 1e-12);
      expectClose("softmax of shifted", shifted, probabilities, 1e-11);
      expectClose(
        "total probability",
        total,
        total.map(() => 1),
        1e-12,
      );
      expectClose("logSumExp of shifted", shiftedHigh, high, 1e-12);
      high.forEach((value, i) => {
        expect(value).toBeGreaterThanOrEqual(top[i]! - 1e-12);
        expect(value).toBeLessThanOrEqual(top[i]! + Math.log(shape[axis]!) + 1e-12);
      });
    },
  );

  property(
    "of extremes: max x = -min(-x), maximum + minimum = sum",
    30,
    [withAxis, seeds],
    async (shape, seed) => {
      const [x, y] = randomArrays(seed, [shape, shape]).map(constant) as [Tensor, Tensor];
      const [highest, negated, both, plainSum] = await evaluate([
        max(x),
        neg(min(neg(x))),
        add(maximum(x, y), minimum(x, y)),
        add(x, y),
      ] as const);
      expect(negated).toEqual(highest);
      expect(both).toEqual(plainSum);
    },
  );

  property(
    "gathering all rows in order is the identity; scattering is its transpose",
    40,
    [withAxis, fc.nat(3), fc.array(fc.nat(11), { minLength: 1, maxLength: 5 }), seeds],
    async (shape, chosen, picks, seed) => {
      const axis = chosen % shape.length;
      const n = shape[axis]!;
      const indices = tensor(
        picks.map((pick) => pick % n),
        { dtype: "int32" },
      );
      const [x, y] = randomArrays(seed, [shape, shape.with(axis, picks.length)]).map(constant) as [
        Tensor,
        Tensor,
      ];
      const inOrder = tensor(
        Array.from({ length: n }, (_, i) => i),
        { dtype: "int32" },
      );
      const along = broadcastTo(
        reshape(
          indices,
          shape.map((_, i) => (i === axis ? picks.length : 1)),
        ),
        y.shape,
      );
      const rows = reshape(transpose(y, [axis, ...shape.map((_, i) => i).filter((i) => i !== axis)]), [
        picks.length,
        -1,
      ]);
      const [original, same, left, right, scattered, segmented] = await evaluate([
        x,
        gather(x, inOrder, axis),
        sum(mul(gather(x, indices, axis), y)),
        sum(mul(x, scatterAddAlong(y, along, shape, axis))),
        sum(scatterAddAlong(y, along, shape, axis), {
          axes: shape.map((_, i) => i).filter((i) => i !== axis),
        }),
        sum(segmentSum(rows, indices, n), { axes: 1 }),
      ] as const);
      expect(same).toEqual(original);
      expectClose("⟨gather x, y⟩ = ⟨x, scatter y⟩", toNumbers(left), toNumbers(right), 1e-12);
      expectClose("segmentSum", toNumbers(segmented), toNumbers(scattered), 1e-12);
    },
  );

  property("casting to a wider type and back", 20, [shapes, seeds], async (shape, seed) => {
    const x = constant(randomArray(seed, shape, { dtype: "float32" }));
    const [original, wide, truncated, whole] = await evaluate([
      x,
      cast(cast(x, "float64"), "float32"),
      cast(x, "int32"),
      cast(cast(x, "int64"), "int32"),
    ] as const);
    expect(wide).toEqual(original);
    expect(toNumbers(truncated).map((v) => v + 0)).toEqual(toNumbers(original).map((v) => Math.trunc(v) + 0));
    expect(whole).toEqual(truncated);
  });
});
