import { cosineSimilarity, infoNCE } from "@concord/align";
import {
  compile,
  keyArray,
  l2Normalize,
  type NDArray,
  ndarray,
  randomKey,
  type Tensor,
  tensor,
  toNumbers,
  uniformArray,
  valueAndGradWithAux,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { lossAndGradients } from "../../../test/pair-gradients.ts";
import {
  featureDistillation,
  type HycdOptions,
  hybridDivergence,
  hybridTargets,
  hycd,
  logitDistillation,
  type PairFeatures,
  pairLogits,
} from "./hycd.ts";
import { clipRefineObjective } from "./objective.ts";
import { drawReferences, linearDecay, rafa, referenceFromNoise, STANDARD_NORMAL_PRIOR } from "./rafa.ts";

describe("traps", () => {
  const batch = (seed: number): PairFeatures => ({
    image: tensor(uniformArray(randomKey(seed), [4, 3], -2, 2).data, { shape: [4, 3] }),
    text: tensor(uniformArray(randomKey(seed + 1), [4, 3], -2, 2).data, { shape: [4, 3] }),
  });
  const student = batch(1);
  const teacher = batch(3);
  const number = async (x: Tensor): Promise<number> => Number((await x.data()).data[0]);

  it("lets no gradient reach the teacher", async () => {
    const losses: ((t: PairFeatures) => Tensor)[] = [
      (t) => hycd(student, t),
      (t) => featureDistillation(student, t),
      (t) => logitDistillation(student, t),
    ];
    for (const loss of losses) {
      const { image, text } = await lossAndGradients(teacher, loss);
      expect([...toNumbers(image), ...toNumbers(text)].every((value) => value === 0)).toBe(true);
      const own = await lossAndGradients(student, (s) => hycd(s, teacher));
      expect(toNumbers(own.image).some((value) => Math.abs(value) > 1e-3)).toBe(true);
    }
  });

  it("lets no gradient reach the references", async () => {
    const { image, text } = await lossAndGradients(teacher, (references) =>
      rafa(student.image, student.text, references),
    );
    expect([...toNumbers(image), ...toNumbers(text)].every((value) => value === 0)).toBe(true);
  });

  it("weighs the three parts", async () => {
    const parts = await compile(() => ({
      ...clipRefineObjective(student, teacher, student, {
        lambdaContrastive: 3,
        lambdaRafa: 5,
        lambdaHycd: 7,
        logitScale: 2,
      }),
      swapped: clipRefineObjective(student, teacher, teacher, { lambdaRafa: 5, lambdaHycd: 7 }).loss,
    }))();
    const read = (array: NDArray): number => Number(array.data[0]);
    expect(read(parts.loss)).toBeCloseTo(
      3 * read(parts.contrastive) + 5 * read(parts.rafa) + 7 * read(parts.hycd),
      4,
    );
    expect(read(parts.rafa)).toBe(0);
    expect(read(parts.swapped)).toBeGreaterThan(7 * read(parts.hycd));
  });

  it("mixes the truth into the targets after the softmax, not into the logits", async () => {
    const logits = pairLogits(teacher);
    const [soft, mixed] = await Promise.all([
      hybridTargets(logits, 0, 1).data(),
      hybridTargets(logits, 0.5, 1).data(),
    ]);
    toNumbers(mixed).forEach((value, i) => {
      expect(value).toBeCloseTo(0.5 * (toNumbers(soft)[i] as number) + (i % 5 === 0 ? 0.5 : 0), 6);
    });
  });

  it("multiplies by the squared temperature, so that the gradient keeps its size", async () => {
    const hot: HycdOptions = { temperature: 3, alpha: 0.4 };
    const [S, S2] = [pairLogits(student), pairLogits(teacher)];
    const { gradients } = valueAndGradWithAux((logits: Tensor) => ({
      value: hybridDivergence(logits, S2, hot),
      aux: {},
    }))(S);
    const { slope, p, q } = await compile(() => ({
      slope: gradients,
      p: hybridTargets(S, 0, 3),
      q: hybridTargets(S2, 0.4, 3),
    }))();
    toNumbers(slope).forEach((value, i) => {
      expect(value).toBeCloseTo((3 * ((toNumbers(p)[i] as number) - (toNumbers(q)[i] as number))) / 4, 6);
    });
  });

  it("is InfoNCE for alpha 1 and vanishes for alpha 0 when student and teacher agree", async () => {
    const scale = 7;
    const truth = infoNCE(l2Normalize(student.image), l2Normalize(student.text), { logitScale: scale });
    const one = hycd(student, teacher, { alpha: 1, logits: "cosine", logitScale: scale });
    expect(await number(one)).toBeCloseTo(await number(truth), 5);
    expect(await number(hycd(student, student, { alpha: 0 }))).toBeCloseTo(0, 6);
    const { image } = await lossAndGradients(student, (s) => hycd(s, student, { alpha: 0 }));
    for (const value of toNumbers(image)) expect(Math.abs(value)).toBeLessThan(1e-6);
  });

  it("stays finite when the teacher is certain", async () => {
    const certain = {
      image: tensor([
        [100, 0],
        [0, 100],
      ]),
      text: tensor([
        [100, 0],
        [0, 100],
      ]),
    };
    const { value, image } = await lossAndGradients(certain, (s) => hycd(s, certain));
    expect(Number(value.data[0])).toBe(0);
    expect(toNumbers(image).every(Number.isFinite)).toBe(true);
  });

  it("weighs the printed RaFA D / 2 times the released one", async () => {
    const references = drawReferences(tensor([1, 2], { dtype: "int32" }), [4, 3]);
    const [element, printed] = await Promise.all([
      number(rafa(student.image, student.text, references)),
      number(rafa(student.image, student.text, references, { reduction: "paper" })),
    ]);
    expect(printed / element).toBeCloseTo(3 / 2, 5);
  });

  it("draws one reference for both members of a pair, unless told otherwise, and new ones for a new key", async () => {
    const draw = compile((key: Tensor) => ({
      shared: drawReferences(key, [256, 16]),
      separate: drawReferences(key, [256, 16], { shared: false }),
      uniform: drawReferences(key, [256, 16], { prior: { kind: "uniform", low: -1, high: 3 } }).image,
      fixed: drawReferences(key, [256, 16], { prior: { kind: "fixed", mean: 0.5 } }).text,
    }));
    const first = await draw(keyArray(randomKey(1)));
    const second = await draw(keyArray(randomKey(2)));
    expect(first.shared.image.data).toEqual(first.shared.text.data);
    expect(first.separate.image.data).toEqual(first.shared.image.data);
    expect(first.separate.image.data).not.toEqual(first.separate.text.data);
    expect(first.shared.image.data).not.toEqual(second.shared.image.data);
    const moments = (array: NDArray): [mean: number, deviation: number] => {
      const values = toNumbers(array);
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      return [mean, Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length)];
    };
    const [mean, deviation] = moments(first.shared.image);
    expect(Math.abs(mean)).toBeLessThan(0.05);
    expect(Math.abs(deviation - 1)).toBeLessThan(0.05);
    const [middle, spread] = moments(first.uniform);
    expect(Math.abs(middle - 1)).toBeLessThan(0.1);
    expect(Math.abs(spread - 4 / Math.sqrt(12))).toBeLessThan(0.05);
    expect(new Set(toNumbers(first.fixed))).toEqual(new Set([0.5]));
  });

  it("takes a prior with a mean and a deviation for each dimension", async () => {
    const noise = tensor([
      [1, -1],
      [0, 2],
    ]);
    const prior = { kind: "normal", mean: ndarray([10, 20]), deviation: ndarray([1, 3]) } as const;
    expect(toNumbers(await referenceFromNoise(noise, prior).data())).toEqual([11, 17, 10, 26]);
    const fixed = { kind: "fixed", mean: ndarray([10, 20]) } as const;
    expect(toNumbers(await referenceFromNoise(noise, fixed).data())).toEqual([10, 20, 10, 20]);
    expect(toNumbers(await referenceFromNoise(noise, STANDARD_NORMAL_PRIOR).data())).toEqual([1, -1, 0, 2]);
  });

  it("decays the weight of RaFA from 1 to 0", async () => {
    expect(await number(linearDecay(tensor(0), 8))).toBe(1);
    expect(await number(linearDecay(tensor(6), 8))).toBe(0.25);
    expect(await number(linearDecay(tensor(8), 8))).toBe(0);
    const references = drawReferences(tensor([1, 2], { dtype: "int32" }), [4, 3]);
    const half = clipRefineObjective(student, teacher, references, { lambdaRafa: linearDecay(tensor(4), 8) });
    const parts = await compile(() => ({ ...half }))();
    expect(Number(parts.loss.data[0])).toBeCloseTo(
      0.5 * Number(parts.rafa.data[0]) + Number(parts.hycd.data[0]),
      5,
    );
  });

  it("adds the contrastive part on normalised features with the model's scale", async () => {
    const references = drawReferences(tensor([1, 2], { dtype: "int32" }), [4, 3]);
    const options = { lambdaContrastive: 1, lambdaRafa: 0, lambdaHycd: 0 };
    const only = clipRefineObjective(student, teacher, references, { ...options, logitScale: 5 });
    const expected = infoNCE(l2Normalize(student.image), l2Normalize(student.text), { logitScale: 5 });
    expect(await number(only.loss)).toBeCloseTo(await number(expected), 6);
    expect(() => clipRefineObjective(student, teacher, references, options)).toThrow(/logitScale/);
  });

  it("uses cosines with the scale, or raw products without", async () => {
    const cosine = await compile(() => ({
      rule: pairLogits(student, { logits: "cosine", logitScale: 9 }),
      plain: cosineSimilarity(student.image, student.text),
      raw: pairLogits(student),
    }))();
    toNumbers(cosine.rule).forEach((value, i) => {
      expect(value).toBeCloseTo(9 * (toNumbers(cosine.plain)[i] as number), 4);
    });
    expect(toNumbers(cosine.raw)).not.toEqual(toNumbers(cosine.rule));
  });

  it("names what does not fit", () => {
    const wide = { image: tensor([[1, 2]]), text: tensor([[1, 2]]) };
    expect(() => hycd(student, wide)).toThrow(/hycd: teacher image/);
    expect(() => hybridTargets(pairLogits(student), 1.5, 1)).toThrow(/alpha must lie in \[0, 1\]/);
    expect(() => hybridTargets(pairLogits(student), 0.5, 0)).toThrow(/temperature must be > 0/);
    expect(() => rafa(student.image, wide.text, wide)).toThrow(/rafa/);
    expect(() => linearDecay(tensor(1), 0)).toThrow(/steps must be > 0/);
  });
});
