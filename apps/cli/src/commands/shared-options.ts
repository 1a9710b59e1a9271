import { InvalidArgumentError, Option } from "commander";
import type { Context } from "../context.ts";

/** Reads a whole number within bounds. */
export function parseWhole(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d{1,15}$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
    return value;
  };
}

export function runsOption(): Option {
  return new Option("--runs <dir>", "folder with the runs (default: $CONCORD_RUNS, else ./runs)");
}

export function deviceOption(): Option {
  return new Option(
    "--device <name>",
    "where to compute: cpu, webgpu or cuda (default: $CONCORD_DEVICE, else cpu); `concord doctor` says what starts here",
  );
}

export function jsonOption(description: string): Option {
  return new Option("--json", description);
}

/** The end of a command's help: command lines beside what they do. */
export function examples(
  context: Context,
  lines: readonly (readonly [command: string, meaning: string])[],
): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  return `\nExamples:\n${lines.map(([command, meaning]) => `  ${context.name} ${command.padEnd(width)}  ${meaning}`).join("\n")}`;
}
