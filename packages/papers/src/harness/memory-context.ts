import { randomKey } from "@concord/tensor";
import type { ArrayTree, Experiment, UnitContext } from "./contract.ts";
import type { Inputs } from "./inputs.ts";

/** A unit of work that leaves nothing on disk: for trials of settings, and for tests. Its messages are kept. */
export function contextInMemory<Config>(
  config: Config,
  seed: number,
  inputs: Inputs = {},
): UnitContext<Config> & { readonly notes: readonly string[] } {
  const notes: string[] = [];
  return {
    notes,
    config,
    seed,
    key: randomKey(seed),
    unit: `memory/seed-${seed}`,
    inputs,
    signal: new AbortController().signal,
    log() {},
    note: (message) => void notes.push(message),
    progress() {},
    memo: <T extends ArrayTree>(_name: string, build: () => Promise<T>): Promise<T> => build(),
    checkpoint: { load: async () => null, save: async () => {} },
    artefact(name) {
      throw new Error(`a unit in memory leaves no file ${JSON.stringify(name)}`);
    },
  };
}

/**
 * A configuration with some values replaced, however deep; lists are replaced whole.
 *
 * @throws Error when a value is named that the configuration does not have
 */
export function changedConfig<T>(config: T, changes: unknown): T {
  const isRecord = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isRecord(config) || !isRecord(changes)) return changes as T;
  const entries = Object.entries(changes).map(([name, value]) => {
    if (!(name in config)) throw new Error(`the configuration has no '${name}'`);
    return [name, changedConfig(config[name], value)];
  });
  return { ...config, ...Object.fromEntries(entries) };
}

/**
 * Runs one arm and prints its metrics as a line of tab-separated values: setting, seed, arm, metrics, seconds.
 *
 * @param shown  ids of the metrics in the order of the line; default all
 */
export async function printArm<Config, Shared>(
  experiment: Experiment<Config, Shared>,
  setting: string,
  arm: string,
  prepared: Shared,
  context: UnitContext<Config>,
  shown: readonly string[] = experiment.metrics.map(({ id }) => id),
): Promise<void> {
  const begin = performance.now();
  const { metrics } = await experiment.runArm(arm, prepared, context);
  const values = shown.map((id) => `${id} ${metrics[id]?.toFixed(3) ?? "-"}`);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log([setting, `seed ${context.seed}`, arm, ...values, `${seconds} s`].join("\t"));
}
