/**
 * Tries the settings that the paper does not give, on seeds that are never reported.
 *
 *   node --conditions=source tune.ts start        stage A: how far apart do the modalities lie?
 *   node --conditions=source tune.ts refinement   stage B: learning rate, weights, kind of logits
 *
 * Further arguments are seeds; default 100 101. Prints one line per setting, arm and seed. What was chosen and why
 * stands in README.md, under "Settings that are not the paper's".
 */
import type { UnitContext } from "../../harness/contract.ts";
import { contextInMemory, printArm } from "../../harness/memory-context.ts";
import { type ClipRefineConfig, defaultConfig } from "./config.ts";
import { experiment, type Prepared } from "./experiment.ts";

const [stageName = "", ...wantedSeeds] = process.argv.slice(2);
const seeds = wantedSeeds.length > 0 ? wantedSeeds.map(Number) : [100, 101];
const SHOWN = [
  "accuracy",
  "accuracy-new",
  "accuracy-old",
  "t2i-r5",
  "i2t-r5",
  "gap-l2",
  "alignment",
  "uniformity",
];

function report(setting: string, arm: string, prepared: Prepared, context: UnitContext<ClipRefineConfig>) {
  return printArm(experiment, setting, arm, prepared, context, SHOWN);
}

type Pretraining = ClipRefineConfig["pretraining"];
type Refinement = ClipRefineConfig["refinement"];

const pretrainingVariants: readonly Partial<Pretraining>[] = [
  { separation: 0 },
  { separation: 4 },
  { separation: 8 },
  { separation: 16 },
  { separation: 8, epochs: 12, learningRate: 2e-3 },
];

async function tunePretraining(): Promise<void> {
  for (const seed of seeds) {
    for (const variant of pretrainingVariants) {
      const config = { ...defaultConfig, pretraining: { ...defaultConfig.pretraining, ...variant } };
      const context = contextInMemory(config, seed);
      await report(JSON.stringify(variant), "pre-trained", await experiment.prepare(context), context);
    }
  }
}

interface RefinementVariant {
  readonly arms: readonly string[];
  readonly change: Partial<Refinement>;
}

/** Every kind of arm gets every learning rate; weights concern the arms that have them. */
const refinementVariants: readonly RefinementVariant[] = [
  ...[1e-5, 2e-5, 5e-5, 1e-4, 2e-4].map((learningRate) => ({
    arms: ["contrastive", "self-kd", "hycd", "hycd-align", "clip-refine"],
    change: { learningRate },
  })),
  ...[1, 2, 8, 16].map((lambdaRafa) => ({ arms: ["clip-refine", "rafa-no-noise"], change: { lambdaRafa } })),
  ...[0.25, 4].map((lambdaAlign) => ({ arms: ["hycd-align"], change: { lambdaAlign } })),
  ...[1, 4].map((lambdaRafa) => ({
    arms: ["hycd", "clip-refine"],
    change: { logits: "raw" as const, lambdaRafa },
  })),
];

async function tuneRefinement(): Promise<void> {
  for (const seed of seeds) {
    const prepared = await experiment.prepare(contextInMemory(defaultConfig, seed));
    await report("start", "pre-trained", prepared, contextInMemory(defaultConfig, seed));
    for (const { arms, change } of refinementVariants) {
      const config = { ...defaultConfig, refinement: { ...defaultConfig.refinement, ...change } };
      for (const arm of arms)
        await report(JSON.stringify(change), arm, prepared, contextInMemory(config, seed));
    }
  }
}

const stages: Readonly<Record<string, () => Promise<void>>> = {
  start: tunePretraining,
  refinement: tuneRefinement,
};
const stage = stages[stageName];
if (!stage) throw new Error(`usage: tune.ts ${Object.keys(stages).join(" | ")} [seed ...]`);
await stage();
