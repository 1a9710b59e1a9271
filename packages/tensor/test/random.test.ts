import { describe, expect, test } from "vitest";
import type { Key, Tensor } from "../src/index.ts";
import {
  add,
  bitsAt,
  compile,
  DTypeError,
  dropout,
  foldIn,
  foldInTensor,
  gradients,
  keyArray,
  keyTensor,
  normal,
  normalArray,
  ones,
  permutation,
  RandomStream,
  randomKey,
  splitKey,
  sum,
  tensor,
  toNumbers,
  uniform,
  uniformArray,
} from "../src/index.ts";
import { allValuesOf, expectClose, valuesOf } from "./support/arrays.ts";
import { correlation, uniformityScores } from "./support/statistics.ts";

const COUNT = 100_000;
const KEYS: readonly Key[] = [
  [0, 0],
  [0xffffffff, 0xffffffff],
  [1, 0x80000000],
  randomKey(0),
  randomKey(2 ** 52 + 1),
];

describe("a compiled graph draws the same numbers as the host", () => {
  test.each([[[]], [[1]], [[7]], [[3, 5]], [[2, 3, 4]], [[4096]]])(
    "uniform of shape %j, bit for bit",
    async (shape) => {
      const inGraph = await allValuesOf(KEYS.map((key) => uniform(keyTensor(key), shape)));
      KEYS.forEach((key, i) => {
        expect(inGraph[i]).toEqual(toNumbers(uniformArray(key, shape)));
      });
    },
  );

  test("normal up to the rounding of logarithm and cosine", async () => {
    const inGraph = await allValuesOf(KEYS.map((key) => normal(keyTensor(key), [2, 5000])));
    KEYS.forEach((key, i) => {
      expectClose(`normal of key ${i}`, inGraph[i]!, toNumbers(normalArray(key, [2, 5000])), 2e-6);
    });
  });

  test("foldIn, of numbers and of tensors", async () => {
    const integers = [0, 1, 2, 77, 2 ** 31 - 1, -1, -(2 ** 31)];
    for (const key of KEYS) {
      const folded = integers.flatMap((data) => [
        foldInTensor(keyTensor(key), data),
        foldInTensor(keyTensor(key), tensor(data, { dtype: "int32" })),
      ]);
      const expected = integers.flatMap((data) => {
        const host = toNumbers(keyArray(foldIn(key, data)));
        return [host, host];
      });
      expect(await allValuesOf(folded)).toEqual(expected);
    }
  });

  test("with keys that are fed, so that one graph serves every step", async () => {
    let traced = 0;
    const draw = compile((key: Tensor) => {
      traced++;
      return uniform(foldInTensor(key, 3), [6]);
    });
    for (const key of KEYS)
      expect(toNumbers(await draw(keyArray(key)))).toEqual(toNumbers(uniformArray(foldIn(key, 3), [6])));
    expect(traced).toBe(1);
  });

  test("refuses keys and integers of another dtype or shape", () => {
    const key = keyTensor(randomKey(1));
    expect(() => uniform(tensor([1, 2]), [3])).toThrow("randomBits: a key is int32 [2], got float32 [2]");
    expect(() => foldInTensor(tensor([1, 2, 3], { dtype: "int32" }), 1)).toThrow(
      "foldInTensor: a key is int32 [2], got int32 [3]",
    );
    expect(() => foldInTensor(key, tensor(1))).toThrow(DTypeError);
    expect(() => foldInTensor(key, tensor([1], { dtype: "int32" }))).toThrow(
      "foldInTensor: data must be an int32 scalar, got int32 [1]",
    );
  });
});

