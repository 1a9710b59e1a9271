import type { FileFormat } from "@concord/feed/intake";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Context } from "../context.ts";
import type { ExitCode } from "../errors.ts";
import type { IngestFlags } from "./ingest.ts";

const FORMATS: readonly FileFormat[] = ["jsonl", "json", "xml", "text"];

function parseDay(text: string): string {
  const moment = Date.parse(`${text}T00:00:00Z`);
  if (
    !/^\d{4}-\d\d-\d\d$/.test(text) ||
    Number.isNaN(moment) ||
    !new Date(moment).toISOString().startsWith(text)
  ) {
    throw new InvalidArgumentError("Expected a day such as 2026-05-14.");
  }
  return text;
}

function parseNames(text: string): string[] {
  const names = text.split(/[\s,+]+/).filter(Boolean);
  if (names.length === 0) throw new InvalidArgumentError("Expected categories such as cs.CV,cs.LG.");
  return names;
}

/** Adds `concord ingest` to the command line. */
export function addIngest(program: Command, context: Context, settle: (code: ExitCode) => void): void {
  program
    .command("ingest")
    .summary("read papers into the store")
    .description(
      "Reads papers from arXiv, Daily Papers, files or standard input into the store of the site. What is known stays, what is new is added, a second reading changes nothing; a reading that was stopped goes on where it was. Records that cannot be used are named with the reason. arXiv is asked at most once in three seconds, over all processes of this user.",
    )
    .argument(
      "<sources...>",
      "arxiv-rss (today's listing), arxiv-query (days of submission), arxiv-oai (all changes), arxiv-fill (what papers of the store lack), hf-daily, arXiv identifiers, files, folders, or - for standard input",
    )
    .option("--store <file>", "the store (default: concord.sqlite in the data folder)")
    .option("--data <dir>", "data folder (default: $CONCORD_DATA, else ./concord-data)")
    .option("--config <file>", "settings of the site (default: $CONCORD_CONFIG)")
    .addOption(new Option("--from <day>", "first day, e.g. 2026-05-01").argParser(parseDay))
    .addOption(new Option("--to <day>", "last day").argParser(parseDay))
    .addOption(
      new Option("--day <day>", "one day; for the text of a page, the page's day").argParser(parseDay),
    )
    .addOption(
      new Option("--categories <list>", "arXiv categories (default: $CONCORD_CATEGORIES)").argParser(
        parseNames,
      ),
    )
    .option("--set <set>", "arxiv-oai: a set such as cs or cs:cs:LG (default: everything)")
    .addOption(new Option("--format <format>", "what files are (default: looked at)").choices([...FORMATS]))
    .option("--contact <address>", "web or mail address told to the servers (default: $CONCORD_CONTACT)")
    .option("--dry-run", "say what would come in, and change nothing")
    .addOption(new Option("--json", "the reports as JSON"))
    .addHelpText(
      "after",
      `\nExamples:\n  ${context.name} ingest arxiv-rss --categories cs.CV,cs.LG\n  ${context.name} ingest arxiv-query --from 2026-05-01 --to 2026-05-31\n  ${context.name} ingest 2504.12717 papers.jsonl.gz\n  ${context.name} ingest page.txt --day 2025-12-10 --dry-run`,
    )
    .action(async (sources: string[], flags: IngestFlags) => {
      // Brought in on use: the store and its drivers are much to load for commands that do not need them.
      const { ingestPapers } = await import("./ingest.ts");
      settle(await ingestPapers(context, sources, flags));
    });
}
