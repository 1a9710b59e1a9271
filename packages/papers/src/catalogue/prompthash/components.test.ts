import {
  asTensor,
  compile,
  gradients,
  keyTensor,
  type NDArray,
  normalArray,
  randomKey,
  sum,
  type Tensor,
  type Traced,
  tensor,
  toNumbers,
  treeMap,
  uniformArray,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { adaptiveGatedSelection, adaptiveGatedSelectionInit } from "./adaptive-gated-selection.ts";
import { clipEachByNorm, warmupCosine } from "./bert-adam.ts";
import { fuse, fusionInit } from "./fuse.ts";
import { grn, grnInit } from "./grn.ts";
import { hashFeatures } from "./hash-features.ts";
import { hashDecoder, hashDecoderInit, hashHead, hashHeadInit } from "./hash-heads.ts";
import { mambaBlock, mambaInit, selectiveScan } from "./mamba-block.ts";
import { affinityDivergence, promptAffinityAlignment } from "./prompt-affinity-alignment.ts";
import { resMlp, resMlpInit } from "./res-mlp.ts";
import { textAffinityPrompt } from "./text-affinity-prompt.ts";

const key = randomKey(11);
const array = (seed: number, shape: readonly number[]): NDArray<"float32"> =>
  normalArray(randomKey(seed), shape);
/** Parameters as constants of a graph. */
const traced = <P>(params: P): Traced<P> => treeMap(params, (leaf) => asTensor(leaf as NDArray)) as Traced<P>;
const read = async (x: Tensor): Promise<number[]> => Array.from(toNumbers(await x.data()));
/** Numbers of the same sums in another order differ by single-precision rounding. */
function expectClose(got: readonly number[], want: readonly number[], tolerance = 2e-5): void {
  expect(got.length).toBe(want.length);
  got.forEach((x, i) => {
    const y = want[i] as number;
    expect(Math.abs(x - y), `entry ${i}: ${x} instead of ${y}`).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(y)),
    );
  });
}

describe("selectiveScan", () => {
  it.each([1, 2, 3, 5, 8])("follows the recurrence over %i tokens", async (L) => {
    const [B, I, N] = [2, 3, 4];
    const inputs = {
      x: array(1, [B, L, I]),
      step: uniformArray(randomKey(2), [B, L, I], 0.05, 1),
      a: uniformArray(randomKey(3), [I, N], -2, -0.1),
      b: array(4, [B, L, N]),
      c: array(5, [B, L, N]),
      skip: array(6, [I]),
    };
    const { x, step, a, b, c, skip } = traced(inputs);
    const got = await read(selectiveScan(x, step, a, b, c, skip));
    const at = (of: NDArray, ...index: number[]): number =>
      Number(of.data[index.reduce((place, i, axis) => place * (of.shape[axis] as number) + i, 0)]);
    const want: number[] = [];
    for (let row = 0; row < B; row++) {
      const h = Array.from({ length: I }, () => new Array<number>(N).fill(0));
      for (let t = 0; t < L; t++)
        for (let i = 0; i < I; i++) {
          const delta = at(inputs.step, row, t, i);
          let y = at(inputs.skip, i) * at(inputs.x, row, t, i);
          for (let n = 0; n < N; n++) {
            const state = h[i] as number[];
            state[n] =
              Math.exp(delta * at(inputs.a, i, n)) * (state[n] as number) +
              delta * at(inputs.b, row, t, n) * at(inputs.x, row, t, i);
            y += (state[n] as number) * at(inputs.c, row, t, n);
          }
          want.push(y);
        }
    }
    expectClose(got, want);
  });
});

