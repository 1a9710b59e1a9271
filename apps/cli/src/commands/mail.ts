import { open, readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { BounceOutcome } from "@concord/feed/digest";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Context, coloursFor } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { addStoreOptions, type StoreFlags, storePath } from "./store-file.ts";

const DEFAULT_PORT = 4125;
const MOST_FILES = 100_000;

interface MailFlags extends StoreFlags {
  readonly dev?: boolean;
  readonly port?: number;
  readonly folder?: string;
}

function parsePort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new InvalidArgumentError("Expected a port from 0 (any free one) to 65535.");
  return Number(text);
}

/** Shows the messages that a site without mail server keeps, until somebody asks it to stop. */
async function viewMail(context: Context, flags: MailFlags): Promise<ExitCode> {
  const { startMailViewer } = await import("../mail-viewer/server.ts");
  const folder =
    flags.folder === undefined
      ? join(resolve(await storePath(context, flags)), "..", "outbox")
      : resolve(flags.folder);
  let stop = () => {};
  const stopped = new Promise<void>((done) => {
    stop = done;
  });
  const end = context.onStopRequest(stop);
  try {
    const viewer = await startMailViewer(folder, flags.port ?? DEFAULT_PORT);
    const colours = coloursFor(context.stdout, context.env);
    context.stdout.write(
      `Messages are shown at ${colours.bold(colours.cyan(viewer.url))}, to this machine alone\nThey are read from ${folder}\nCtrl-C stops it.\n`,
    );
    await stopped;
    await viewer.close();
  } finally {
    end();
  }
  return ExitCode.done;
}

/** The files of the arguments: files themselves, and what lies in folders, such as `new/` of a Maildir. */
async function* filesIn(paths: readonly string[]): AsyncGenerator<string> {
  let count = 0;
  for (const path of paths) {
    const found = await stat(path).catch(() => null);
    if (found === null) throw new UsageError(`There is no file or folder '${path}'.`);
    const names = found.isDirectory()
      ? (await readdir(path, { withFileTypes: true }))
          .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
          .map(({ name }) => join(path, name))
          .sort()
      : [path];
    for (const name of names) {
      if (++count > MOST_FILES) throw new UsageError(`Expected at most ${MOST_FILES} files in one call.`);
      yield name;
    }
  }
}

async function readLimited(path: string, most: number): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size > most) throw new Error(`expected at most ${most} bytes, found ${size}`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

async function standardInput(context: Context, most: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of context.stdin ?? []) {
    size += chunk.byteLength;
    if (size > most) throw new Error(`expected at most ${most} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const words: Readonly<Record<Exclude<BounceOutcome["outcome"], "noted">, string>> = {
  "no-report": "no report of a bounce or complaint",
  "unknown-reader": "about nobody who is subscribed here",
  unproven: "holds no message of ours, so it proves nothing; --trust takes it by the address that it names",
};

/** Reads reports of bounces and complaints, and acts on them. */
async function noteBounces(
  context: Context,
  paths: readonly string[],
  flags: StoreFlags & { readonly trust?: boolean; readonly json?: boolean },
): Promise<ExitCode> {
  const [{ openSqliteStore }, { MAX_REPORT, noteBounce }] = await Promise.all([
    import("@concord/feed"),
    import("@concord/feed/digest"),
  ]);
  const store = openSqliteStore(await storePath(context, flags));
  const { stdout, stderr } = context;
  let failed = false;
  const counts = new Map<string, number>();
  const note = async (name: string, read: () => Promise<Uint8Array>) => {
    try {
      const result = await noteBounce(store, await read(), { trust: flags.trust === true });
      counts.set(result.outcome, (counts.get(result.outcome) ?? 0) + 1);
      if (flags.json) stdout.write(`${JSON.stringify({ file: name, ...result })}\n`);
      else if (result.outcome === "noted")
        stdout.write(
          `${name}: ${result.kind === "complaint" ? "complaint" : `${result.kind} bounce`}; the reader is ${result.state}\n`,
        );
      else stdout.write(`${name}: ${words[result.outcome]}\n`);
    } catch (error) {
      failed = true;
      stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  };
  try {
    if (paths.length === 1 && paths[0] === "-")
      await note("standard input", () => standardInput(context, MAX_REPORT));
    else for await (const path of filesIn(paths)) await note(path, () => readLimited(path, MAX_REPORT));
  } finally {
    await store.close();
  }
  if (!flags.json) stdout.write(`${counts.get("noted") ?? 0} noted.\n`);
  return failed ? ExitCode.failed : ExitCode.done;
}

/** Erases an address: also one to which nothing is sent any more, so that its owner can subscribe again. */
async function forget(context: Context, address: string, flags: StoreFlags): Promise<ExitCode> {
  const { openSqliteStore } = await import("@concord/feed");
  const store = openSqliteStore(await storePath(context, flags));
  try {
    const reader = await store.subscriptions.byEmail(address);
    if (!reader) throw new UsageError(`Nobody with the address '${address}' is subscribed here.`);
    await store.subscriptions.remove(reader.id);
    context.stdout.write(`${reader.email} (${reader.state}) is erased.\n`);
  } finally {
    await store.close();
  }
  return ExitCode.done;
}

/** Adds `concord mail` to the command line. */
export function addMail(program: Command, context: Context, settle: (code: ExitCode) => void): void {
  const mail = program
    .command("mail")
    .summary("look at kept messages, take in bounces")
    .description(
      "Shows the messages that a site without mail server keeps, in the browser; `mail bounces` reads what came back.",
    );
  addStoreOptions(mail)
    .option("--dev", "show the kept messages in the browser")
    .addOption(
      new Option(
        "--port <port>",
        `port of the viewer, 0 for any free one (default: ${DEFAULT_PORT})`,
      ).argParser(parsePort),
    )
    .option("--folder <dir>", "folder of the messages (default: outbox in the data folder)")
    .addHelpText(
      "after",
      `\nExamples:\n  ${context.name} mail --dev                      http://127.0.0.1:${DEFAULT_PORT}\n  ${context.name} mail bounces ~/Maildir/new      what came back\n  ${context.name} mail bounces - < report.eml     from a mail filter`,
    )
    .action(async (flags: MailFlags) => {
      if (!flags.dev)
        throw new UsageError("Say what to do: --dev shows messages, `mail bounces FILE` takes in reports.");
      settle(await viewMail(context, flags));
    });
  addStoreOptions(
    mail
      .command("forget")
      .summary("erase a reader of the digest")
      .description(
        "Erases an address with everything about it. Lifts a block after bounces or complaints, too: its owner can subscribe again.",
      )
      .argument("<address>", "e-mail address"),
  ).action(async (address: string, _flags: object, command: Command) => {
    settle(await forget(context, address, command.optsWithGlobals()));
  });
  addStoreOptions(
    mail
      .command("bounces")
      .summary("take in reports of bounces and complaints")
      .description(
        "Reads delivery status notifications (RFC 3464) and complaints (RFC 5965) from files, folders or standard input. A hard bounce or a complaint ends the digest for that address at once, the third soft one within 14 days pauses it. A report must hold the headers of our message: else anybody could end anybody's digest.",
      )
      .argument("<files...>", "messages, folders of messages, or - for standard input"),
  )
    .option("--trust", "take reports without our headers by the address that they name")
    .option("--json", "one line of JSON for each message")
    .action(async (files: string[], _flags: object, command: Command) => {
      // Options of the same name may stand before or behind `bounces`.
      settle(await noteBounces(context, files, command.optsWithGlobals()));
    });
}
