import { asTensor, evaluate, ndarray, normalArray, randomKey, uniformArray } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { hashLossGroup, likelihood } from "./recipe.ts";

const [N, B, K] = [7, 4, 6];
const memory = normalArray(randomKey(1), [N, K]);
const codes = uniformArray(randomKey(2), [B, K], -1, 1);
const similar = ndarray(
  Array.from({ length: N * B }, (_, i) => Number(i % 3 === 0)),
  { shape: [N, B] },
);
// Beyond ±64 products are cut off.
for (let k = 0; k < K; k++) memory.data[k] = 100 * (codes.data[k] as number);

/** The mean of softplus(s) - S s over the pairs that count, by loops. */
function slowLikelihood(counts: (similar: boolean) => boolean): number {
  let [sum, pairs] = [0, 0];
  for (let n = 0; n < N; n++) {
    for (let b = 0; b < B; b++) {
      const s = Number(similar.data[n * B + b]);
      if (!counts(s > 0)) continue;
      let product = 0;
      for (let k = 0; k < K; k++) product += Number(memory.data[n * K + k]) * Number(codes.data[b * K + k]);
      const half = 0.5 * Math.max(-64, Math.min(64, product));
      sum += Math.log1p(Math.exp(half)) - s * half;
      pairs++;
    }
  }
  return sum / pairs;
}

describe("likelihood", () => {
  const run = async (balance: boolean) =>
    Number(
      (await evaluate({ x: likelihood(asTensor(memory), asTensor(codes), asTensor(similar), balance) })).x
        .data[0],
    );

  it("equals the loop", async () => {
    expect(await run(false)).toBeCloseTo(
      slowLikelihood(() => true),
      4,
    );
  });

  it("balanced: similar and other pairs weigh the same", async () => {
    const [alike, other] = [slowLikelihood((yes) => yes), slowLikelihood((yes) => !yes)];
    expect(await run(true)).toBeCloseTo((alike + other) / 2, 4);
  });
});

it("the batch's codes are in the memory before the loss, and targets stay", async () => {
  const targets = ndarray(
    Array.from({ length: N * K }, (_, i) => (i % 2 === 0 ? 1 : -1)),
    { shape: [N, K] },
  );
  const state = { first: asTensor(memory), second: asTensor(memory), targets: asTensor(targets) };
  const items = asTensor(ndarray([5, 0, 3, 1], { dtype: "int32" }));
  const other = uniformArray(randomKey(3), [B, K], -1, 1);
  const group = hashLossGroup(state, [asTensor(codes), asTensor(other)], items, asTensor(similar), {
    interWeight: 5,
    quantWeight: 0.1,
    balance: false,
  });
  const { memory: after, targets: own } = await evaluate({ memory: group.memory, targets: group.targets });
  [5, 0, 3, 1].forEach((item, row) => {
    expect([...after.first.data.slice(item * K, (item + 1) * K)]).toEqual([
      ...codes.data.slice(row * K, (row + 1) * K),
    ]);
    expect([...after.second.data.slice(item * K, (item + 1) * K)]).toEqual([
      ...other.data.slice(row * K, (row + 1) * K),
    ]);
    expect([...own.data.slice(row * K, (row + 1) * K)]).toEqual([
      ...targets.data.slice(item * K, (item + 1) * K),
    ]);
  });
  expect([...after.first.data.slice(2 * K, 3 * K)]).toEqual([...memory.data.slice(2 * K, 3 * K)]);
  expect([...after.targets.data]).toEqual([...targets.data]);
});
