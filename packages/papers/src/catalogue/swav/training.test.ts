import { type NDArray, randomKey, toNumbers } from "@concord/tensor";
import { expect, it } from "vitest";
import { contextInMemory } from "../../harness/memory-context.ts";
import { armById, type Training } from "./arms.ts";
import { cropsOf, type SwavConfig, smokeConfig, type TrainingConfig } from "./config.ts";
import { swavNetwork } from "./network.ts";
import { shapesWorld } from "./shapes-world.ts";
import { type TrainedEncoder, trainEncoder } from "./training.ts";

const { generated } = smokeConfig.data;
if (!generated) throw new Error("the smoke preset has a world");
const images = shapesWorld(randomKey(1), 96, generated);
const network = swavNetwork(smokeConfig.network);
const start = network.init(randomKey(2));

const context = contextInMemory(null, 3);

/** Twelve steps of 24 images, four an epoch. */
function train(
  arm: string,
  change: Partial<TrainingConfig> = {},
  given: typeof start = start,
): Promise<TrainedEncoder> {
  const training = armById(arm).training as Training;
  const config: SwavConfig = {
    ...smokeConfig,
    training: { ...smokeConfig.training, epochs: 3, batchSize: 24, ...change },
  };
  const crops = cropsOf(config, images.size, training.crops);
  return trainEncoder(context, { network, start: given, training, images, crops, config });
}

const lossesOf = ({ curve }: TrainedEncoder): number[] => curve.map(([, loss]) => loss);

function lengths({ shape, data }: NDArray): number[] {
  const width = shape[1] as number;
  return Array.from({ length: shape[0] as number }, (_, k) =>
    Math.hypot(...Array.from(data.slice(k * width, (k + 1) * width), Number)),
  );
}

it("brings prototypes to length 1 before every step: their lengths at the start do not matter", async () => {
  const { prototypes } = start.params;
  const long: NDArray = {
    ...prototypes,
    data: Float32Array.from(prototypes.data as Float32Array, (x) => 5 * x),
  } as NDArray;
  const [usual, scaled] = [
    await train("swav"),
    await train("swav", {}, { ...start, params: { ...start.params, prototypes: long } }),
  ];
  expect(lossesOf(usual)).toHaveLength(12);
  lossesOf(scaled).forEach((loss, i) => expect(loss).toBeCloseTo(lossesOf(usual)[i] as number, 4));
  // Only the last update has not been normalised yet: its length is that of 1 and a step of Adam.
  for (const length of lengths(scaled.params.prototypes)) expect(Math.abs(length - 1)).toBeLessThan(0.05);
});

it("leaves fixed prototypes where they were drawn, and moves learned ones after the first tenth", async () => {
  const [fixed, learned] = [await train("fixed-prototypes"), await train("swav")];
  const [before, kept, moved] = [start.params, fixed.params, learned.params].map(({ prototypes }) =>
    toNumbers(prototypes),
  ) as [number[], number[], number[]];
  kept.forEach((x, i) => expect(x).toBeCloseTo(before[i] as number, 6));
  expect(Math.max(...moved.map((x, i) => Math.abs(x - (before[i] as number))))).toBeGreaterThan(1e-3);
  // One step is a tenth of twelve; both arms are the same until the first update of the prototypes is seen.
  expect(lossesOf(fixed).slice(0, 2)).toEqual(lossesOf(learned).slice(0, 2));
  expect(lossesOf(fixed)[3]).not.toBe(lossesOf(learned)[3]);
});

it("begins the queue at its epoch, and uses it once it is full", async () => {
  const [without, queued] = [
    await train("swav"),
    await train("swav", { queue: { length: 48, startsAtEpoch: 1 } }),
  ];
  // Begun in step 4, filled by steps 4 and 5, used from step 6 on, and again from the first step of the next epoch.
  lossesOf(queued).forEach((loss, step) => {
    const change = Math.abs(loss - (lossesOf(without)[step] as number));
    if (step < 6) expect(change, `step ${step}`).toBeLessThan(1e-5);
    if (step === 6) expect(change, `step ${step}`).toBeGreaterThan(5e-5);
  });
});

it("trains with LARC and the paper's schedule", async () => {
  const optimiser = {
    kind: "larc",
    baseLr: 4.8,
    finalLr: 0.0048,
    startWarmup: 0.3,
    warmupEpochs: 1,
    weightDecay: 1e-6,
  } as const;
  const losses = lossesOf(await train("swav", { optimiser }));
  expect(losses.every(Number.isFinite)).toBe(true);
  expect(losses.at(-1)).toBeLessThan(losses[0] as number);
});

it("refuses an empty set of images", async () => {
  const few = { ...images, count: 0 };
  const training = armById("swav").training as Training;
  const crops = cropsOf(smokeConfig, images.size, "multi");
  await expect(
    trainEncoder(context, { network, start, training, images: few, crops, config: smokeConfig }),
  ).rejects.toThrow(/count must be an integer >= 1, got 0/);
});
