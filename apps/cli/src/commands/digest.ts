import { isDay, readSpan } from "@concord/feed";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Context } from "../context.ts";
import type { ExitCode } from "../errors.ts";
import type { DigestFlags } from "./digest-run.ts";
import { addStoreOptions } from "./store-file.ts";

/** A day, or a week by one of its days or its key. */
function parsePeriod(text: string): string {
  if (!isDay(text) && readSpan("week", text) === null)
    throw new InvalidArgumentError("Expected a day such as 2026-11-20 or a week such as 2026-W47.");
  return text;
}

/** Adds `concord digest` to the command line. */
export function addDigest(program: Command, context: Context, settle: (code: ExitCode) => void): void {
  addStoreOptions(
    program
      .command("digest")
      .summary("look at a digest, send it")
      .description(
        "Shows what the digest of a day or a week says, or builds and sends what is due, as the site does by itself. What was sent is not sent again.",
      ),
  )
    .option("--preview", "show the digest as text (the default)")
    .option("--html", "with --preview: the HTML of the message")
    .option("--send", "build what is due, or the period that is given, and send what is queued")
    .addOption(
      new Option("--period <day|week>", "e.g. 2026-11-20 or 2026-W47 (default: what is due now)").argParser(
        parsePeriod,
      ),
    )
    .option("--weekly", "the weekly digest; with a week as period it is meant anyway")
    .option("--topics <list>", "with --preview: for a reader of these topics and categories")
    .option("--status", "what was built, and how far it is sent")
    .option("--pause", "stop sending the newest digest, or the period's")
    .option("--resume", "go on sending it")
    .option("--json", "the result as JSON")
    .addHelpText(
      "after",
      `\nExamples:\n  ${context.name} digest                              the one that is due\n  ${context.name} digest --period 2026-W47            the digest of a week\n  ${context.name} digest --topics cs.CV --html > d.html   for one reader's topics, to look at\n  ${context.name} digest --send                       build and send now\n  ${context.name} digest --status                     how far is it?`,
    )
    .action(async (flags: DigestFlags) => {
      const { runDigest } = await import("./digest-run.ts");
      settle(await runDigest(context, flags));
    });
}