describe("dropout", () => {
  const key = keyTensor(randomKey(5));

  test("scales what it keeps, so that the expectation stays", async () => {
    for (const rate of [0.1, 0.5, 0.9]) {
      const values = await valuesOf(dropout(key, ones([COUNT]), rate));
      const kept = values.filter((value) => value !== 0);
      expectClose("kept values", kept, new Array(kept.length).fill(1 / (1 - rate)), 1e-6);
      const deviation = Math.sqrt((rate * (1 - rate)) / COUNT);
      expect(Math.abs(kept.length / COUNT - (1 - rate))).toBeLessThan(4 * deviation);
    }
  });

  test("drops the same entries for the same key whatever the values, others for another key", async () => {
    const other = keyTensor(randomKey(6));
    const masks = await allValuesOf([
      dropout(key, ones([1000]), 0.5),
      dropout(key, add(uniform(other, [1000]), 1), 0.5),
      dropout(other, ones([1000]), 0.5),
    ]);
    const [first, second, third] = masks.map((values) => values.map((value) => value === 0)) as [
      boolean[],
      boolean[],
      boolean[],
    ];
    expect(second).toEqual(first);
    const agreements = third.filter((dropped, i) => dropped === first[i]).length;
    expect(Math.abs(agreements - 500)).toBeLessThan(64);
  });

  test("passes the gradient of what it keeps", async () => {
    const x = uniform(keyTensor(randomKey(8)), [100]);
    const y = dropout(key, x, 0.25);
    const [mask, gradient] = await allValuesOf([dropout(key, ones([100]), 0.25), ...gradients(sum(y), [x])]);
    expect(gradient).toEqual(mask);
  });

  test("is the identity at rate 0 and refuses rates outside [0, 1)", () => {
    const x = ones([3]);
    expect(dropout(key, x, 0)).toBe(x);
    for (const rate of [1, -0.1, Number.NaN])
      expect(() => dropout(key, x, rate)).toThrow(`dropout: the rate must lie in [0, 1), got ${rate}`);
  });
});

describe("the numbers look independent", () => {
  const key = randomKey(3);
  const sequence = (draw: (i: number) => number): Float64Array =>
    Float64Array.from({ length: COUNT }, (_, i) => draw(i));
  const unit = (bits: number): number => bits / 2 ** 32;

  test.each<[string, () => ArrayLike<number>]>([
    ["counters of one key", () => uniformArray(key, [COUNT]).data],
    ["counters of the key of seed 0", () => uniformArray(randomKey(0), [COUNT]).data],
    ["the low bits", () => sequence((i) => unit((bitsAt(key, i) << 16) >>> 0))],
    ["first words of successive keys", () => sequence((i) => unit(foldIn(key, i)[0]))],
    ["second words of successive keys", () => sequence((i) => unit(foldIn(key, i)[1]))],
    ["first numbers of successive keys", () => sequence((i) => unit(bitsAt(foldIn(key, i), 0)))],
    ["later numbers of successive keys", () => sequence((i) => unit(bitsAt(foldIn(key, i), 12345)))],
    ["first numbers of successive seeds", () => sequence((i) => unit(bitsAt(randomKey(i), 0)))],
    [
      "keys folded twice",
      () => sequence((i) => unit(bitsAt(foldIn(foldIn(key, i % 300), Math.floor(i / 300)), 0))),
    ],
    [
      "a stream",
      () => {
        const stream = new RandomStream(key);
        return sequence(() => stream.uniform());
      },
    ],
  ])("%s", (_name, draw) => {
    const { mean, bins, pairs, lags } = uniformityScores(draw());
    for (const score of [mean, bins, pairs, ...lags]) expect(Math.abs(score)).toBeLessThan(4);
  });

  test("between the sequences of neighbouring keys, seeds and their shifts", () => {
    const of = (k: Key): Float32Array => uniformArray(k, [COUNT]).data;
    const pairs: [Float32Array, Float32Array][] = [
      [of(foldIn(key, 0)), of(foldIn(key, 1))],
      [of(foldIn(key, 1)), of(foldIn(key, 2))],
      [of(key), of(foldIn(key, 0))],
      [of(randomKey(0)), of(randomKey(1))],
      [of([key[0], key[1]]), of([key[1], key[0]])],
      [of([key[0], key[1]]), of([key[0], key[1] + 1])],
      [of(key).subarray(1), of([key[0] + 1, key[1]]).subarray(0, COUNT - 1)],
    ];
    for (const [a, b] of pairs) expect(Math.abs(correlation(a, b))).toBeLessThan(4);
  });

  test("one changed bit of the counter changes each bit about half of the time", () => {
    const trials = 4000;
    for (let bit = 0; bit < 32; bit++) {
      const flips = new Array<number>(32).fill(0);
      for (let i = 0; i < trials; i++) {
        const changed = bitsAt(key, i) ^ bitsAt(key, i ^ (1 << bit));
        for (let out = 0; out < 32; out++) flips[out] = (flips[out] as number) + ((changed >>> out) & 1);
      }
      for (const count of flips) expect(Math.abs(count / trials - 0.5)).toBeLessThan(0.05);
    }
  });

  test("keys do not repeat", () => {
    const seen = new Set<string>();
    for (let i = 0; i < 20_000; i++) {
      seen.add(foldIn(key, i).join());
      seen.add(randomKey(i).join());
      seen.add(foldIn(randomKey(i), 20_000).join());
    }
    expect(seen.size).toBe(60_000);
  });

  test("normal numbers have the moments of the normal distribution", () => {
    const { data } = normalArray(key, [COUNT], 2, 3);
    const moment = (power: number): number =>
      data.reduce((total, value) => total + ((value - 2) / 3) ** power, 0) / COUNT;
    expect(Math.abs(moment(1))).toBeLessThan(4 / Math.sqrt(COUNT));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(4 * Math.sqrt(2 / COUNT));
    expect(Math.abs(moment(3))).toBeLessThan(4 * Math.sqrt(15 / COUNT));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(4 * Math.sqrt(96 / COUNT));
    expect(Array.from(data).every(Number.isFinite)).toBe(true);
  });
});