describe("mambaBlock", () => {
  const params = traced(mambaInit(key, { width: 4 }));

  it("lets no token see a later one, and carries states over more tokens than the kernel is long", async () => {
    const u = array(7, [1, 7, 4]);
    const output = async (changed: number): Promise<number[][]> => {
      const data = Float32Array.from(u.data);
      data[changed * 4] = 3;
      const y = await read(mambaBlock(params, tensor(data, { shape: [1, 7, 4] })));
      return Array.from({ length: 7 }, (_, t) => y.slice(t * 4, t * 4 + 4));
    };
    const [first, last] = [await output(0), await output(6)];
    const plain = await read(mambaBlock(params, asTensor(u)));
    expect(last.slice(0, 6).flat()).toEqual(plain.slice(0, 24));
    expect(first[6]).not.toEqual(plain.slice(24));
  });

  it("starts with Mamba's step sizes and decays", () => {
    const { step, logA, skip } = mambaInit(key, { width: 40 });
    expect(step.weight.shape).toEqual([3, 80]);
    const sizes = toNumbers(step.bias as NDArray).map((bias) => Math.log1p(Math.exp(bias)));
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(1e-3 * 0.999);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(0.1 * 1.001);
    // Log-uniform: half of the sizes lie below the geometric mean of the ends.
    expect(sizes.filter((size) => size < 0.01).length / 80).toBeCloseTo(0.5, 0.5);
    expect(toNumbers(logA).slice(0, 3)).toEqual([0, Math.fround(Math.log(2)), Math.fround(Math.log(3))]);
    expect(new Set(toNumbers(skip))).toEqual(new Set([1]));
  });
});

describe("codes do not depend on batch mates", () => {
  const width = 4;
  const fusion = fusionInit(key, { width, feedForward: 8, states: 3 });
  const residual = resMlpInit(randomKey(12), width);
  const items = { image: array(21, [5, width]), text: array(22, [5, width]), prompt: array(23, [5, width]) };
  const rows = (of: NDArray, chosen: readonly number[]): Tensor =>
    tensor(
      chosen.flatMap((i) => Array.from(toNumbers(of)).slice(i * width, (i + 1) * width)),
      { shape: [chosen.length, width] },
    );
  const features = (chosen: readonly number[], options = {}) =>
    hashFeatures(
      { fusion: traced(fusion), residual: traced(residual) },
      {
        image: rows(items.image, chosen),
        text: rows(items.text, chosen),
        prompt: rows(items.prompt, chosen),
      },
      { fusion: options },
    );

  it("with the layouts that are ours", async () => {
    const [many, few] = [features([0, 1, 2, 3, 4]), features([3, 1])];
    for (const modality of ["image", "text", "prompt"] as const) {
      const all = await read(many[modality] as Tensor);
      const some = await read(few[modality] as Tensor);
      expectClose(some, [...all.slice(12, 16), ...all.slice(4, 8)], 1e-6);
    }
  });

  it.each([{ scan: "batch" }, { attention: "batch" }])("but do with the released %o", async (options) => {
    const all = await read(features([0, 1, 2, 3, 4], options).image);
    const some = await read(features([3, 1], options).image);
    expect(Math.abs((some[0] as number) - (all[12] as number))).toBeGreaterThan(1e-4);
  });

  it("passes features by where there is neither fusion nor prompt", async () => {
    const { image, text, prompt } = hashFeatures(
      { residual: traced(residual) },
      { image: rows(items.image, [0, 1]), text: rows(items.text, [0, 1]) },
    );
    expect(prompt).toBeUndefined();
    expect(await read(image)).toEqual(await read(resMlp(traced(residual), rows(items.image, [0, 1]))));
    expect(await read(text)).toEqual(await read(resMlp(traced(residual), rows(items.text, [0, 1]))));
  });

  it("uses the state-space model and its gate unless told otherwise", async () => {
    const [u, v] = [rows(items.image, [0]), rows(items.text, [0])];
    const { selection: _, ...rest } = traced(fusion);
    const [with_, without] = [fuse(traced(fusion), u, v), fuse(rest, u, v)];
    expect(await read(with_[0])).not.toEqual(await read(without[0]));
    // r has length 1, so the halves together have.
    const both = [...(await read(with_[0])), ...(await read(with_[1]))];
    expect(Math.hypot(...both)).toBeCloseTo(1, 5);
  });
});

