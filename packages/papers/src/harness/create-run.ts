import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { checkExperiment } from "./check-experiment.ts";
import type { Experiment, PresetName, RunInput } from "./contract.ts";
import type { RunRecord, UnitRecord } from "./run-record.ts";
import type { RunStore } from "./run-store.ts";

const MAX_SEEDS = 1000;
const MAX_INPUT_LENGTH = 4096;

/** What the user of a run chooses. */
export interface RunRequest {
  /** Default "default". */
  readonly preset?: string;
  /** Which seeds to run; by default 0, 1, ... as many as the preset says. */
  readonly seeds?: readonly number[];
  /** Which arms to run; by default all. */
  readonly arms?: readonly string[];
  /** Values of the experiment's inputs. Relative paths count from the current folder. */
  readonly inputs?: Readonly<Record<string, string | boolean>>;
  /** Device on which the graphs run, e.g. "webgpu"; by default that of the environment, else the CPU. */
  readonly device?: string;
}

/** A request that the experiment cannot serve. Its message is for the person who asked. */
export class RunRequestError extends Error {
  override readonly name = "RunRequestError";
}

function reject(message: string): never {
  throw new RunRequestError(message);
}

function choosePreset(experiment: Experiment, name = "default"): PresetName {
  const names = Object.keys(experiment.presets);
  if (!names.includes(name)) reject(`Unknown preset ${JSON.stringify(name)}. Known: ${names.join(", ")}.`);
  return name as PresetName;
}

function chooseSeeds(count: number, wanted?: readonly number[]): number[] {
  const seeds = wanted ? [...wanted] : Array.from({ length: count }, (_, seed) => seed);
  if (seeds.length === 0) reject("At least one seed is needed.");
  if (seeds.length > MAX_SEEDS) reject(`${seeds.length} seeds; at most ${MAX_SEEDS} make one run.`);
  const bad = seeds.find((seed) => !Number.isSafeInteger(seed) || seed < 0);
  if (bad !== undefined) reject(`Seeds are integers from 0, got ${bad}.`);
  if (new Set(seeds).size !== seeds.length) reject(`Each seed may be named once, got ${seeds.join(", ")}.`);
  return seeds;
}

/** The wanted arms in the experiment's order. */
function chooseArms(experiment: Experiment, wanted?: readonly string[]): string[] {
  const known = experiment.arms.map(({ id }) => id);
  const unknown = wanted?.find((arm) => !known.includes(arm));
  if (unknown !== undefined) reject(`Unknown arm ${JSON.stringify(unknown)}. Known: ${known.join(", ")}.`);
  if (wanted?.length === 0) reject("At least one arm is needed.");
  return wanted ? known.filter((arm) => wanted.includes(arm)) : known;
}

async function checkInput(input: RunInput, value: string | boolean): Promise<string | boolean> {
  if (input.kind === "flag") {
    return typeof value === "boolean" ? value : reject(`--${input.name} is a switch and takes no value.`);
  }
  if (typeof value !== "string" || value === "") {
    return reject(`--${input.name} needs a value${input.placeholder ? ` (${input.placeholder})` : ""}.`);
  }
  if (value.length > MAX_INPUT_LENGTH) reject(`--${input.name}: longer than ${MAX_INPUT_LENGTH} characters.`);
  if (input.kind === "text") return value;
  const path = resolve(value);
  await stat(path).catch(() =>
    reject(`--${input.name}: there is no file or folder ${JSON.stringify(value)}.`),
  );
  return path;
}

async function chooseInputs(
  experiment: Experiment,
  preset: PresetName,
  given: Readonly<Record<string, string | boolean>> = {},
): Promise<Record<string, string | boolean>> {
  const known = experiment.inputs ?? [];
  const chosen: Record<string, string | boolean> = {};
  for (const [name, value] of Object.entries(given)) {
    const input = known.find((candidate) => candidate.name === name);
    if (!input) {
      const names = known.map((candidate) => `--${candidate.name}`).join(", ") || "none";
      return reject(`'${experiment.slug}' has no input ${JSON.stringify(name)}. Known: ${names}.`);
    }
    const missing = (input.requires ?? []).find(
      (other) => given[other] === undefined || given[other] === false,
    );
    if (missing !== undefined && value !== false) reject(`--${name} needs --${missing} as well.`);
    chosen[name] = await checkInput(input, value);
  }
  try {
    await experiment.validate?.(chosen, preset);
  } catch (error) {
    throw new RunRequestError(error instanceof Error ? error.message : String(error), { cause: error });
  }
  return chosen;
}

/** A device that can start here; what cannot is refused before a run of it exists. */
async function chooseDevice(name: string): Promise<string> {
  try {
    // Imported on use: it brings the engine, which a server that only queues runs does not need.
    const { onDevice } = await import("./device.ts");
    return await onDevice(name, async () => name);
  } catch (error) {
    throw new RunRequestError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** The units of a run in the order of execution: per seed the preparation, then every arm. */
function listUnits(seeds: readonly number[], arms: readonly string[]): UnitRecord[] {
  return seeds.flatMap((seed) =>
    [null, ...arms].map((arm) => ({
      id: `seed-${seed}/${arm ?? "prepare"}`,
      seed,
      arm,
      status: "pending" as const,
    })),
  );
}

/**
 * Checks a request and makes a queued run of it.
 *
 * @param options.hold  true when the caller executes the run at once (see `RunStore.create`)
 * @throws RunRequestError when the request names what does not exist or the experiment rejects its inputs
 */
export async function createRun(
  experiment: Experiment,
  store: RunStore,
  request: RunRequest = {},
  options: { readonly hold?: boolean } = {},
): Promise<RunRecord> {
  checkExperiment(experiment);
  const preset = choosePreset(experiment, request.preset);
  const { config, seeds: seedCount } = experiment.presets[preset];
  const seeds = chooseSeeds(seedCount, request.seeds);
  const arms = chooseArms(experiment, request.arms);
  const inputs = await chooseInputs(experiment, preset, request.inputs);
  const units = listUnits(seeds, arms);
  const device = request.device === undefined ? {} : { device: await chooseDevice(request.device) };
  return store.create(
    { paper: experiment.slug, preset, seeds, arms, inputs, config, units, ...device },
    options,
  );
}
