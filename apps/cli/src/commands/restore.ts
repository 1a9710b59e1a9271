import { open } from "node:fs/promises";
import { loadStore, restoreStore } from "@concord/feed";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { addStoreOptions, explained, progressLine, type StoreFlags, storePath } from "./store-file.ts";

const SQLITE_HEADER = "SQLite format 3\0";

/** Whether a file is a backup (SQLite) rather than an export (JSON lines). */
async function isBackup(path: string): Promise<boolean> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") throw new UsageError(`There is no file ${path}.`, { cause: error });
    throw error;
  });
  try {
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(SQLITE_HEADER.length),
      0,
      SQLITE_HEADER.length,
      0,
    );
    return buffer.toString("latin1", 0, bytesRead) === SQLITE_HEADER;
  } finally {
    await file.close();
  }
}

/** Makes a store of a backup or an export, where there is none. */
async function restore(context: Context, file: string, flags: StoreFlags): Promise<ExitCode> {
  const target = await storePath(context, flags);
  if (await isBackup(file)) {
    const { papers, accounts, readers, createdAt } = await explained(restoreStore(file, target));
    context.stdout.write(
      `${target} is the store of ${createdAt}: ${papers} papers, ${accounts} accounts, ${readers} readers.\n`,
    );
  } else {
    const line = progressLine(context, (rows) => `Reading: ${rows} lines`);
    const rows = await explained(
      loadStore(file, target, { onProgress: (done) => line.update(done) }),
    ).finally(() => line.end());
    context.stdout.write(
      `${target}: ${rows.papers ?? 0} papers, ${rows.accounts ?? 0} accounts, ${rows.readers ?? 0} readers.\n`,
    );
  }
  return ExitCode.done;
}

export function addRestore(program: Command, context: Context, settle: (code: ExitCode) => void): void {
  addStoreOptions(
    program
      .command("restore")
      .summary("make the store of a backup or an export")
      .description(
        "Checks a backup (its manifest FILE.json lies beside it) or an export of the whole store, and makes the store of it. A store that is there is never overwritten: move it away first, or name another place.",
      )
      .argument("<file>", "what `backup` or `export` wrote"),
  )
    .addHelpText("after", `\nExamples:\n  ${context.name} restore backups/FILE.db --data elsewhere`)
    .action(async (file: string, flags: StoreFlags) => settle(await restore(context, file, flags)));
}
