import type { RunInput } from "./contract.ts";

/** Values of an experiment's inputs, by name, as they were given. */
export type Inputs = Readonly<Record<string, string | boolean>>;

/** For experiments that read files of the user: the flag that makes the first row that cannot be used an error. */
export function strictInput(requires: string): RunInput {
  return {
    name: "strict",
    kind: "flag",
    description: "Stop at the first row that cannot be used, instead of skipping and counting it.",
    requires: [requires],
  };
}

/** The text that was given, or undefined. */
export function textInput(given: Inputs, name: string): string | undefined {
  const value = given[name];
  return typeof value === "string" ? value : undefined;
}

/**
 * The integer that was given, or undefined.
 *
 * @throws Error unless it is in [least, most]; `least` is 1 by default
 */
export function integerInput(
  given: Inputs,
  name: string,
  { least = 1, most }: { readonly least?: number; readonly most: number },
): number | undefined {
  const text = textInput(given, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new Error(`--${name} must be an integer from ${least} to ${most}, got ${JSON.stringify(text)}.`);
  return value;
}

/**
 * Epochs on own samples: what the user wants, else as many as make the steps that the preset does on generated ones,
 * else the preset's.
 */
export function epochsFor(
  wanted: number | undefined,
  preset: { readonly epochs: number; readonly batchSize: number },
  generated: number | undefined,
  samples: number,
): number {
  if (wanted !== undefined) return wanted;
  if (generated === undefined) return preset.epochs;
  const stepsPerEpoch = (count: number): number => Math.max(1, Math.floor(count / preset.batchSize));
  return Math.ceil((preset.epochs * stepsPerEpoch(generated)) / stepsPerEpoch(samples));
}
