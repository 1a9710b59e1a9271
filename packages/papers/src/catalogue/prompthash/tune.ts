/**
 * Tries the settings that the paper does not give, on seeds that are never reported.
 *
 *   node --conditions=source tune.ts rates      learning rates of hash parts, fusion and encoders
 *   node --conditions=source tune.ts weights    weight of the alignment, dropout
 *
 * Further arguments are seeds; default 100 101. Every arm gets every setting. Prints one line per setting, arm and seed.
 * What was chosen and why stands in README.md, under "Settings that are not the paper's".
 */
import { randomKey } from "@concord/tensor";
import type { ArrayTree, UnitContext } from "../../harness/contract.ts";
import { defaultConfig, type HashingConfig, type PromptHashConfig } from "./config.ts";
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

/** A unit of work that leaves nothing on disk. */
function contextInMemory(hashing: HashingConfig, seed: number): UnitContext<PromptHashConfig> {
  return {
    config: { ...defaultConfig, hashing },
    seed,
    key: randomKey(seed),
    unit: `tuning/seed-${seed}`,
    inputs: {},
    signal: new AbortController().signal,
    log() {},
    note(message) {
      console.error(message);
    },
    progress() {},
    memo: <T extends ArrayTree>(_name: string, build: () => Promise<T>): Promise<T> => build(),
    checkpoint: { load: async () => null, save: async () => {} },
    artefact() {
      throw new Error("tuning leaves no files");
    },
  };
}

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
  const prepared = await experiment.prepare(contextInMemory(defaultConfig.hashing, seed));
  for (const change of changes) {
    for (const arm of TUNED_ARMS) {
      const context = contextInMemory({ ...defaultConfig.hashing, ...change }, seed);
      const { metrics } = await experiment.runArm(arm, prepared, context);
      const values = SHOWN.map((id) => `${id} ${(metrics[id] as number).toFixed(2)}`);
      console.log([JSON.stringify(change), `seed ${seed}`, arm, ...values].join("\t"));
    }
  }
}
