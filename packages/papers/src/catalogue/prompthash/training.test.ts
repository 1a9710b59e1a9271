import {
  asTensor,
  evaluate,
  type NDArray,
  ndarray,
  normalArray,
  randomKey,
  type Tensor,
  type Traced,
  toNumbers,
  treeEntries,
  treeMap,
} from "@concord/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ArrayTree } from "../../harness/contract.ts";
import { contextInMemory } from "../../harness/memory-context.ts";
import { armById } from "./arms.ts";
import { codeMemoryInit } from "./code-memory.ts";
import { smokeConfig } from "./config.ts";
import { dualEncoder } from "./encoders.ts";
import { type DecoderParams, hashDecoder } from "./hash-heads.ts";
import { hashLossGroup, reconstructionLoss, sharedLabels } from "./hash-loss.ts";
import { Latest } from "./latest.ts";
import { type ArmParams, armModel } from "./model.ts";
import { objective } from "./objective.ts";
import { promptAffinityAlignment } from "./prompt-affinity-alignment.ts";
import { generatedTask } from "./task.ts";
import { type HashTrainer, trainHashing } from "./training.ts";

const C = 8;
const encoder = {
  width: C,
  image: { kind: "convolutional", filters: [4, 6] },
  text: { layers: 1, heads: 2 },
  tunedBlocks: 1,
} as const;
const config = { ...smokeConfig.hashing, epochs: 4, batchSize: 16, auxiliaryBits: 24, quantWeight: 3 };
const task = generatedTask(randomKey(3), { pretraining: 8, queries: 4, training: 48, database: 50 });
const dual = dualEncoder(encoder, {
  imageSize: task.items.set.size,
  vocabulary: task.tokenizer.vocabularySize,
  context: task.context,
});
const start = dual.init(randomKey(1));
const model = armModel(dual, C, config, armById("prompthash").recipe);
const numbers = (array: unknown): number[] => Array.from(toNumbers(array as NDArray));

