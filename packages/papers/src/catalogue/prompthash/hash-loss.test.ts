import {
  asTensor,
  evaluate,
  gradients,
  type NDArray,
  ndarray,
  normalArray,
  randomKey,
  type Tensor,
  tensor,
  toNumbers,
  uniformArray,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { codeMemoryInit, codesAndTargets, refreshTargets } from "./code-memory.ts";
import { hashLossGroup, likelihood, reconstructionLoss, sharedLabels } from "./hash-loss.ts";

const [N, B, K] = [7, 4, 6];
const memory = normalArray(randomKey(1), [N, K]);
const codes = uniformArray(randomKey(2), [B, K], -1, 1);
const similar = ndarray(
  Array.from({ length: N * B }, (_, i) => Number(i % 3 === 0)),
  { shape: [N, B] },
);
// Beyond ±64 products are cut off.
for (let k = 0; k < K; k++) memory.data[k] = 100 * (codes.data[k] as number);

const read = async (x: Tensor): Promise<number[]> => Array.from(toNumbers(await x.data()));

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
    (await read(likelihood(asTensor(memory), asTensor(codes), asTensor(similar), balance)))[0] as number;

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

  it("cuts products off before it halves them, and lets no gradient through where it cuts", async () => {
    const h = tensor([[1, 1]]);
    const at = async (product: number): Promise<readonly [loss: number, slope: number]> => {
      const loss = likelihood(tensor([[product / 2, product / 2]]), h, tensor([[0]]));
      const [slope] = gradients(loss, [h]) as [Tensor];
      return [(await read(loss))[0] as number, (await read(slope))[0] as number];
    };
    expect((await at(63))[0]).toBeCloseTo(31.5, 4);
    expect((await at(63))[1]).toBeGreaterThan(10);
    expect((await at(1000))[0]).toBeCloseTo(32, 4);
    expect((await at(1000))[1]).toBe(0);
  });
});

describe("the similarity of a batch", () => {
  it("is that of all training items with the batch, by any shared label", async () => {
    const all = tensor([
      [1, 0, 0],
      [1, 1, 0],
      [0, 0, 0],
    ]);
    const batch = tensor([
      [0, 1, 1],
      [1, 0, 0],
    ]);
    const similarity = sharedLabels(all, batch);
    expect(similarity.shape).toEqual([3, 2]);
    expect(await read(similarity)).toEqual([0, 1, 1, 1, 0, 0]);
  });
});

describe("the memory", () => {
  const start = codeMemoryInit(randomKey(4), N, K);
  const items = tensor([5, 0, 3, 1], { dtype: "int32" });
  const other = uniformArray(randomKey(3), [B, K], -1, 1);
  const written = () => {
    const [image, text] = [asTensor(codes), asTensor(other)];
    const state = {
      image: asTensor(start.image),
      text: asTensor(start.text),
      targets: asTensor(start.targets),
    };
    return { image, text, ...codesAndTargets(state, items, { image, text }) };
  };

  it("starts with targets that are the signs of its sum", () => {
    Array.from(toNumbers(start.targets)).forEach((target, i) => {
      expect(target).toBe(Math.sign(Number(start.image.data[i]) + Number(start.text.data[i])));
    });
  });

  it("has the batch's codes in it before the loss, and keeps its targets", async () => {
    const { memory: after, targets } = written();
    const got = await evaluate({ ...after, own: targets });
    [5, 0, 3, 1].forEach((item, row) => {
      const of = (array: NDArray, i: number): number[] =>
        Array.from(toNumbers(array)).slice(i * K, (i + 1) * K);
      expect(of(got.image, item)).toEqual(of(codes, row));
      expect(of(got.text, item)).toEqual(of(other, row));
      expect(of(got.own, row)).toEqual(of(start.targets, item));
    });
    const untouched = (of: NDArray): number[] => Array.from(toNumbers(of)).slice(2 * K, 3 * K);
    expect(untouched(got.image)).toEqual(untouched(start.image));
    expect(Array.from(toNumbers(got.targets))).toEqual(Array.from(toNumbers(start.targets)));
  });

  it("passes no gradient to the codes that were written into it", async () => {
    const { image, text, memory: after, targets } = written();
    const loss = (imageBuffer: Tensor, textBuffer: Tensor): Tensor =>
      hashLossGroup({
        imageCodes: image,
        textCodes: text,
        imageBuffer,
        textBuffer,
        similarity: asTensor(similar),
        binaryTargets: targets,
      }).loss;
    const buffers = await evaluate({ image: after.image, text: after.text });
    const [through] = gradients(loss(after.image, after.text), [image]) as [Tensor];
    const [fixed] = gradients(loss(asTensor(buffers.image), asTensor(buffers.text)), [image]) as [Tensor];
    expect(await read(through)).toEqual(await read(fixed));
  });

  it("gets new targets at the end of an epoch only", async () => {
    const { memory: after } = written();
    const during = refreshTargets(after, tensor(false, { dtype: "bool" }));
    const end = refreshTargets(after, tensor(true, { dtype: "bool" }));
    expect(await read(during.targets)).toEqual(Array.from(toNumbers(start.targets)));
    const [image, text, targets] = [await read(end.image), await read(end.text), await read(end.targets)];
    expect(targets).toEqual(image.map((value, i) => (value + (text[i] as number) > 0 ? 1 : -1)));
    expect(targets).not.toEqual(Array.from(toNumbers(start.targets)));
  });
});

it("the reconstruction sums over bits and averages over items", async () => {
  const decoded = tensor([
    [0.5, -1],
    [1, 0],
  ]);
  const targets = tensor([
    [1, -1],
    [1, 1],
  ]);
  expect((await read(reconstructionLoss(decoded, targets)))[0]).toBeCloseTo((0.25 + 1) / 2, 6);
});
