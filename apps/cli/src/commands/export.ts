import { existsSync } from "node:fs";
import { dumpStore, exportPerson, openSqliteStore, personBibtex, personCsv, type Store } from "@concord/feed";
import { writeFileAtomic } from "@concord/papers";
import { type Command, Option } from "commander";
import type { Context } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { addStoreOptions, explained, progressLine, type StoreFlags, storePath } from "./store-file.ts";

type PersonFormat = "json" | "csv" | "bibtex";

interface ExportFlags extends StoreFlags {
  readonly person?: string;
  readonly format?: PersonFormat;
  readonly vectors?: boolean;
}

async function personText(store: Store, who: string, format: PersonFormat): Promise<string> {
  const account = who.includes("@") ? await store.people.byEmail(who) : await store.people.byName(who);
  if (account === null) throw new UsageError(`There is no account ${JSON.stringify(who)}.`);
  const data = await exportPerson(store, account.id);
  if (format === "csv") return personCsv(data);
  if (format === "bibtex") return personBibtex(store, data);
  return `${JSON.stringify(data, null, 2)}\n`;
}

/** Writes the whole store, or what it has of one person. */
async function exportStore(context: Context, target: string, flags: ExportFlags): Promise<ExitCode> {
  const { stdout, stderr } = context;
  const { person, format } = flags;
  if (person === undefined && format !== undefined) throw new UsageError("--format goes with --person.");
  if (person !== undefined && flags.vectors) throw new UsageError("--vectors goes with the whole store.");
  const path = await storePath(context, flags);
  if (!existsSync(path)) throw new UsageError(`There is no store ${path}.`);
  if (person === undefined) {
    if (target === "-")
      throw new UsageError("The whole store goes to a file, which only its owner may read.");
    const line = progressLine(context, (rows) => `Writing: ${rows} rows`);
    const rows = await explained(
      dumpStore(path, target, { vectors: flags.vectors ?? false, onProgress: (done) => line.update(done) }),
    ).finally(() => line.end());
    stdout.write(`${target}: ${rows} rows. It holds hashes of passwords and tokens: keep it to yourself.\n`);
    return ExitCode.done;
  }
  if (target !== "-" && existsSync(target))
    throw new UsageError(`${target} exists already and is not overwritten.`);
  const store = openSqliteStore(path);
  try {
    const text = await explained(personText(store, person, format ?? "json"));
    if (target === "-") stdout.write(text);
    else {
      await writeFileAtomic(target, [text]);
      stderr.write(`${target}: written.\n`);
    }
  } finally {
    await store.close();
  }
  return ExitCode.done;
}

export function addExport(program: Command, context: Context, settle: (code: ExitCode) => void): void {
  addStoreOptions(
    program
      .command("export")
      .summary("write the whole store, or one person's data, in open formats")
      .description(
        "Writes all that the store holds as JSON lines (compressed when the name ends in .gz), which `restore` reads; with --person, what it has of one person.",
      )
      .argument("<file>", "file to write; - for standard output with --person"),
  )
    .option("--person <who>", "name or e-mail address of an account")
    .addOption(
      new Option(
        "--format <format>",
        "of a person's data: all of it as json, or the papers as csv or bibtex",
      ).choices(["json", "csv", "bibtex"]),
    )
    .option("--vectors", "vectors of papers too; they can be made again, and are large")
    .addHelpText(
      "after",
      `\nExamples:\n  ${context.name} export store.jsonl.gz\n  ${context.name} export ada.json --person ada\n  ${context.name} export - --person ada --format bibtex`,
    )
    .action(async (target: string, flags: ExportFlags) => settle(await exportStore(context, target, flags)));
}
