/**
 * Tries the settings that the paper does not give, on seeds that are never reported.
 *
 *   node --conditions=source tune.ts pre-training   peak rates, each for every arm that pre-trains
 *   node --conditions=source tune.ts fine-tuning    peak rates, from random weights and after VoCo
 *
 * Further arguments are seeds (default 100 101), rates, below 1, in place of the usual ones, or arms, default all. Prints
 * one line per setting, arm and seed. What was chosen and why stands in README.md, under "Settings that are not the paper's".
 */
import { contextInMemory, printArm } from "../../harness/memory-context.ts";
import { arms } from "./arms.ts";
import { defaultConfig, type VocoConfig } from "./config.ts";
import { experiment } from "./experiment.ts";

const [stageName = "", ...rest] = process.argv.slice(2);
const isArm = (name: string): boolean => arms.some(({ id }) => id === name);
const given = rest.filter((value) => !isArm(value)).map(Number);
if (given.some(Number.isNaN)) throw new Error(`seeds, rates or arms were expected, got ${rest.join(" ")}`);
const seeds = given.some((value) => value >= 1) ? given.filter((value) => value >= 1) : [100, 101];

function ratesOr(usual: readonly number[]): readonly number[] {
  const rates = given.filter((value) => value < 1);
  return rates.length > 0 ? rates : usual;
}

async function report(setting: string, usual: readonly string[], config: VocoConfig): Promise<void> {
  const tried = rest.some(isArm) ? rest.filter(isArm) : usual;
  for (const seed of seeds) {
    const context = contextInMemory(config, seed);
    const prepared = await experiment.prepare(context);
    for (const arm of tried) await printArm(experiment, setting, arm, prepared, context);
  }
}

async function tunePretraining(): Promise<void> {
  const { pretraining } = defaultConfig;
  const pretrained = arms.filter(({ recipe }) => recipe !== null).map(({ id }) => id);
  for (const learningRate of ratesOr([1e-3, 3e-3, 6e-3, 1.2e-2, 2.4e-2]))
    await report(`rate ${learningRate}`, pretrained, {
      ...defaultConfig,
      pretraining: { ...pretraining, learningRate, learningRates: {} },
    });
}

async function tuneFineTuning(): Promise<void> {
  const { fineTuning } = defaultConfig;
  for (const learningRate of ratesOr([3e-3, 1e-2, 2e-2]))
    await report(`rate ${learningRate}`, ["scratch", "voco"], {
      ...defaultConfig,
      fineTuning: { ...fineTuning, learningRate },
    });
}

const stages: Readonly<Record<string, () => Promise<void>>> = {
  "pre-training": tunePretraining,
  "fine-tuning": tuneFineTuning,
};
const stage = stages[stageName];
if (!stage)
  throw new Error(`usage: tune.ts ${Object.keys(stages).join(" | ")} [seed ...] [rate ...] [arm ...]`);
await stage();
