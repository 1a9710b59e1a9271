import { existsSync } from "node:fs";
import { openSqliteStore } from "@concord/feed";
import { recoveryLink } from "@concord/feed/people";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { addStoreOptions, explained, type StoreFlags, storePath } from "./store-file.ts";

interface ResetFlags extends StoreFlags {
  readonly url?: string;
}

/** Prints a link with which somebody chooses a new password: for owners who locked themselves out, and without mail. */
async function resetPassword(context: Context, who: string, flags: ResetFlags): Promise<ExitCode> {
  const path = await storePath(context, flags);
  if (!existsSync(path)) throw new UsageError(`There is no store ${path}.`);
  const { server } = await context.loadSettings({
    file: flags.config ?? context.env.CONCORD_CONFIG,
    env: context.env,
  });
  const publicUrl = flags.url ?? server.publicUrl ?? `http://${server.host}:${server.port}`;
  if (!/^https?:$/.test(URL.parse(publicUrl)?.protocol ?? ""))
    throw new UsageError(`--url: expected an address such as https://papers.example.org, got ${publicUrl}.`);
  const store = openSqliteStore(path);
  try {
    const { link, account } = await explained(recoveryLink(store, who, { publicUrl }));
    context.stdout.write(`${link}\n`);
    context.stderr.write(
      `Whoever opens this within 15 minutes chooses a new password for ${account.name}. It works once.\n`,
    );
  } finally {
    await store.close();
  }
  return ExitCode.done;
}

export function addResetPassword(program: Command, context: Context, settle: (code: ExitCode) => void): void {
  addStoreOptions(
    program
      .command("reset-password")
      .summary("print a link with which somebody chooses a new password")
      .description(
        "Prints a link to a page of the site where the holder of the account chooses a new password; no mail is needed. The site may be running.",
      )
      .argument("<who>", "name or e-mail address of the account"),
  )
    .option(
      "--url <address>",
      "where the site is reached (default: the settings' public URL, else its address)",
    )
    .action(async (who: string, flags: ResetFlags) => settle(await resetPassword(context, who, flags)));
}
