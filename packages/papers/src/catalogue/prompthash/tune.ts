/**
 * Tries the settings that the paper does not give, on seeds that are never reported.
 *
 *   node --conditions=source tune.ts rates      learning rates of hash parts, fusion and encoders
 *   node --conditions=source tune.ts weights    weight of the alignment, dropout
 *   node --conditions=source tune.ts epochs     how much longer training would help
 *
 * Further arguments are seeds; default 100 101. Every arm gets every setting. Prints one line per setting, arm and seed.
 * What was chosen and why stands in README.md, under "Settings that are not the paper's".
 */
import { contextInMemory, printArm } from "../../harness/memory-context.ts";
import { defaultConfig, type HashingConfig } from "./config.ts";
import { experiment } from "./experiment.ts";

const [stageName = "", ...wantedSeeds] = process.argv.slice(2);
const seeds = wantedSeeds.length > 0 ? wantedSeeds.map(Number) : [100, 101];
const SHOWN = [
  "map-p3-16",
  "map-p3-32",
  "map-p3-64",
  "map-p2-16",
  "map-p1-16",
  "imbalance",
  "bit-correlation",
];
const TUNED_ARMS = ["hashing", "alignment", "no-fusion", "prompthash"];

type Change = Partial<HashingConfig>;

const rates = (hash: number, fusion: number, encoder: number): Change => ({
  learningRates: { hash, fusion, encoder },
});

const stages: Readonly<Record<string, readonly Change[]>> = {
  rates: [
    rates(3e-3, 1e-3, 3e-4),
    rates(9e-3, 3e-3, 1e-3),
    // One rate for what is new, a lower one for encoders.
    rates(9e-3, 9e-3, 1e-3),
    // The paper's ratio.
    rates(9e-3, 9e-4, 9e-5),
    rates(2.7e-2, 2.7e-3, 2.7e-4),
  ],
  weights: [{ alignmentWeight: 1 }, { alignmentWeight: 20 }, { residualDropout: 0.1 }],
  epochs: [{ epochs: 10 }, { epochs: 40 }],
};

const changes = stages[stageName];
if (!changes) throw new Error(`usage: tune.ts ${Object.keys(stages).join(" | ")} [seed ...]`);
for (const seed of seeds) {
  const prepared = await experiment.prepare(contextInMemory(defaultConfig, seed));
  for (const change of changes) {
    const config = { ...defaultConfig, hashing: { ...defaultConfig.hashing, ...change } };
    const shared = { ...prepared, trainers: new Map(), encoders: new Map() };
    for (const arm of TUNED_ARMS)
      await printArm(experiment, JSON.stringify(change), arm, shared, contextInMemory(config, seed), SHOWN);
    await experiment.dispose?.(shared);
  }
}
