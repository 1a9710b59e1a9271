import { type Command, InvalidArgumentError } from "commander";
import type { Context } from "../context.ts";
import type { ExitCode } from "../errors.ts";
import type { IndexFlags } from "./index-papers.ts";

const MAX_STEPS = 100_000;

function stepCount(text: string): number {
  const steps = Number(text);
  if (!/^\d+$/.test(text) || steps < 1 || steps > MAX_STEPS)
    throw new InvalidArgumentError(`Expected 1 to ${MAX_STEPS} steps.`);
  return steps;
}

/** Adds `concord index` to the command line. */
export function addIndex(program: Command, context: Context, settle: (code: ExitCode) => void): void {
  program
    .command("index")
    .summary("encode papers for the search by meaning")
    .description(
      "Encodes the papers that came in since the last time, so that they are found by meaning. Where there is no encoder yet, one is trained on titles and abstracts. What was stopped or killed goes on where it was. Searches use the encoder before until all papers are encoded anew, then both are swapped at once.",
    )
    .option("--train", "train a new encoder on all papers, and use it unless it is clearly worse")
    .option("--status", "say which encoder is in use and how good it is, and change nothing")
    .option(
      "--encoder <dir>",
      "use this sentence encoder (ONNX, Hugging Face layout; default: $CONCORD_SEARCH_ENCODER, else Concord's own)",
    )
    .option("--steps <number>", "training steps; more take longer and find more", stepCount)
    .option("--data <dir>", "data folder (default: $CONCORD_DATA, else ./concord-data)")
    .option("--config <file>", "settings of the site (default: $CONCORD_CONFIG)")
    .option("--json", "the result as JSON")
    .addHelpText(
      "after",
      `\nExamples:\n  ${context.name} index --train\n  ${context.name} index\n  ${context.name} index --status --json`,
    )
    .action(async (flags: IndexFlags) => {
      // Brought in on use: store and engine are much to load for commands that do not need them.
      const { indexPapers } = await import("./index-papers.ts");
      settle(await indexPapers(context, flags));
    });
}
