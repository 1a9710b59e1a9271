import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { IN_MEMORY, openSqliteStore } from "@concord/feed";
import {
  type FileFormat,
  filesOf,
  type IngestReport,
  type IngestSource,
  ingest,
  parseArxivId,
  SourceError,
} from "@concord/feed/intake";
import { createSafeFetch, defaultGatePath, fileGate, type SafeFetch } from "@concord/feed/net";
import { type Context, coloursFor, columnsOf } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { renderIngest } from "../render/ingest.ts";
import { StageDisplay } from "../stage-display.ts";

/** Name of the store in the data folder; the site's own. */
const STORE_FILE = "concord.sqlite";
const SHOW_MS = 250;
const SERVICES = ["arxiv-rss", "arxiv-query", "arxiv-oai", "arxiv-fill", "hf-daily"] as const;

export interface IngestFlags {
  readonly store?: string;
  readonly data?: string;
  readonly config?: string;
  readonly from?: string;
  readonly to?: string;
  readonly day?: string;
  readonly categories?: readonly string[];
  readonly set?: string;
  readonly format?: FileFormat;
  readonly contact?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

interface Range {
  readonly from: string | undefined;
  readonly to: string | undefined;
}

function rangeOf({ from, to, day }: IngestFlags): Range {
  if (day !== undefined && (from !== undefined || to !== undefined)) {
    throw new UsageError("--day stands for --from and --to on one day: give the one or the others.");
  }
  return { from: from ?? day, to: to ?? day };
}

function serviceOf(
  name: (typeof SERVICES)[number],
  flags: IngestFlags,
  categories: readonly string[],
): IngestSource {
  const { from, to } = rangeOf(flags);
  switch (name) {
    case "arxiv-rss":
      if (from !== undefined || to !== undefined) {
        throw new UsageError(
          "arxiv-rss gives today's listing alone; for other days take arxiv-query or arxiv-oai.",
        );
      }
      return { kind: name, categories };
    case "arxiv-query":
      if (from === undefined)
        throw new UsageError("arxiv-query needs --day, or --from and --to: days of submission.");
      return { kind: name, categories, from, to: to ?? new Date().toISOString().slice(0, 10) };
    case "arxiv-oai":
      return { kind: name, set: flags.set, from, to };
    case "arxiv-fill":
      return { kind: name };
    case "hf-daily":
      return { kind: name, from, to };
  }
}

/** The sources that the arguments name: services, arXiv identifiers, files, folders, `-` for standard input. */
async function sourcesOf(
  names: readonly string[],
  flags: IngestFlags,
  categories: readonly string[],
): Promise<IngestSource[]> {
  const sources: IngestSource[] = [];
  const ids: string[] = [];
  const { format, day } = flags;
  for (const name of names) {
    const service = SERVICES.find((known) => known === name);
    if (service !== undefined) sources.push(serviceOf(service, flags, categories));
    else if (name === "-") sources.push({ kind: "stream", name: "-", stream: process.stdin, format, day });
    else {
      const found = await stat(name).catch(() => null);
      if (found?.isDirectory()) {
        sources.push(...(await filesOf(name)).map((file) => ({ ...file, format, day })));
      } else if (found !== null) sources.push({ kind: "file", path: name, format, day });
      else if (parseArxivId(name) !== null) ids.push(name);
      else {
        throw new UsageError(
          `There is no file or folder ${JSON.stringify(name)}, and it is neither an arXiv identifier nor one of ${SERVICES.join(", ")}.`,
        );
      }
    }
  }
  if (ids.length > 0) sources.push({ kind: "arxiv-ids", ids });
  return sources;
}

function nameOf(source: IngestSource): string {
  return source.kind === "file" ? source.path : source.kind === "stream" ? "standard input" : source.kind;
}

function exitCodeOf(reports: readonly IngestReport[]): ExitCode {
  const unread = reports.some(({ status }) => status === "failed" || status === "waiting");
  return unread ? ExitCode.failed : ExitCode.done;
}

/** Reads papers into the store, one source after another. A source that fails does not keep the next from being read. */
export async function ingestPapers(
  context: Pick<Context, "stdout" | "stderr" | "env" | "loadSettings" | "onStopRequest">,
  names: readonly string[],
  flags: IngestFlags,
  makeFetch: (contact: string | undefined) => SafeFetch = (contact) =>
    createSafeFetch({ contact, gate: fileGate(defaultGatePath(context.env)) }),
): Promise<ExitCode> {
  const { data, intake } = await context.loadSettings({
    file: flags.config ?? context.env.CONCORD_CONFIG,
    env: context.env,
    over: flags.data === undefined ? {} : { data: { folder: resolve(flags.data) } },
  });
  const sources = await sourcesOf(names, flags, flags.categories ?? intake.categories).catch(
    (error: unknown) => {
      throw error instanceof SourceError ? new UsageError(error.message, { cause: error }) : error;
    },
  );
  const path = resolve(flags.store ?? join(data.folder, STORE_FILE));
  const store = openSqliteStore(flags.dryRun && !existsSync(path) ? IN_MEMORY : path);
  // The file by which processes take turns is not made for those that ask no server.
  const online = sources.some(({ kind }) => kind !== "file" && kind !== "stream");
  const fetch = online ? makeFetch(flags.contact ?? intake.contact) : createSafeFetch();
  const stopping = new AbortController();
  const endWatch = context.onStopRequest(() => stopping.abort());
  const reports: IngestReport[] = [];
  try {
    for (const source of sources) {
      if (stopping.signal.aborted) break;
      const display = new StageDisplay(context);
      const stage = { stage: nameOf(source), done: null as number | null, total: null as number | null };
      // Servers keep one waiting, and so does politeness: what is being done shows meanwhile.
      const clock = setInterval(() => display.show(stage), SHOW_MS);
      try {
        const report = await ingest(source, store, {
          fetch,
          signal: stopping.signal,
          dryRun: flags.dryRun,
          onProgress: ({ items, expected }) => Object.assign(stage, { done: items, total: expected }),
        });
        reports.push(report);
      } catch (error) {
        if (error instanceof SourceError) throw new UsageError(error.message, { cause: error });
        throw error;
      } finally {
        clearInterval(clock);
        display.end();
      }
      if (!flags.json) {
        const style = {
          columns: columnsOf(context.stdout),
          colours: coloursFor(context.stdout, context.env),
        };
        const report = reports.at(-1) as IngestReport;
        context.stdout.write(
          `${renderIngest(nameOf(source), report, { ...style, dryRun: flags.dryRun === true })}\n`,
        );
      }
    }
  } finally {
    endWatch();
    await fetch.close();
    await store.close();
  }
  if (flags.json)
    context.stdout.write(`${JSON.stringify({ store: path, dryRun: flags.dryRun === true, reports })}\n`);
  return stopping.signal.aborted ? ExitCode.cancelled : exitCodeOf(reports);
}
