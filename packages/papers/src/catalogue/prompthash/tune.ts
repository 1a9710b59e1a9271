/**
 * Tries the settings that the paper does not give, on seeds that are never reported.
 *
 *   node --conditions=source tune.ts rates      learning rates of hash parts, fusion and encoders
 *   node --conditions=source tune.ts weights    weight of the alignment, dropout
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

const { learningRates } = defaultConfig.hashing;
const scaled = (factor: number): Change => ({
  learningRates: {
    hash: factor * learningRates.hash,
    fusion: factor * learningRates.fusion,
    encoder: factor * learningRates.encoder,
  },
});

const stages: Readonly<Record<string, readonly Change[]>> = {
  rates: [scaled(1 / 3), scaled(1), scaled(3)],
  weights: [{ alignmentWeight: 1 }, { alignmentWeight: 20 }, { residualDropout: 0.1 }],
};

const changes = stages[stageName];
if (!changes) throw new Error(`usage: tune.ts ${Object.keys(stages).join(" | ")} [seed ...]`);
for (const seed of seeds) {
  const prepared = await experiment.prepare(contextInMemory(defaultConfig, seed));
  for (const change of changes) {
    const config = { ...defaultConfig, hashing: { ...defaultConfig.hashing, ...change } };
    for (const arm of TUNED_ARMS)
      await printArm(experiment, JSON.stringify(change), arm, prepared, contextInMemory(config, seed), SHOWN);
  }
}
