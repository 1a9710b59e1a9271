import { Option } from "commander";
import type { Context } from "../context.ts";

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