describe("parts", () => {
  it("grn is the identity at the start, with a finite gradient at 0", async () => {
    const x = tensor([[0, 0, 0, 1, -2, 3]], { shape: [2, 3] });
    const y = grn(x, traced(grnInit(3)));
    expect(await read(y)).toEqual([0, 0, 0, 1, -2, 3]);
    const params = traced({ gamma: array(1, [3]), beta: array(2, [3]) });
    const [dx] = gradients(sum(grn(x, params)), [x]) as [Tensor];
    // A row of zeros has no response: all that reaches it is the gradient of the sum, 1.
    expectClose((await read(dx)).slice(0, 3), [1, 1, 1], 1e-6);
  });

  it("the adaptive gated selection starts its scalars at |N(0, 1)|", () => {
    const scalars = Array.from({ length: 200 }, (_, i) =>
      Number(adaptiveGatedSelectionInit(randomKey(i), { width: 2 }).temperature.data[0]),
    );
    expect(Math.min(...scalars)).toBeGreaterThanOrEqual(0);
    // E|N(0, 1)| = 0.80 with a standard error of 0.04.
    expect(scalars.reduce((a, b) => a + b) / 200).toBeGreaterThan(0.65);
    expect(scalars.reduce((a, b) => a + b) / 200).toBeLessThan(0.95);
  });

  it("the adaptive gated selection wants two modalities", () => {
    const params = traced(adaptiveGatedSelectionInit(key, { width: 4 }));
    expect(() =>
      adaptiveGatedSelection(params, tensor(array(1, [2, 3, 4]).data, { shape: [2, 3, 4] })),
    ).toThrow(/adaptiveGatedSelection/);
  });

  it("the text affinity prompt wants text and prompt of one length", () => {
    const tokens = tensor(array(1, [1, 5, 2]).data, { shape: [1, 5, 2] });
    expect(() =>
      textAffinityPrompt(tokens, {
        endIndex: tensor([0], { dtype: "int32" }),
        norm: { gain: tensor([1, 1]), bias: tensor([0, 0]) },
        projection: tensor([
          [1, 0],
          [0, 1],
        ]),
      }),
    ).toThrow(/one length, got 5/);
  });

  it("the prompt multiplies the text as strongly as it is told", async () => {
    const tokens = asTensor(array(1, [2, 6, 4]));
    const given = {
      endIndex: tensor([2, 0], { dtype: "int32" }),
      norm: { gain: asTensor(array(2, [4])), bias: asTensor(array(3, [4])) },
      projection: asTensor(array(4, [4, 3])),
    };
    const at = (strength?: number): Promise<number[]> =>
      read(
        textAffinityPrompt(tokens, {
          ...given,
          ...(strength !== undefined && { strength: tensor(strength) }),
        }).text,
      );
    const [paper, none, half] = [await at(), await at(0), await at(0.5)];
    expectClose(await at(1), paper);
    // Without strength no prompt token matters.
    const others = asTensor({
      ...array(1, [2, 6, 4]),
      data: array(1, [2, 6, 4]).data.map((x, i) => (Math.floor(i / 12) % 2 === 1 ? -x * i : x)),
    });
    expectClose(await read(textAffinityPrompt(others, { ...given, strength: tensor(0) }).text), none);
    expect(await read(textAffinityPrompt(others, given).text)).not.toEqual(paper);
    expectClose(
      half,
      paper.map((x, i) => (x + (none[i] as number)) / 2),
    );
  });

  it("codes lie in (-1, 1), and decoders go from one length to the other", async () => {
    const head = traced(hashHeadInit(key, { width: 3, bits: 6 }));
    const codes = hashHead(head, asTensor(array(1, [4, 3])));
    const decoded = hashDecoder(traced(hashDecoderInit(key, { bits: 6, auxiliaryBits: 9 })), codes);
    expect(decoded.shape).toEqual([4, 9]);
    for (const value of [...(await read(codes)), ...(await read(decoded))])
      expect(Math.abs(value)).toBeLessThan(1);
  });

  it("dropout of the ResMLP acts in training only and differs from step to step", async () => {
    const blocks = traced(resMlpInit(key, 3));
    const x = asTensor(array(1, [4, 3]));
    const run = (step?: number) =>
      read(
        resMlp(blocks, x, step === undefined ? undefined : { key: keyTensor(randomKey(step)), rate: 0.5 }),
      );
    expect(await run()).toEqual(await run());
    expect(await run(1)).toEqual(await run(1));
    expect(await run(1)).not.toEqual(await run(2));
    expect(await run(1)).not.toEqual(await run());
  });
});

