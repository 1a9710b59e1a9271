/**
 * Tries the settings that the paper does not give, on seeds that are never reported.
 *
 *   node --conditions=source tune.ts '{"training":{"epochs":3}}' swav,simclr 100 101
 *
 * The first argument changes the default configuration (objects are merged), the second names the arms, the others are
 * seeds; default 100 101. Prints a line for each arm and seed. What was chosen and why stands in README.md, under
 * "Settings that are not the paper's".
 */
import type { UnitContext } from "../../harness/contract.ts";
import { changedConfig, contextInMemory } from "../../harness/memory-context.ts";
import { defaultConfig, type SwavConfig } from "./config.ts";
import { experiment } from "./experiment.ts";

const [change = "{}", wantedArms = "random,simclr,swav", ...wantedSeeds] = process.argv.slice(2);
const seeds = wantedSeeds.length > 0 ? wantedSeeds.map(Number) : [100, 101];

/** Of the arm under way: steps, seconds that they waited for crops and that they computed, and the curve. */
let [steps, waited, computed] = [0, 0, 0];
const losses: [step: number, loss: number][] = [];

/** A unit of work that leaves nothing on disk, watched. */
function watchedContext(config: SwavConfig, seed: number): UnitContext<SwavConfig> {
  return {
    ...contextInMemory(config, seed),
    log(_phase, step, { loss }) {
      if (loss !== undefined) losses.push([step, Number(loss)]);
    },
    progress({ step = 0, dataSeconds, computeSeconds }) {
      if (dataSeconds === undefined || computeSeconds === undefined) return;
      [steps, waited, computed] = [step, dataSeconds, computeSeconds];
    },
  };
}

const config = changedConfig(defaultConfig, JSON.parse(change));
for (const seed of seeds) {
  const context = watchedContext(config, seed);
  const prepared = await experiment.prepare(context);
  for (const arm of wantedArms.split(",")) {
    const begun = performance.now();
    losses.length = 0;
    [steps, waited, computed] = [0, 0, 0];
    const { metrics } = await experiment.runArm(arm, prepared, context);
    const values = Object.entries(metrics).map(([id, value]) => `${id} ${value.toFixed(3)}`);
    const shown = losses.filter((_, i) => i % Math.ceil(losses.length / 8) === 0 || i === losses.length - 1);
    values.push(`loss ${shown.map(([step, loss]) => `${step}:${loss.toFixed(2)}`).join(" ")}`);
    const seconds = waited + computed;
    if (steps > 0)
      values.push(
        `${((1000 * seconds) / steps).toFixed(0)} ms a step`,
        `${((100 * waited) / seconds).toFixed(1)} % waiting`,
      );
    values.push(`${((performance.now() - begun) / 1000).toFixed(1)} s in all`);
    console.log([change, `seed ${seed}`, arm, ...values].join("\t"));
  }
  await experiment.dispose?.(prepared);
}