describe("the objective", () => {
  const [N, B, BITS] = [6, 3, ["16", "32", "64", "24"]];
  const params = treeMap(model.init(randomKey(2), start, task.context), (leaf) =>
    asTensor(leaf as NDArray),
  ) as Traced<ArmParams>;
  const features = {
    image: asTensor(normalArray(randomKey(10), [B, C])),
    text: asTensor(normalArray(randomKey(11), [B, C])),
    prompt: asTensor(normalArray(randomKey(12), [B, C])),
  };
  const places = [4, 0, 2];
  const allLabels = ndarray(
    Array.from({ length: N * 3 }, (_, i) => Number(i % 4 === 0)),
    { shape: [N, 3] },
  );
  const labels = ndarray(
    places.flatMap((item) => numbers(allLabels).slice(item * 3, item * 3 + 3)),
    { shape: [B, 3] },
  );
  const memories = Object.fromEntries(
    BITS.map((bits) => [bits, codeMemoryInit(randomKey(Number(bits)), N, Number(bits))]),
  );

  /** `rows` in the places of the batch. */
  const written = (memory: NDArray, rows: NDArray): NDArray => {
    const [, width] = memory.shape as [number, number];
    const data = numbers(memory);
    const values = numbers(rows);
    places.forEach((item, row) => {
      for (let k = 0; k < width; k++) data[item * width + k] = values[row * width + k] as number;
    });
    return ndarray(data, { shape: memory.shape });
  };

  it("is made of all codes after the batch's were written, old targets, and the paper's weights", async () => {
    const traced = treeMap(memories, (leaf) => asTensor(leaf as NDArray));
    const { loss, parts } = objective(model, params, features, {
      labels: asTensor(labels),
      items: asTensor(ndarray(places, { dtype: "int32" })),
      allLabels: asTensor(allLabels),
      memories: traced as never,
      alignment: { global: asTensor(5), local: asTensor(2) },
    });
    const codes = await evaluate({
      image: model.codes(params, features.image),
      text: model.codes(params, features.text),
    });
    const similarity = sharedLabels(asTensor(allLabels), asTensor(labels));
    const group = (bits: string): Tensor => {
      const memory = memories[bits] as (typeof memories)[string];
      const width = Number(bits);
      const targets = places.flatMap((item) =>
        numbers(memory.targets).slice(item * width, item * width + width),
      );
      return hashLossGroup(
        {
          imageCodes: asTensor(codes.image[bits] as NDArray),
          textCodes: asTensor(codes.text[bits] as NDArray),
          imageBuffer: asTensor(written(memory.image, codes.image[bits] as NDArray)),
          textBuffer: asTensor(written(memory.text, codes.text[bits] as NDArray)),
          similarity,
          binaryTargets: asTensor(ndarray(targets, { shape: [B, width] })),
        },
        { intraWeight: 0.005, interWeight: 5, quantWeight: 3 },
      ).loss;
    };
    const longTargets = places.flatMap((item) =>
      numbers(memories[24]?.targets).slice(item * 24, item * 24 + 24),
    );
    const back = ["16", "32", "64"].flatMap((bits) =>
      [codes.image, codes.text].map((of) =>
        reconstructionLoss(
          hashDecoder(params.hash.decoders[bits] as Traced<DecoderParams>, asTensor(of[bits] as NDArray)),
          asTensor(ndarray(longTargets, { shape: [B, 24] })),
        ),
      ),
    );
    const aligned = promptAffinityAlignment(features);
    const got = await evaluate({ loss, parts });
    const want = await evaluate({
      groups: Object.fromEntries(BITS.map((bits) => [bits, group(bits)])),
      back: Object.fromEntries(back.map((part, i) => [i, part])),
      aligned: { ...aligned },
    });
    const groupOf = (bits: string): number => numbers(want.groups[bits])[0] as number;
    const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b);
    const expected = {
      hashing: groupOf("16") + groupOf("32") + groupOf("64"),
      auxiliary: 20 * groupOf("24"),
      reconstruction: 20 * 0.001 * sum(Object.values(want.back).flatMap(numbers)),
      global: 5 * (numbers(want.aligned.global)[0] as number),
      local: 2 * (numbers(want.aligned.local)[0] as number),
    };
    // Single precision: the same sums in another order.
    for (const [part, value] of Object.entries(expected))
      expect((numbers(got.parts[part as "global"])[0] as number) / value, part).toBeCloseTo(1, 5);
    expect((numbers(got.loss)[0] as number) / sum(Object.values(expected))).toBeCloseTo(1, 5);
  });
});

