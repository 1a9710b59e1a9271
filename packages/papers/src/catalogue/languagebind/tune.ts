/**
 * Tries the settings that the paper does not give, on seeds that are never reported.
 *
 *   node --conditions=source tune.ts start      stage A: epochs, rate
 *   node --conditions=source tune.ts binding    stage B without video: rates, the same for every arm
 *   node --conditions=source tune.ts video      stage B of video: rates and epochs, the same for every arm
 *
 * Further arguments are seeds; default 100 and 101. `--rates` and, of video, `--epochs` try others than the default
 * ones, e.g. `--rates 1e-2,3e-2`; `--arms` binds some of the arms only. Prints one line per setting, arm and seed. What
 * was chosen and why stands in README.md, under "Settings that are not the paper's".
 */
import { parseArgs } from "node:util";
import type { UnitContext } from "../../harness/contract.ts";
import { contextInMemory, printArm } from "../../harness/memory-context.ts";
import { defaultConfig, type LanguageBindConfig, type SensorConfig } from "./config.ts";
import { SENSORS, type Sensor } from "./defaults.ts";
import { experiment } from "./experiment.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rates: { type: "string", default: "3e-3,1e-2,3e-2" },
    epochs: { type: "string", default: "2,4,6" },
    arms: { type: "string" },
  },
});
const numbers = (list: string): number[] => list.split(",").map(Number);
/** Those of the arms that were asked for. */
const wanted = (arms: readonly string[]): readonly string[] => {
  const named = values.arms?.split(",");
  return named ? arms.filter((arm) => named.includes(arm)) : arms;
};
const [stage = "", ...wantedSeeds] = positionals;
const seeds = wantedSeeds.length > 0 ? wantedSeeds.map(Number) : [100, 101];
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
  "video-rgb-r5",
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

/** Peak rates; every arm gets every one. */
const rates = numbers(values.rates);

/** A seed's start, to bind some of the sensors to with changed settings of all sensors. */
async function binder(seed: number, sensors: readonly Sensor[]) {
  const prepared = await experiment.prepare(contextInMemory(defaultConfig, seed));
  const training = Object.fromEntries(
    Object.entries(prepared.task.training).filter(([sensor]) => sensors.includes(sensor as Sensor)),
  );
  return async (change: Partial<SensorConfig>, arms: readonly string[]): Promise<void> => {
    const { binding } = defaultConfig;
    const changed = Object.fromEntries(
      SENSORS.map((sensor) => [sensor, { ...binding.sensors[sensor], ...change }]),
    ) as unknown as typeof binding.sensors;
    const config = { ...defaultConfig, binding: { ...binding, sensors: changed, armRates: {} } };
    const shared = { ...prepared, config, task: { ...prepared.task, training } };
    for (const arm of arms) await report(JSON.stringify(change), arm, shared, contextInMemory(config, seed));
  };
}

const stillArms = [
  "languagebind",
  "image-bound",
  "languagebind-full",
  "image-bound-full",
  "one-encoder",
  "no-masking",
];

async function tuneBinding(): Promise<void> {
  for (const seed of seeds) {
    const bind = await binder(seed, ["depth", "infrared", "audio"]);
    for (const learningRate of rates) await bind({ learningRate }, wanted(stillArms));
  }
}

async function tuneVideo(): Promise<void> {
  for (const seed of seeds) {
    const bind = await binder(seed, ["video"]);
    for (const epochs of numbers(values.epochs))
      for (const learningRate of rates)
        await bind({ epochs, learningRate }, wanted(["languagebind", "image-bound", "no-temporal"]));
  }
}

if (stage === "start") await tuneStart();
else if (stage === "binding") await tuneBinding();
else if (stage === "video") await tuneVideo();
else {
  console.error(
    "usage: node --conditions=source tune.ts start|binding|video [--rates R,R] [--epochs N,N] [--arms A,A] [SEED ...]",
  );
  process.exitCode = 2;
}