describe("host generators", () => {
  test("uniformArray stays in its half-open range even where float32 is coarse", () => {
    const values = uniformArray(randomKey(1), [200_000], 4096, 4097).data;
    expect(values.every((value) => value >= 4096 && value < 4097)).toBe(true);
    expect(new Set(values).size).toBe(2 ** 11);
  });

  test("seeds are whole numbers; high and low words both count", () => {
    expect(() => randomKey(-1)).toThrow("randomKey: the seed must be an integer >= 0, got -1");
    expect(() => randomKey(0.5)).toThrow("got 0.5");
    expect(() => randomKey(2 ** 53)).toThrow("got 9007199254740992");
    expect(randomKey(7)).not.toEqual(randomKey(7 + 2 ** 32));
    expect(randomKey(7)).toEqual(randomKey(7));
  });

  test("splitKey gives the keys of foldIn", () => {
    const key = randomKey(4);
    expect(splitKey(key, 3)).toEqual([foldIn(key, 0), foldIn(key, 1), foldIn(key, 2)]);
  });

  test("permutation holds every number once, differs between keys and leaves no place favoured", () => {
    for (const length of [0, 1, 2, 1000]) {
      const order = permutation(randomKey(length), length);
      expect(Array.from(order).sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i));
    }
    expect(permutation(randomKey(1), 20)).toEqual(permutation(randomKey(1), 20));
    expect(permutation(randomKey(1), 20)).not.toEqual(permutation(randomKey(2), 20));
    const counts = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const order = permutation(randomKey(i), 4).join("");
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(4.5 * Math.sqrt(1000));
  });

  test("RandomStream draws within its bounds and repeats itself", () => {
    const [stream, same] = [new RandomStream(randomKey(2)), new RandomStream(randomKey(2))];
    for (let i = 0; i < 1000; i++) {
      const value = stream.uniform(-3, 5);
      expect(value).toBe(same.uniform(-3, 5));
      expect(value).toBeGreaterThanOrEqual(-3);
      expect(value).toBeLessThan(5);
    }
    const integers = new Set(Array.from({ length: 500 }, () => stream.integer(5)));
    expect([...integers].sort()).toEqual([0, 1, 2, 3, 4]);
    const chances = Array.from({ length: 10_000 }, () => stream.chance(0.3)).filter(Boolean).length;
    expect(Math.abs(chances - 3000)).toBeLessThan(4 * Math.sqrt(2100));
    const normals = Array.from({ length: 10_000 }, () => stream.normal(1, 2));
    expect(Math.abs(normals.reduce((a, b) => a + b, 0) / 10_000 - 1)).toBeLessThan(0.08);
  });

  test("RandomStream picks and samples from lists", () => {
    const stream = new RandomStream(randomKey(9));
    const items = ["a", "b", "c", "d"];
    expect(new Set(Array.from({ length: 100 }, () => stream.pick(items)))).toEqual(new Set(items));
    expect(() => stream.pick([])).toThrow("RandomStream.pick: the list is empty");
    const sample = stream.sample(items, 3);
    expect(new Set(sample).size).toBe(3);
    expect(items).toEqual(["a", "b", "c", "d"]);
    expect(new Set(stream.sample(items, 9))).toEqual(new Set(items));
  });
});
