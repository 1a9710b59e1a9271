import { clipStatistics } from "@concord/data";
import type { LinearParams } from "@concord/nn";
import {
  asTensor,
  evaluate,
  type NDArray,
  narrow,
  ndarray,
  normalArray,
  randomKey,
  type Tensor,
  tensor,
  toNumbers,
  treeEntries,
  valueAndGradWithAux,
  zerosArray,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { audioChunkFusion, chunkStartRanges } from "./audio-chunks.ts";
import { depthTransform, infraredTransform, resizeAndCrop } from "./depth-transform.ts";
import { mergeAdapters } from "./embedder.ts";
import { jointEmbedding } from "./joint-embedding.ts";
import { clampLogScale, INITIAL_LOG_SCALE, languageContrastiveLoss } from "./language-contrastive.ts";
import { loraLinear, loraLinearInit } from "./lora-linear.ts";
import {
  type EncoderBlockParams,
  type ModalityEncoderParams,
  modalityEncoder,
  modalityEncoderInit,
  withLoraAdapters,
  withTemporalAttention,
} from "./modality-encoder.ts";
import { keptPatches, patchDropout } from "./patch-dropout.ts";
import { positionResize } from "./position-resize.ts";
import { retrievalMetrics } from "./retrieval-metrics.ts";
import { adaptedAttention } from "./temporal-attention.ts";
import { decays, isTrained, trainedWeights, withTraced, withWeights } from "./trainable.ts";

const config = { patchSize: 4, inputSize: [12, 12], width: 8, layers: 2, heads: 2, outputs: 6 } as const;
const base = modalityEncoderInit(randomKey(1), config);
const B = 3;
const images = asTensor(toNested([B, 3, 12, 12], 5));
const video = asTensor(toNested([B, 2, 3, 12, 12], 6));

function toNested(shape: readonly number[], seed: number): NDArray {
  return normalArray(randomKey(seed), shape);
}

const encode = (params: ModalityEncoderParams, inputs: Tensor, rank = 2): Promise<NDArray> =>
  modalityEncoder(withTraced(params, {}), inputs, { config, lora: { rank } }).data();

function expectClose(a: NDArray, b: NDArray, digits = 5): void {
  expect(a.shape).toEqual(b.shape);
  const [x, y] = [toNumbers(a), toNumbers(b)];
  x.forEach((value, i) => {
    expect(value).toBeCloseTo(y[i] as number, digits);
  });
}

/** Adapters that do something. */
function withChange(params: ModalityEncoderParams): ModalityEncoderParams {
  const changed = Object.fromEntries(
    Object.entries(trainedWeights(params, "lora"))
      .filter(([path]) => path.endsWith("/up"))
      .map(([path, { shape }], i) => [path, normalArray(randomKey(90 + i), shape)]),
  );
  return withWeights(params, changed);
}

describe("LoRA", () => {
  it("starts as the untouched encoder, because B is zero, with A in ±1/√D_in", async () => {
    const adapted = withLoraAdapters(randomKey(2), base, 2);
    expectClose(await encode(adapted, images), await encode(base, images));
    const { down, up } = loraLinearInit(randomKey(3), { weight: normalArray(randomKey(4), [400, 20]) }, 16);
    expect(new Set(toNumbers(up))).toEqual(new Set([0]));
    const values = toNumbers(down);
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(0.05);
    // Uniform in ±1/20: deviation 1/20/√3 = 0.0289 over 6400 values.
    const deviation = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    expect(Math.abs(deviation - 0.05 / Math.sqrt(3))).toBeLessThan(0.001);
  });

  it("scales the change by alpha / r, which is 8 at the paper's r = 2", async () => {
    const pair = {
      down: tensor([
        [1, 0],
        [0, 1],
      ]),
      up: tensor([
        [1, 2],
        [3, 4],
      ]),
    };
    const zero = {
      weight: tensor([
        [0, 0],
        [0, 0],
      ]),
    };
    const y = await loraLinear({ ...zero, lora: pair }, tensor([[1, 1]]), { rank: 2 }).data();
    expect(toNumbers(y)).toEqual([32, 48]);
    expect(() => loraLinear({ ...zero, lora: pair }, tensor([[1, 1]]), { rank: 4 })).toThrow(/rank 2.*say 4/);
    expect(() => loraLinearInit(randomKey(1), { weight: normalArray(randomKey(1), [4, 3]) }, 4)).toThrow(
      /from 1 to 3 .* got 4/,
    );
  });

  it("adapts query, key, value and output of attention and nothing else; the frozen maps get no gradient", () => {
    const names = Object.keys(trainedWeights(withLoraAdapters(randomKey(2), base, 2), "lora"));
    const adapters = names.filter((name) => name.includes("lora"));
    expect(adapters).toHaveLength(2 * 4 * 2);
    expect(adapters.every((name) => /blocks\/\d\/attention\/(query|key|value|output)\/lora/.test(name))).toBe(
      true,
    );
    expect(names.filter((name) => !name.includes("lora")).sort()).toEqual([
      "classToken",
      "finalNorm/bias",
      "finalNorm/gain",
      "projection/weight",
    ]);
  });

  it("gives the merged encoder the same features, without adapters", async () => {
    const adapted = withChange(withLoraAdapters(randomKey(2), base, 2));
    const merged = await mergeAdapters(adapted, { rank: 2, alpha: 16 });
    expect(treeEntries(merged).map(([path]) => path)).toEqual(treeEntries(base).map(([path]) => path));
    expectClose(await encode(merged, images), await encode(adapted, images), 4);
    expect(toNumbers(await encode(merged, images))).not.toEqual(toNumbers(await encode(base, images)));
  });
});

describe("what is trained", () => {
  it("of video: temporal attention alone, with frame vectors and norms; the spatial part is frozen", () => {
    const timed = withLoraAdapters(randomKey(2), withTemporalAttention(randomKey(3), base, 2), 2);
    const names = Object.keys(trainedWeights(timed, "lora"));
    expect(names.filter((name) => name.includes("lora")).every((name) => name.includes("/temporal/"))).toBe(
      true,
    );
    for (const wanted of ["blocks/0/temporal/frames", "blocks/1/temporal/norm/gain", "classToken"])
      expect(names).toContain(wanted);
    expect(isTrained("blocks/0/attention/query/weight", "full", true)).toBe(false);
    expect(isTrained("blocks/0/temporal/attention/query/weight", "full", true)).toBe(true);
  });

  it("never: patches, positions, first norm, MLPs, spatial norms", () => {
    for (const frozen of [
      "patches/weight",
      "positions",
      "preNorm/gain",
      "blocks/0/expand/weight",
      "blocks/0/mlpNorm/gain",
      "blocks/0/attentionNorm/bias",
    ])
      for (const tuning of ["lora", "full"] as const)
        expect(isTrained(frozen, tuning, false), frozen).toBe(false);
    expect(isTrained("blocks/0/attention/query/bias", "full", false)).toBe(true);
    expect(isTrained("blocks/0/attention/query/bias", "lora", false)).toBe(false);
  });

  it("decays matrices only", () => {
    const decayed = treeEntries(base).filter(([path, array]) => decays(path, array as NDArray));
    expect(decayed.map(([path]) => path)).toContain("projection/weight");
    expect(decayed.every(([path]) => !/classToken|Norm|bias/.test(path))).toBe(true);
  });
});

describe("contrast with language", () => {
  it("equals a plain loop over rows and columns", async () => {
    const [x, y] = [toNested([4, 3], 7), toNested([4, 3], 8)];
    const unit = (array: NDArray, i: number): number[] => {
      const row = toNumbers(array).slice(3 * i, 3 * i + 3);
      return row.map((value) => value / Math.hypot(...row));
    };
    const logits = Array.from({ length: 4 }, (_, i) =>
      Array.from(
        { length: 4 },
        (_unused, j) => 5 * unit(x, i).reduce((s, v, k) => s + v * (unit(y, j)[k] as number), 0),
      ),
    );
    const entropy = (score: (j: number) => number, own: number): number =>
      Math.log([0, 1, 2, 3].reduce((sum, j) => sum + Math.exp(score(j)), 0)) - score(own);
    const average = (of: (i: number) => number): number =>
      [0, 1, 2, 3].reduce((sum, i) => sum + of(i) / 4, 0);
    const found = await evaluate({
      ...languageContrastiveLoss(asTensor(x), asTensor(y), tensor(Math.log(5))),
    });
    const m2t = average((i) => entropy((j) => logits[i]?.[j] as number, i));
    const t2m = average((i) => entropy((j) => logits[j]?.[i] as number, i));
    expect(Number(found.m2t.data[0])).toBeCloseTo(m2t, 5);
    expect(Number(found.t2m.data[0])).toBeCloseTo(t2m, 5);
    expect(Number(found.loss.data[0])).toBeCloseTo((m2t + t2m) / 2, 5);
  });

  it("starts at ln(1/0.07) and keeps the factor in [1, 100]", async () => {
    expect(Math.exp(INITIAL_LOG_SCALE)).toBeCloseTo(1 / 0.07, 6);
    const kept = toNumbers(await clampLogScale(tensor([-9, 0.3, 99])).data());
    [0, 0.3, Math.log(100)].forEach((wanted, i) => {
      expect(kept[i]).toBeCloseTo(wanted, 6);
    });
  });
});

describe("patch dropout", () => {
  it("keeps int(N (1 - p)), at least one", () => {
    for (const [patches, rate, kept] of [
      [256, 0.5, 128],
      [256, 0.3, 179],
      [10, 0.3, 7],
      [10, 0.1, 9],
      [20, 0.8, 3],
      [3, 0.9, 1],
      [5, 0, 5],
    ] as const)
      expect(keptPatches(patches, rate), `${patches}, ${rate}`).toBe(kept);
    expect(() => keptPatches(4, 1)).toThrow(/\[0, 1\), got 1/);
  });

  it("keeps whole tokens, with the positions that were added to them, in the order of falling noise", async () => {
    const tokens = tensor([[[0], [10], [20], [30], [40]]]);
    const { tokens: kept } = patchDropout(tokens, tensor([[0.1, 0.9, 0.2, 0.8]]), { rate: 0.5 });
    expect(toNumbers(await kept.data())).toEqual([0, 20, 40]);
  });

  it("keeps the same patches in every frame of a clip, others in other clips", async () => {
    const tokens = tensor([1, 2, 3, 4].map((row) => [0, 1, 2, 3].map((t) => [10 * row + t])) as never);
    const { tokens: kept } = patchDropout(
      tokens,
      tensor([
        [3, 2, 1],
        [1, 2, 3],
      ]),
      { rate: 0.5, frames: 2 },
    );
    expect(toNumbers(await kept.data())).toEqual([10, 11, 20, 21, 30, 33, 40, 43]);
  });

  it("does not change an encoder whose patches all stay, and sends no gradient to patches left out", async () => {
    const params = withTraced(base, {});
    const noise = asTensor(toNested([B, 9], 11));
    const whole = modalityEncoder(params, images, { config });
    // Order does not matter to attention, once positions were added.
    const shuffled = modalityEncoder(params, images, { config, dropout: { rate: 0, noise } });
    expectClose(await shuffled.data(), await whole.data(), 4);
    const { gradients } = valueAndGradWithAux((x: Tensor) => {
      const features = modalityEncoder(params, x, { config, dropout: { rate: 0.5, noise } });
      return {
        value: languageContrastiveLoss(features, asTensor(toNested([B, 6], 12)), tensor(2)).loss,
        aux: {},
      };
    })(images);
    const values = toNumbers(await (gradients as Tensor).data());
    const touched = new Set<number>();
    values.forEach((value, i) => {
      const [y, x] = [Math.floor((i % 144) / 12), i % 12];
      if (i < 3 * 144 && value !== 0) touched.add(3 * Math.floor(y / 4) + Math.floor(x / 4));
    });
    expect(touched.size).toBe(keptPatches(9, 0.5));
  });
});

describe("video", () => {
  it("is the mean over frames without temporal attention, so that order cannot be told; with it, it can", async () => {
    const swapped = await reversed(video);
    expectClose(await encode(base, swapped), await encode(base, video), 4);
    const timed = withTemporalAttention(randomKey(3), base, 2);
    const [forth, back] = [await encode(timed, video), await encode(timed, swapped)];
    const apart = toNumbers(forth).map((value, i) => Math.abs(value - (toNumbers(back)[i] as number)));
    expect(Math.max(...apart)).toBeGreaterThan(0.01);
  });

  it("starts temporal attention as a copy of the spatial one", () => {
    const { temporal, attention, attentionNorm } = withTemporalAttention(randomKey(3), base, 4)
      .blocks[1] as never as {
      temporal: { attention: unknown; norm: unknown; frames: NDArray };
      attention: unknown;
      attentionNorm: unknown;
    };
    expect(temporal.attention).toEqual(attention);
    expect(temporal.norm).toEqual(attentionNorm);
    expect(temporal.frames.shape).toEqual([4, 8]);
  });
});

describe("the last block", () => {
  it("computes its class token alone, which gives what the whole block gives", async () => {
    const maps = withTraced(base, {}).blocks[1]?.attention as never;
    const tokens = asTensor(toNested([B, 5, 8], 13));
    const first = await adaptedAttention(maps, tokens, { heads: 2, queries: 1 }).data();
    expectClose(first, await narrow(adaptedAttention(maps, tokens, { heads: 2 }), 1, 0, 1).data());
    for (const queries of [0, 6, 1.5])
      expect(() => adaptedAttention(maps, tokens, { heads: 2, queries })).toThrow(/from 1 to 5, got/);
    // Followed by a block that changes nothing (its output maps are zero), the last block must compute all tokens.
    const [one, two] = base.blocks as [EncoderBlockParams, EncoderBlockParams];
    const zero = ({ weight }: LinearParams): LinearParams => ({ weight: zerosArray(weight.shape) });
    const idle = {
      ...two,
      attention: { ...two.attention, output: zero(two.attention.output) },
      contract: zero(two.contract),
    };
    expectClose(await encode({ ...base, blocks: [one, two, idle] }, images), await encode(base, images));
  });
});

async function reversed(clip: Tensor): Promise<Tensor> {
  const { data, shape } = (await clip.data()) as NDArray<"float32">;
  const frame = 3 * 12 * 12;
  const values = new Float32Array(data.length);
  for (let b = 0; b < B; b++)
    for (let t = 0; t < 2; t++)
      values.set(data.subarray((2 * b + t) * frame, (2 * b + t + 1) * frame), (2 * b + 1 - t) * frame);
  return asTensor({ dtype: "float32", shape, data: values });
}

describe("transforms", () => {
  it("takes depth in millimetres over a fixed 10 m, not by the image's own range", () => {
    const near = depthTransform(ndarray([[1000, 2000]]));
    const far = depthTransform(ndarray([[1000, 9000]]));
    expect(near.data[0]).toBe(far.data[0]);
    expect(near.data[0]).toBeCloseTo((0.1 - clipStatistics.mean[0]) / clipStatistics.deviation[0], 5);
    expect(() => depthTransform(ndarray([[Number.NaN]]))).toThrow(/finite, got NaN/);
    expect(toNumbers(depthTransform(ndarray([[0, -1]])))).toEqual(
      toNumbers(depthTransform(ndarray([[10, 10]]))),
    );
    expect(() => depthTransform(ndarray([1, 2]))).toThrow(/\[H, W\], got \[2\]/);
    expect(() => depthTransform(ndarray([[1]]), { maxDepth: -2 })).toThrow(/maxDepth/);
    // Nothing measured at all: nearest everywhere, no division by 0.
    expect(depthTransform(ndarray([[0, 0]]), { maxDepth: 0 }).data.every(Number.isFinite)).toBe(true);
  });

  it("repeats short sounds, doubles the deviation, and puts frequency before time", () => {
    const mel = ndarray([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    const options = { starts: [0, 0, 0], mean: 0, deviation: 0.5 } as const;
    const { shape, data } = audioChunkFusion(mel, { ...options, target: 5 });
    expect(shape).toEqual([3, 2, 5]);
    expect(Array.from(data.subarray(0, 10))).toEqual([1, 3, 5, 1, 3, 2, 4, 6, 2, 4]);
    expect(() => audioChunkFusion(mel, { ...options, target: 2, starts: [0, 1, 9] })).toThrow(
      /start 2 must lie in \[0, 0\], got 9/,
    );
  });

  it("draws the three chunks from thirds of the possible starts", () => {
    expect(chunkStartRanges(1036 + 7)).toEqual([
      [0, 2],
      [3, 5],
      [6, 7],
    ]);
    expect(chunkStartRanges(1037)).toEqual([
      [0, 0],
      [1, 1],
      [0, 0],
    ]);
    expect(() => chunkStartRanges(1036)).toThrow(/more frames than 1036/);
  });

  it("resizes positions to the grid of sounds, rows of frequency first, and leaves them where they fit", async () => {
    const position = normalArray(randomKey(4), [1 + 16, 2]);
    expectClose(await positionResize(position, [4, 4], [4, 4]), position, 6);
    const wide = await positionResize(position, [4, 4], [9, 74]);
    expect(wide.shape).toEqual([1 + 9 * 74, 2]);
    await expect(positionResize(position, [4, 5], [2, 2])).rejects.toThrow(/need \[21, D\], got \[17, 2\]/);
  });

  it("scales to the shorter side and cuts out the middle", async () => {
    const image: NDArray<"float32"> = {
      dtype: "float32",
      shape: [1, 2, 4],
      data: Float32Array.of(9, 1, 2, 9, 9, 3, 4, 9),
    };
    expect(Array.from((await resizeAndCrop(image, 2)).data)).toEqual([1, 2, 3, 4]);
    const grey = infraredTransform({ dtype: "uint8", shape: [1, 2], data: Uint8Array.of(0, 255) });
    expect(grey.shape).toEqual([3, 1, 2]);
    expect(grey.data[5]).toBeCloseTo((1 - clipStatistics.mean[2]) / clipStatistics.deviation[2], 5);
  });
});

describe("measures", () => {
  it("joins by unit vectors, whatever their lengths", () => {
    const joint = jointEmbedding([ndarray([[3, 0]]), ndarray([[0, 0.1]])]);
    expect(joint.data[0]).toBeCloseTo(Math.SQRT1_2, 6);
    expect(joint.data[1]).toBeCloseTo(Math.SQRT1_2, 6);
    expect(() => jointEmbedding([])).toThrow(/at least one/);
    expect(() => jointEmbedding([ndarray([[1, 0]]), ndarray([[1, 0, 0]])])).toThrow(/do not pair/);
  });

  it("ranks by strictly larger scores, medians between two", () => {
    const { r1, medianRank, meanRank } = retrievalMetrics(
      ndarray([
        [1, 1],
        [2, 1],
      ]),
    );
    expect([r1, medianRank, meanRank]).toEqual([50, 1.5, 1.5]);
    expect(() => retrievalMetrics(ndarray([[1, 2]]))).toThrow(/square matrix/);
    expect(() => retrievalMetrics(ndarray([[Number.NaN]]))).toThrow(/not finite/);
  });
});