describe("the training", () => {
  interface State {
    readonly params: Readonly<Record<"hash" | "fusion" | "encoder", object>>;
    readonly memories: Readonly<Record<string, ReturnType<typeof codeMemoryInit>>>;
    readonly optimisers: Readonly<Record<"hash" | "fusion" | "encoder", object>>;
  }

  const trainers = new Latest<HashTrainer>();
  afterAll(() => trainers.close());

  /** The state after so many steps: of a training that is stopped there. */
  async function stateAfter(steps: number, of = model): Promise<State> {
    const stop = new AbortController();
    let saved: ArrayTree | undefined;
    const context = {
      ...contextInMemory({}, 0),
      signal: stop.signal,
      progress: ({ step }: { readonly step: number }) => void (step === steps && stop.abort()),
      checkpoint: {
        load: async () => null,
        save: async (_name: string, _step: number, state: ArrayTree) => {
          saved = structuredClone(state);
        },
      },
    };
    await expect(trainHashing(context as never, { model: of, start, task, trainers })).rejects.toThrow();
    return saved as unknown as State;
  }
  // An epoch has three steps, the training twelve.
  let states: State[];
  beforeAll(async () => {
    states = [];
    for (const steps of [1, 2, 3, 4]) states.push(await stateAfter(steps));
  });
  const at = (steps: number): State => states[steps - 1] as State;

  it("changes the targets with the last step of an epoch, and the memories with every step", () => {
    for (const bits of ["16", "24"]) {
      const memory = (steps: number) => at(steps).memories[bits] as State["memories"][string];
      expect(numbers(memory(2).targets)).toEqual(numbers(memory(1).targets));
      expect(numbers(memory(2).image)).not.toEqual(numbers(memory(1).image));
      const { image, text, targets } = memory(3);
      const signs = numbers(image).map((value, i) => (value + (numbers(text)[i] as number) > 0 ? 1 : -1));
      expect(numbers(targets)).toEqual(signs);
      expect(numbers(targets)).not.toEqual(numbers(memory(2).targets));
      expect(numbers(memory(4).targets)).toEqual(numbers(targets));
    }
  });

  it("leaves modalities out as often as the settings say", async () => {
    const recipe = armById("prompthash").recipe;
    const never = await stateAfter(2, armModel(dual, C, { ...config, modalityDropout: 0 }, recipe));
    const [some, none] = [at(2), never].map(({ memories }) => numbers(memories["16"]?.image));
    expect(some).not.toEqual(none);
    // Memories start the same, and the two differ in nothing else.
    expect(some?.filter((value, i) => value === none?.[i]).length).toBeGreaterThan(0);
  });

  it("learns the strength of the prompt where it is asked to", async () => {
    const recipe = armById("prompthash").recipe;
    const gentle = armModel(dual, C, { ...config, promptStrength: 0 }, recipe);
    const { hash } = (await stateAfter(2, gentle)).params as { hash: { promptStrength: NDArray } };
    expect(numbers(hash.promptStrength)[0]).not.toBe(0);
    expect(at(2).params.hash).not.toHaveProperty("promptStrength");
  });

  it("is by BertAdam, which clips tensors one by one and corrects no bias, and learns the prompt's context", () => {
    const groups = ["hash", "fusion", "encoder"] as const;
    const leaves = (tree: object): Map<string, number[]> =>
      new Map(treeEntries(tree as never).map(([path, leaf]) => [path, numbers(leaf)]));
    // The first step has rate 0: it fills the moments, and nothing moves.
    const begun = leaves(at(1).params.encoder);
    for (const [path, values] of leaves(start.tuned)) expect(begun.get(path), path).toEqual(values);
    let clipped = 0;
    for (const group of groups) {
      const rate = (config.learningRates[group] * (1 + Math.cos(Math.PI / 12))) / 2;
      const [before, after] = [leaves(at(1).params[group]), leaves(at(2).params[group])];
      const [early, moments] = [at(1), at(2)].map((state) => leaves(state.optimisers[group])) as [
        Map<string, number[]>,
        Map<string, number[]>,
      ];
      for (const [path, old] of before) {
        const [m, v] = [moments.get(`slots/m/${path}`), moments.get(`slots/v/${path}`)] as [
          number[],
          number[],
        ];
        // Slots hold m / (1 - β₁) and v / (1 - β₂).
        const want = old.map((p, i) => {
          const [first, second] = [0.1 * (m[i] as number), 0.02 * (v[i] as number)];
          return p - rate * (first / (Math.sqrt(second) + 1e-6) + 0.01 * p);
        });
        (after.get(path) as number[]).forEach((p, i) => {
          expect(Math.abs(p - (want[i] as number)), `${group}/${path} ${i}`).toBeLessThan(2e-6);
        });
        // After one step the slot is the gradient, which is cut to norm 1 by itself.
        const norm = Math.hypot(...(early.get(`slots/m/${path}`) as number[]));
        expect(norm, `${group}/${path}`).toBeLessThan(1 + 1e-4);
        if (norm > 1 - 1e-4) clipped++;
        if (path === "promptContext") expect(norm).toBeGreaterThan(1e-2);
      }
    }
    expect(clipped).toBeGreaterThan(1);
  });
});
