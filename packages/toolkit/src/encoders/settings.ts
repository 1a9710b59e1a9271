// Reading values out of configuration files of unknown origin.
import { EncoderError } from "./encoder.ts";
import type { Config } from "./model-folder.ts";

/** A part of a configuration that is an object itself, else an empty one. */
export function section(config: Config | null, name: string): Config {
  const value = config?.[name];
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Config) : {};
}

export function textOf(config: Config | null, name: string): string | undefined {
  const value = config?.[name];
  return typeof value === "string" ? value : undefined;
}

export function flagOf(config: Config | null, name: string): boolean | undefined {
  const value = config?.[name];
  return typeof value === "boolean" ? value : undefined;
}

/** A whole number within bounds; undefined when it is absent. @throws EncoderError when it is anything else */
export function integerOf(
  config: Config | null,
  name: string,
  where: string,
  { least = 1, most = 2 ** 20 }: { readonly least?: number; readonly most?: number } = {},
): number | undefined {
  const value = config?.[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most)
    throw new EncoderError(
      `${where}: '${name}' must be a whole number from ${least} to ${most}, got ${shown(value)}`,
    );
  return value;
}

/** A finite number; undefined when it is absent. @throws EncoderError when it is anything else */
export function numberOf(config: Config | null, name: string, where: string): number | undefined {
  const value = config?.[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isFinite(value))
    throw new EncoderError(`${where}: '${name}' must be a number, got ${shown(value)}`);
  return value;
}

const MAX_SHOWN = 60;

export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
