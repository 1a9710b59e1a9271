import { backupStore, verifyBackup } from "@concord/feed";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import { ExitCode } from "../errors.ts";
import {
  addStoreOptions,
  explained,
  progressLine,
  type StoreFlags,
  sizeText,
  storePath,
} from "./store-file.ts";

interface BackupFlags extends StoreFlags {
  readonly verify?: boolean;
  readonly json?: boolean;
}

/** Copies the store while it is in use, or checks a copy. */
async function backup(context: Context, target: string, flags: BackupFlags): Promise<ExitCode> {
  const { stdout } = context;
  if (flags.verify) {
    const manifest = await explained(verifyBackup(target));
    stdout.write(
      flags.json
        ? `${JSON.stringify({ path: target, ...manifest })}\n`
        : `${target} is whole: ${manifest.papers} papers, ${manifest.accounts} accounts, ${manifest.readers} readers, made ${manifest.createdAt}.\n`,
    );
    return ExitCode.done;
  }
  const source = await storePath(context, flags);
  const line = progressLine(
    context,
    (done, total) => `Copying: ${Math.floor((100 * done) / Math.max(1, total))} %`,
  );
  const { path, manifest } = await explained(
    backupStore(source, target, { onProgress: (done, total) => line.update(done, total) }),
  ).finally(() => line.end());
  stdout.write(
    flags.json
      ? `${JSON.stringify({ path, ...manifest })}\n`
      : `${path}: ${sizeText(manifest.bytes)}, ${manifest.papers} papers, ${manifest.accounts} accounts, ${manifest.readers} readers. Checked.\n${path}.json holds its checksum; keep both together.\n`,
  );
  return ExitCode.done;
}

export function addBackup(program: Command, context: Context, settle: (code: ExitCode) => void): void {
  addStoreOptions(
    program
      .command("backup")
      .summary("copy the store while it is in use")
      .description(
        "Writes a copy of the store, as it is at one moment, with a checksum beside it, and checks the copy. The site may go on meanwhile. Nothing is overwritten.",
      )
      .argument("<target>", "a folder, which gets concord-TIME.db, or the file to write"),
  )
    .option("--verify", "check the backup TARGET instead: checksum, SQLite's own check, counts")
    .option("--json", "the manifest as JSON")
    .addHelpText(
      "after",
      `\nExamples:\n  ${context.name} backup backups/                  a new file in the folder\n  ${context.name} backup --verify backups/FILE.db  is it still whole?`,
    )
    .action(async (target: string, flags: BackupFlags) => settle(await backup(context, target, flags)));
}
