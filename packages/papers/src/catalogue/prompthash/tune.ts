/**
 * Tries the settings that the paper does not give, on seeds that are never reported.
 *
 *   node --conditions=source tune.ts rates      learning rates of hash parts, fusion and encoders
 *   node --conditions=source tune.ts weights    weight of the alignment
 *   node --conditions=source tune.ts prompts    a prompt that multiplies by 1 at the start: a diagnostic
 *   node --conditions=source tune.ts epochs     how much longer training would help
 *
 * Further arguments are seeds; default 100 101. Every arm of a stage gets every setting. Prints one line per setting, arm and seed.
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
  "i2t-p3-16",
  "t2i-p3-16",
  "map-p2-16",
  "map-p1-16",
  "imbalance",
  "bit-correlation",
];

type Change = Partial<HashingConfig>;

/** Which arms a setting concerns, and the values to try. */
interface Stage {
  readonly arms: readonly string[];
  readonly changes: readonly Change[];
}

const rates = (hash: number, fusion: number, encoder: number): Change => ({
  learningRates: { hash, fusion, encoder },
});

const stages: Readonly<Record<string, Stage>> = {
  rates: {
    arms: ["hashing", "alignment", "prompthash"],
    changes: [
      rates(9e-3, 3e-3, 1e-3),
      rates(3e-3, 1e-3, 3e-4),
      // One rate for all that is new.
      rates(9e-3, 9e-3, 1e-3),
      // The paper's ratio.
      rates(9e-3, 9e-4, 9e-5),
      rates(2.7e-2, 2.7e-3, 2.7e-4),
    ],
  },
  weights: {
    arms: ["alignment", "prompthash"],
    changes: [{ alignmentWeight: 1 }, { alignmentWeight: 20 }],
  },
  prompts: { arms: ["prompthash"], changes: [{ promptStrength: null }, { promptStrength: 0 }] },
  epochs: { arms: ["hashing", "prompthash"], changes: [{ epochs: 10 }, { epochs: 40 }] },
};

const stage = stages[stageName];
if (!stage) throw new Error(`usage: tune.ts ${Object.keys(stages).join(" | ")} [seed ...]`);
for (const seed of seeds) {
  const prepared = await experiment.prepare(contextInMemory(defaultConfig, seed));
  for (const change of stage.changes) {
    const config = { ...defaultConfig, hashing: { ...defaultConfig.hashing, ...change } };
    for (const arm of stage.arms)
      await printArm(experiment, JSON.stringify(change), arm, prepared, contextInMemory(config, seed), SHOWN);
  }
  await experiment.dispose?.(prepared);
}
