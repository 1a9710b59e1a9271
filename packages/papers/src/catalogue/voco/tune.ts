/**
 * Tries the settings that the paper does not give, on seeds that are never reported.
 *
 *   node --conditions=source tune.ts pre-training   peak rates, each for every kind of pretext task
 *   node --conditions=source tune.ts fine-tuning    peak rates, from random weights and after VoCo
 *
 * Further arguments are seeds; default 100 101. Prints one line per setting, arm and seed. What was chosen and why stands
 * in README.md, under "Settings that are not the paper's".
 */
import { contextInMemory, printArm } from "../../harness/memory-context.ts";
import { defaultConfig, type VocoConfig } from "./config.ts";
import { experiment } from "./experiment.ts";

const [stageName = "", ...wantedSeeds] = process.argv.slice(2);
const seeds = wantedSeeds.length > 0 ? wantedSeeds.map(Number) : [100, 101];

async function report(setting: string, arms: readonly string[], config: VocoConfig): Promise<void> {
  for (const seed of seeds) {
    const context = contextInMemory(config, seed);
    const prepared = await experiment.prepare(context);
    for (const arm of arms) {
      await printArm(experiment, setting, arm, prepared, context);
    }
  }
}

async function tunePretraining(): Promise<void> {
  const { data, pretraining } = defaultConfig;
  const counts = { unlabelled: 40, labelled: 3, test: 5 };
  for (const learningRate of [1e-3, 3e-3, 6e-3]) {
    await report(`rate ${learningRate}`, ["place-regression", "masked", "voco", "released"], {
      ...defaultConfig,
      data: { ...data, generated: counts },
      pretraining: { ...pretraining, learningRate },
    });
  }
}

async function tuneFineTuning(): Promise<void> {
  const { data, fineTuning } = defaultConfig;
  const counts = { unlabelled: 40, labelled: 3, test: 5 };
  for (const learningRate of [3e-3, 1e-2, 2e-2]) {
    await report(`rate ${learningRate}`, ["scratch", "voco"], {
      ...defaultConfig,
      data: { ...data, generated: counts },
      fineTuning: { ...fineTuning, learningRate },
    });
  }
}

const stages: Readonly<Record<string, () => Promise<void>>> = {
  "pre-training": tunePretraining,
  "fine-tuning": tuneFineTuning,
};
const stage = stages[stageName];
if (!stage) throw new Error(`usage: tune.ts ${Object.keys(stages).join(" | ")} [seed ...]`);
await stage();
