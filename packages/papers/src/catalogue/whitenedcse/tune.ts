/**
 * Tries the settings that the paper does not give, on seeds that are never reported.
 *
 *   node --conditions=source tune.ts '{"training":{"learningRate":1e-3}}' simcse-3,whitenedcse 100,101
 *
 * Arguments: changes of the default configuration as JSON, arms, seeds, inputs of the run as JSON. Prints one line per arm and seed. What was
 * chosen and why stands in README.md, under "Settings that are not the paper's".
 */
import { changedConfig, contextInMemory, printArm } from "../../harness/memory-context.ts";
import { defaultConfig } from "./config.ts";
import { experiment } from "./experiment.ts";

const SHOWN = ["sts", "sts-whitened", "sts-head", "alignment", "uniformity", "mean-cosine", "effective-rank"];

const [
  changes = "{}",
  wantedArms = "pre-trained,simcse-2,simcse-3,whitenedcse",
  wantedSeeds = "100,101",
  givenInputs = "{}",
] = process.argv.slice(2);
const config = changedConfig(defaultConfig, JSON.parse(changes));
for (const seed of wantedSeeds.split(",").map(Number)) {
  const context = contextInMemory(config, seed, JSON.parse(givenInputs));
  const prepared = await experiment.prepare(context);
  for (const arm of wantedArms.split(",")) {
    await printArm(experiment, changes, arm, prepared, context, [...SHOWN, "kept-step"]);
  }
}
