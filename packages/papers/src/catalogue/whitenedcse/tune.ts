/**
 * Tries the settings that the paper does not give, on seeds that are never reported.
 *
 *   node --conditions=source tune.ts --rates 1e-3,4e-3 --arms simcse-3,whitenedcse
 *   node --conditions=source tune.ts --rates 1e-3 --change '{"encoder":{"dropout":0.1}}' --inputs '{"sentences":"a.txt","sts":"b.csv"}'
 *
 * Every arm is tried at every rate; the rates hold for generated and for given sentences. Prints a line for each rate, arm
 * and seed, then for every arm the score on the development pairs, mean of the seeds, by rate: the best rate is the
 * arm's. What was chosen stands in README.md, under "Settings that are not the paper's".
 */
import { parseArgs } from "node:util";
import { changedConfig, contextInMemory } from "../../harness/memory-context.ts";
import { arms } from "./arms.ts";
import { defaultConfig, type WhitenedCseConfig } from "./config.ts";
import { experiment } from "./experiment.ts";

const SHOWN = [
  "sts-development",
  "sts",
  "sts-centred",
  "sts-whitened",
  "sts-head",
  "uniformity",
  "effective-rank",
  "kept-step",
];
const trainedArms = arms.filter(({ recipe }) => recipe.kind === "trained").map(({ id }) => id);

const { values } = parseArgs({
  options: {
    rates: { type: "string", default: "1e-3,2e-3,4e-3,8e-3,1.6e-2,3.2e-2" },
    arms: { type: "string", default: trainedArms.join(",") },
    seeds: { type: "string", default: "100,101" },
    change: { type: "string", default: "{}" },
    inputs: { type: "string", default: "{}" },
  },
});
const rates = values.rates.split(",").map(Number);
const seeds = values.seeds.split(",").map(Number);
const changed = changedConfig(defaultConfig, JSON.parse(values.change));

function atRate(rate: number): WhitenedCseConfig {
  const { data, training } = changed;
  const learningRates = { usual: rate, of: {} };
  return {
    ...changed,
    data: { ...data, own: { ...data.own, learningRates } },
    training: { ...training, learningRates },
  };
}

/** Sums over the seeds of the score on the development pairs. */
const scores = new Map<string, number>();
for (const seed of seeds) {
  const prepared = await experiment.prepare(contextInMemory(changed, seed, JSON.parse(values.inputs)));
  for (const rate of rates) {
    const context = contextInMemory(atRate(rate), seed, JSON.parse(values.inputs));
    for (const arm of values.arms.split(",")) {
      const { metrics } = await experiment.runArm(arm, prepared, context);
      const shown = SHOWN.map((id) => `${id} ${metrics[id]?.toFixed(3) ?? "-"}`);
      console.log([`rate ${rate}`, `seed ${seed}`, arm, ...shown].join("\t"));
      const key = `${arm} ${rate}`;
      scores.set(key, (scores.get(key) ?? 0) + (metrics["sts-development"] ?? Number.NaN));
    }
  }
}
console.log(["arm", ...rates].join("\t"));
for (const arm of values.arms.split(",")) {
  const means = rates.map((rate) => (scores.get(`${arm} ${rate}`) ?? Number.NaN) / seeds.length);
  console.log([arm, ...means.map((mean) => mean.toFixed(2))].join("\t"));
}
