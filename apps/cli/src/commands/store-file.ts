import { join, resolve } from "node:path";
import type { StoreError } from "@concord/feed";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";

/** Name of the store in the data folder; the site's own. */
const STORE_FILE = "concord.sqlite";

/** Where a command finds the store. */
export interface StoreFlags {
  readonly store?: string;
  readonly data?: string;
  readonly config?: string;
}

/** Options that say where the store is: the same for every command that needs one. */
export function addStoreOptions(command: Command): Command {
  return command
    .option("--store <file>", "the store (default: concord.sqlite in the data folder)")
    .option("--data <dir>", "data folder (default: $CONCORD_DATA, else ./concord-data)")
    .option("--config <file>", "settings of the site (default: $CONCORD_CONFIG)");
}

export async function storePath(context: Context, flags: StoreFlags): Promise<string> {
  if (flags.store !== undefined) return resolve(flags.store);
  const { data } = await context.loadSettings({
    file: flags.config ?? context.env.CONCORD_CONFIG,
    env: context.env,
    over: flags.data === undefined ? {} : { data: { folder: resolve(flags.data) } },
  });
  return resolve(join(data.folder, STORE_FILE));
}

/** Errors of the store that the person at the command line can do something about, as such. */
export async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && error.name === "StoreError") {
      const { code, message } = error as StoreError;
      if (code === "not-found" || code === "conflict" || code === "invalid")
        throw new UsageError(message, { cause: error });
    }
    throw error;
  }
}

/** "3.2 MB" */
export function sizeText(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** A line on a terminal that is written over and over; nothing elsewhere. */
export function progressLine(context: Context, text: (done: number, total: number) => string) {
  const { stderr } = context;
  let shown = 0;
  return {
    update(done: number, total = 0): void {
      if (!stderr.isTTY || Date.now() - shown < 100) return;
      shown = Date.now();
      stderr.write(`\r\u001b[K${text(done, total)}`);
    },
    end(): void {
      if (shown > 0) stderr.write("\r\u001b[K");
    },
  };
}