describe("promptAffinityAlignment", () => {
  const [image, text, prompt] = [1, 2, 3].map((seed) => asTensor(array(seed, [5, 4]))) as [
    Tensor,
    Tensor,
    Tensor,
  ];

  it("has the arguments of the divergence exchanged", async () => {
    const unit = (rows: number[]): number[][] =>
      Array.from({ length: 5 }, (_, i) => {
        const row = rows.slice(i * 4, i * 4 + 4);
        return row.map((x) => x / Math.hypot(...row));
      });
    const softmaxOf = (row: number[]): number[] => {
      const powers = row.map(Math.exp);
      return powers.map((x) => x / powers.reduce((a, b) => a + b));
    };
    const [a, b] = [unit(await read(image)), unit(await read(prompt))];
    let want = 0;
    a.forEach((row, i) => {
      const [p, q] = [softmaxOf(row), softmaxOf(b[i] as number[])];
      p.forEach((_, c) => {
        const [x, y] = [p[c] as number, q[c] as number];
        const m = (x + y) / 2;
        want += (m * (Math.log(m) - Math.log(x)) + m * (Math.log(m) - Math.log(y))) / 2 / 5;
      });
    });
    const got = affinityDivergence(tensor(a), tensor(b));
    expect((await read(got))[0]).toBeCloseTo(want, 6);
  });

  it("takes the local temperature for a constant", async () => {
    const parts = promptAffinityAlignment({ image, text, prompt });
    const temperature = (await read(parts.localTemperature))[0] as number;
    expect(temperature).toBeLessThan(0.07);
    const [got] = gradients(parts.local, [image]) as [Tensor];
    // A temperature given as a number cannot have a gradient; identical features have divergence 0.
    const fixed = promptAffinityAlignment(
      { image, text: prompt, prompt: image },
      { globalTemperature: temperature, localWeight: 0 },
    );
    const [want] = gradients(fixed.global, [image]) as [Tensor];
    expectClose(await read(got), await read(want), 1e-4);
  });
});

it("the alignment of features does not depend on their scale", async () => {
  const [image, text, prompt] = [array(1, [5, 4]), array(2, [5, 4]), array(3, [5, 4])];
  // Powers of two, so that rounding is the same.
  const lossAt = async (scale: number): Promise<number> => {
    const small = asTensor({ ...image, data: Float32Array.from(image.data, (x) => x * scale) });
    const { loss } = promptAffinityAlignment({
      image: small,
      text: asTensor(text),
      prompt: asTensor(prompt),
    });
    return (await read(loss))[0] as number;
  };
  const plain = await lossAt(1);
  for (const scale of [2 ** -16, 2 ** 20]) expect(await lossAt(scale)).toBeCloseTo(plain, 4);
});

describe("bertAdam", () => {
  it("cuts every tensor's gradient by itself", async () => {
    const clipped = await compile(() =>
      clipEachByNorm({ long: tensor([30, 40]), short: tensor([0.3, 0.4]), none: tensor([0, 0]) }, 1),
    )();
    expectClose(toNumbers(clipped.long), [0.6, 0.8]);
    expectClose(toNumbers(clipped.short), [0.3, 0.4]);
    expect(toNumbers(clipped.none)).toEqual([0, 0]);
  });

  it("has a cosine of the whole training after the warm-up, and so a small jump", async () => {
    const rate = warmupCosine({ learningRate: 2, totalSteps: 100 });
    const at = async (step: number): Promise<number> => (await read(rate(tensor(step))))[0] as number;
    expect(await at(0)).toBe(0);
    expect(await at(4)).toBeCloseTo(2 * 0.8, 5);
    expect(await at(5)).toBeCloseTo(1 + Math.cos(0.05 * Math.PI), 5);
    expect(await at(5)).toBeLessThan(2);
    expect(await at(100)).toBeCloseTo(0, 6);
  });
});
