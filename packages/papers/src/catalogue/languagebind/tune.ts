/**
 * Tries the settings that the paper does not give, on seeds that are never reported.
 *
 *   node --conditions=source tune.ts start      stage A: epochs, rate
 *   node --conditions=source tune.ts binding    stage B: rates, the same for both ways of binding and of tuning
 *
 * Further arguments are seeds; default 100. Prints one line per setting, arm and seed. What was chosen and why stands in
 * README.md, under "Settings that are not the paper's".
 */
import type { UnitContext } from "../../harness/contract.ts";
import { contextInMemory, printArm } from "../../harness/memory-context.ts";
import { defaultConfig, type LanguageBindConfig } from "./config.ts";
import { SENSORS, type Sensor } from "./defaults.ts";
import { experiment } from "./experiment.ts";

const [stage = "", ...wantedSeeds] = process.argv.slice(2);
const seeds = wantedSeeds.length > 0 ? wantedSeeds.map(Number) : [100];
const SHOWN = [
  "rgb-shape",
  "rgb-colour",
  "rgb-text-r5",
  "audio-sound",
  "infrared-heat",
  "video-change",
  "depth-shape",
  "depth-distance",
  "infrared-shape",
  "text-r5",
  "rgb-r5",
  "joint-text-r5",
  "depth-infrared-r5",
  "depth-audio-r5",
  "video-text-r5",
];

function report(
  setting: string,
  arm: string,
  prepared: Awaited<ReturnType<typeof experiment.prepare>>,
  context: UnitContext<LanguageBindConfig>,
) {
  return printArm(experiment, setting, arm, prepared, context, SHOWN);
}

const starts: readonly Partial<LanguageBindConfig["pretraining"]>[] = [
  { epochs: 6, learningRate: 1e-3 },
  { epochs: 8, learningRate: 1e-3 },
  { epochs: 8, learningRate: 2e-3 },
];

async function tuneStart(): Promise<void> {
  for (const seed of seeds) {
    for (const change of starts) {
      const config = { ...defaultConfig, pretraining: { ...defaultConfig.pretraining, ...change } };
      const context = contextInMemory(config, seed);
      const prepared = await experiment.prepare(context);
      // A start is judged by what can be bound to it, too.
      for (const arm of ["start", "languagebind", "image-bound"])
        await report(JSON.stringify(change), arm, prepared, context);
    }
  }
}

/** Both ways of binding get every rate, for every sensor. */
const rates = [3e-3, 1e-2] as const;

async function tuneBinding(): Promise<void> {
  for (const seed of seeds) {
    const prepared = await experiment.prepare(contextInMemory(defaultConfig, seed));
    const { binding } = defaultConfig;
    for (const learningRate of rates) {
      const sensors = Object.fromEntries(
        SENSORS.map((sensor) => [sensor, { ...binding.sensors[sensor], learningRate }]),
      ) as unknown as Record<Sensor, (typeof binding.sensors)[Sensor]>;
      const config = { ...defaultConfig, binding: { ...binding, sensors } };
      for (const arm of ["languagebind", "image-bound", "languagebind-full", "image-bound-full"])
        await report(`rate ${learningRate}`, arm, { ...prepared, config }, contextInMemory(config, seed));
    }
  }
}

if (stage === "start") await tuneStart();
else if (stage === "binding") await tuneBinding();
else {
  console.error("usage: node --conditions=source tune.ts start|binding [SEED ...]");
  process.exitCode = 2;
}
