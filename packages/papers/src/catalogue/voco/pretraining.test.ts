import { bodyVolumes } from "@concord/data";
import {
  asTensor,
  evaluate,
  foldIn,
  keyTensor,
  type NDArray,
  ndarray,
  normalArray,
  randomKey,
  type Traced,
  toNumbers,
  treeEntries,
  treeMap,
  zerosArray,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import type { ArrayTree } from "../../harness/contract.ts";
import { contextInMemory } from "../../harness/memory-context.ts";
import { type ArmRecipe, armById } from "./arms.ts";
import { smokeConfig } from "./config.ts";
import { pooledFeatures, segmenterInit } from "./network.ts";
import { vocoLoss } from "./objective.ts";
import {
  maskedLoss,
  type PretrainedParams,
  pretrain,
  pretrainedInit,
  volumeEmbeddings,
} from "./pretraining.ts";
import { vocoProjector } from "./projector.ts";
import { volumeBatches } from "./volume-batches.ts";

const { geometry, network, pretraining } = smokeConfig;
const world = bodyVolumes({ shape: [geometry.side, geometry.side, geometry.depth] });
const volumes = [0, 1, 2].map((i) => ({ name: `${i}`, ...world.item(foldIn(randomKey(2), i)) }));
const start = segmenterInit(randomKey(1), network, 2).encoder;
const key = randomKey(3);

function recipeOf(id: string): ArmRecipe {
  const { recipe } = armById(id);
  if (!recipe) throw new Error(`${id} does not pre-train`);
  return recipe;
}

const traced = <T>(tree: T): Traced<T> => treeMap(tree, (leaf) => asTensor(leaf as NDArray)) as Traced<T>;

function batchOf(id: string, step: number) {
  return volumeBatches(volumes, {
    // The stream of batches of `pretrain`.
    key: foldIn(key, 1),
    batchSize: pretraining.batchSize,
    randomCrops: pretraining.randomCrops,
    geometry,
    augmentation: recipeOf(id).augmentation,
  }).batch(step);
}

interface Kept {
  /** After so many steps: what is trained, and the teacher. */
  readonly states: readonly { readonly params: PretrainedParams; readonly teacher?: PretrainedParams }[];
  readonly losses: readonly number[];
}

/** Three steps at full rate, with the state after every one of them: each run ends a step later. */
async function steps(id: string): Promise<Kept> {
  const losses: number[] = [];
  const states: Kept["states"][number][] = [];
  for (const end of [1, 2, 3]) {
    const saved = new Map<string, ArrayTree>();
    const controller = new AbortController();
    const context = {
      ...contextInMemory(null, 1),
      signal: controller.signal,
      log: (_phase: string, step: number, { loss }: Readonly<Record<string, unknown>>) => {
        losses[step - 1] = Number(loss);
        if (step === end) controller.abort();
      },
      checkpoint: {
        load: async () => null,
        save: async (name: string, _step: number, state: ArrayTree) => void saved.set(name, state),
      },
    };
    const request = { start, recipe: recipeOf(id), volumes, geometry, network, key };
    await expect(
      pretrain(context, { ...request, config: { ...pretraining, steps: 50, warmup: 0 } }),
    ).rejects.toThrow();
    states.push(saved.get("pre-training") as unknown as Kept["states"][number]);
  }
  return { states, losses };
}

function numbersOf(tree: unknown): number[] {
  return treeEntries(tree).flatMap(([, leaf]) => toNumbers(leaf as NDArray));
}

describe("embeddings of a step", () => {
  it("are standardised over all crops of all volumes together, base crops first", async () => {
    const params = pretrainedInit(randomKey(4), start, recipeOf("voco").pretext, network);
    const batch = await batchOf("voco", 0);
    const [V, R, n] = batch.labels.shape as [number, number, number];
    const { bases, crops, all } = await evaluate({
      ...volumeEmbeddings(traced(params), traced(batch), network),
      all: vocoProjector(
        traced(params).projector as never,
        pooledFeatures(traced(params).encoder, asTensor(batch.inputs), network),
      ),
    });
    const width = network.embedding;
    const rows = toNumbers(all);
    const ofVolumes = Array.from({ length: V }, (_, v) => {
      const from = v * (n + R) * width;
      return {
        bases: rows.slice(from, from + n * width),
        crops: rows.slice(from + n * width, from + (n + R) * width),
      };
    });
    // One graph computes both: the same bits.
    expect(toNumbers(bases)).toEqual(ofVolumes.flatMap((volume) => volume.bases));
    expect(toNumbers(crops)).toEqual(ofVolumes.flatMap((volume) => volume.crops));
  });
});

describe("pre-training", () => {
  it("of the method is the paper's form, without a teacher", async () => {
    expect(recipeOf("voco").pretext).toEqual({ kind: "voco", form: "paper", lambdaReg: 1, teacher: false });
    const { states, losses } = await steps("voco");
    expect(states.every(({ teacher }) => teacher === undefined)).toBe(true);
    for (const step of [1, 2]) {
      const batch = traced(await batchOf("voco", step));
      const student = volumeEmbeddings(traced(states[step - 1]?.params as PretrainedParams), batch, network);
      const { loss } = await evaluate({ loss: vocoLoss(student, batch.labels).loss });
      expect(losses[step]).toBeCloseTo(Number(loss.data[0]), 4);
    }
  });

  it("of the released form has a teacher of its own, which follows the student before it looks at the crops", async () => {
    const { states, losses } = await steps("released");
    const [first] = states as [Kept["states"][number]];
    const student = numbersOf(pretrainedInit(foldIn(key, 0), start, recipeOf("released").pretext, network));
    // What the teacher was before it moved by a tenth is not what the student was.
    const before = numbersOf(first.teacher).map((t, i) => (t - 0.1 * (student[i] as number)) / 0.9);
    expect(Math.max(...before.map((value, i) => Math.abs(value - (student[i] as number))))).toBeGreaterThan(
      0.1,
    );
    for (const step of [1, 2]) {
      const [was, is] = [states[step - 1], states[step]] as [Kept["states"][number], Kept["states"][number]];
      const [s, t] = [numbersOf(was.params), numbersOf(was.teacher)];
      const followed = s.map((value, i) => 0.9 * (t[i] as number) + 0.1 * value);
      numbersOf(is.teacher).forEach((value, i) => {
        expect(value).toBeCloseTo(followed[i] as number, 5);
      });
      // The loss of the step is that of the moved teacher.
      const batch = traced(await batchOf("released", step));
      const [pupil, taught] = [was.params, is.teacher as PretrainedParams].map((params) =>
        volumeEmbeddings(traced(params), batch, network),
      ) as [ReturnType<typeof volumeEmbeddings>, ReturnType<typeof volumeEmbeddings>];
      const { loss } = await evaluate({
        loss: vocoLoss(pupil, batch.labels, { form: "released", teacher: taught }).loss,
      });
      expect(losses[step]).toBeCloseTo(Number(loss.data[0]), 4);
    }
  });
});

describe("masked reconstruction", () => {
  const { encoder, reconstruction } = pretrainedInit(randomKey(4), start, { kind: "masked" }, network);
  if (!reconstruction) throw new Error("there is something to reconstruct with");
  const shape = [40, 1, geometry.inputSide, geometry.inputSide, geometry.inputDepth];
  const lossOf = async (head: typeof reconstruction, inputs: NDArray): Promise<number> => {
    const batch = { inputs: asTensor(inputs), key: keyTensor(randomKey(5)) };
    const params = traced({ encoder, reconstruction: head });
    return Number((await evaluate(maskedLoss(params, batch, network))).loss.data[0]);
  };

  it("hides 60 % of the voxels, and counts the hidden ones alone", async () => {
    const voxels = shape.reduce((a, b) => a * b);
    const ones = { dtype: "float32", shape, data: new Float32Array(voxels).fill(1) } as const;
    const silent = treeMap(reconstruction, (leaf) => zerosArray((leaf as NDArray).shape));
    // Nothing is reconstructed: each of the h hidden voxels is off by 1, and the loss is h / (h + 1).
    const loss = await lossOf(silent as typeof reconstruction, ones);
    const hidden = loss / (1 - loss);
    // 320 blocks of 64 voxels; four standard deviations of a share are 0.11.
    expect(Math.abs(hidden / voxels - 0.6)).toBeLessThan(0.11);
    expect(hidden / 64).toBeCloseTo(Math.round(hidden / 64), 1);
  });

  it("shows the encoder a token in their place", async () => {
    const inputs = normalArray(randomKey(6), shape);
    const other = { ...reconstruction, token: ndarray([3], { shape: [] }) };
    expect(Math.abs((await lossOf(other, inputs)) - (await lossOf(reconstruction, inputs)))).toBeGreaterThan(
      1e-3,
    );
  });
});
