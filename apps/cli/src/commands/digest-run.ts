import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { openSqliteStore, readSpan, type Store } from "@concord/feed";
import {
  DigestPublisher,
  DigestSender,
  type DigestTimes,
  digestMessage,
  latestSlot,
  previewIssue,
  ReaderLinks,
  type Slot,
  slotOf,
} from "@concord/feed/digest";
import { digestMailer, digestTimes, type SiteSettings, sendingOf } from "@concord/site";
import type { Context } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { progressLine, type StoreFlags, storePath } from "./store-file.ts";

export interface DigestFlags extends StoreFlags {
  readonly preview?: boolean;
  readonly html?: boolean;
  readonly send?: boolean;
  readonly period?: string;
  readonly weekly?: boolean;
  readonly topics?: string;
  readonly status?: boolean;
  readonly pause?: boolean;
  readonly resume?: boolean;
  readonly json?: boolean;
}

const SHOWN_ISSUES = 14;

/** What was built, newest first, and what became of its messages. */
async function status(context: Context, store: Store, flags: DigestFlags): Promise<ExitCode> {
  const { items } = await store.outbox.issues({ limit: SHOWN_ISSUES });
  const readers = await store.subscriptions.counts();
  const issues = await Promise.all(
    items.map(async ({ id, kind, period, state, builtAt }) => ({
      ...{ kind, period, state, builtAt: new Date(builtAt).toISOString() },
      ...(await store.outbox.progress(id)),
    })),
  );
  if (flags.json) {
    context.stdout.write(`${JSON.stringify({ readers, issues })}\n`);
    return ExitCode.done;
  }
  const named = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${count.toLocaleString("en-GB")} ${name}`)
      .join(", ") || "none";
  context.stdout.write(`Readers: ${named(readers)}\n`);
  for (const { kind, period, state, builtAt, ...progress } of issues)
    context.stdout.write(
      `${kind} ${period}, built ${builtAt.slice(0, 16).replace("T", " ")} UTC${state === "open" ? "" : `, ${state}`}: ${named(progress)}\n`,
    );
  return ExitCode.done;
}

/** Stops the sending of a built digest, or lets it go on. */
async function hold(
  context: Context,
  store: Store,
  flags: DigestFlags,
  times: DigestTimes,
): Promise<ExitCode> {
  const slot = flags.period === undefined ? null : askedSlot(flags, times, Date.now());
  const { items } = await store.outbox.issues({ limit: 50 });
  const issue = items.find(
    ({ kind, period }) => slot === null || (kind === slot.kind && period === slot.period),
  );
  if (!issue) throw new UsageError("There is no such digest; `digest --status` lists what was built.");
  await store.outbox.pause(issue.id, flags.pause === true);
  context.stdout.write(
    `The ${issue.kind} digest of ${issue.period} ${flags.pause ? "is paused: what is not under way yet waits" : "goes on"}.\n`,
  );
  return ExitCode.done;
}

/** The slot that the flags name; that of a week is the day on which its digest is due. */
function askedSlot({ period, weekly }: DigestFlags, times: DigestTimes, now: number): Slot {
  const kind = weekly || period?.includes("W") ? "weekly" : "daily";
  if (period === undefined) return latestSlot(kind, times, now);
  if (kind === "daily") return slotOf("daily", period, times);
  const end = Date.parse(`${readSpan("week", period)?.to ?? period}T00:00:00Z`) + 86_400_000;
  // The last one that is due before the week is over.
  return latestSlot("weekly", times, end - 1);
}

async function preview(
  context: Context,
  store: Store,
  flags: DigestFlags,
  settings: SiteSettings,
  url: string,
): Promise<ExitCode> {
  const times = digestTimes(settings.digest);
  const slot = askedSlot(flags, times, Date.now());
  const { content, frozen } = await previewIssue(store, slot.kind, slot.day, { times });
  const topics = (flags.topics ?? "")
    .split(",")
    .map((topic) => topic.trim())
    .filter(Boolean);
  const links = await ReaderLinks.of(store, () => url);
  const message =
    content &&
    digestMessage(content, { email: "reader@example.org", topics, savedSearches: [] }, links, {
      papers: settings.digest.papers,
    });
  if (flags.json) {
    context.stdout.write(
      `${JSON.stringify({ kind: slot.kind, period: slot.period, frozen, content, message })}\n`,
    );
    return ExitCode.done;
  }
  if (!message) {
    const whose = topics.length === 0 ? "" : ` for ${topics.join(", ")}`;
    context.stdout.write(
      `The ${slot.kind} digest of ${slot.period} has no papers${whose}: nothing is sent.\n`,
    );
    return ExitCode.done;
  }
  if (flags.html) {
    context.stdout.write(message.html ?? "");
    return ExitCode.done;
  }
  const state = frozen ? "as it was built" : "as it would be built now";
  context.stdout.write(
    `The ${slot.kind} digest of ${slot.period}, ${state}.\nSubject: ${message.subject}\n\n${message.text}`,
  );
  return ExitCode.done;
}

async function send(
  context: Context,
  store: Store,
  flags: DigestFlags,
  settings: SiteSettings,
  url: string,
): Promise<ExitCode> {
  if (settings.mail.smtpUrl !== undefined && settings.server.publicUrl === undefined)
    throw new UsageError("Links in messages need the site's address: set CONCORD_PUBLIC_URL.");
  const { stdout, stderr } = context;
  const times = digestTimes(settings.digest);
  const links = await ReaderLinks.of(store, () => url);
  const publisher = new DigestPublisher({ store, times, host: () => links.host });
  const named = flags.period !== undefined || flags.weekly === true;
  const issue = named ? await publisher.publish(askedSlot(flags, times, Date.now())) : null;
  const published = named ? (issue ? [issue] : []) : await publisher.publishDue();
  const waiting = published.reduce((sum, { readers }) => sum + readers, 0);
  const mailer = digestMailer(settings);
  const line = progressLine(context, (done) => `Sending: ${done} of about ${waiting}`);
  const sender = new DigestSender({
    ...sendingOf(settings),
    ...{ store, mailer, links },
    onTrouble: (what, details) => stderr.write(`${what}: ${JSON.stringify(details)}\n`),
  });
  const end = context.onStopRequest(() => {
    stderr.write("Stopping when what is under way is settled.\n");
    void sender.stop();
  });
  const shown = setInterval(() => line.update(sender.tally.sent), 200);
  try {
    const tally = await sender.drain();
    if (flags.json) stdout.write(`${JSON.stringify({ published, ...tally })}\n`);
    else {
      for (const { kind, period, papers, readers } of published)
        stdout.write(`Built the ${kind} digest of ${period}: ${papers} papers, ${readers} readers.\n`);
      if (published.length === 0) stdout.write("Nothing new is due.\n");
      stdout.write(
        `Sent ${tally.sent}, to be tried again ${tally.later}, refused ${tally.failed}, skipped ${tally.skipped}.\n`,
      );
    }
    if (sender.isStuck) {
      stderr.write(
        "The mail server takes no mail: what is queued waits for the next call, or for the site.\n",
      );
      return ExitCode.failed;
    }
  } finally {
    clearInterval(shown);
    line.end();
    end();
    await mailer.close();
  }
  return ExitCode.done;
}

/** Shows a digest, or builds and sends what is due. */
export async function runDigest(context: Context, flags: DigestFlags): Promise<ExitCode> {
  if (flags.send && (flags.html || flags.topics !== undefined))
    throw new UsageError("--html and --topics show a digest; --send sends to everybody what they asked for.");
  if ([flags.send, flags.preview, flags.status, flags.pause, flags.resume].filter(Boolean).length > 1)
    throw new UsageError("Give one of --preview, --send, --status, --pause and --resume.");
  const file = await storePath(context, flags);
  if (!existsSync(file))
    throw new UsageError(`There is no store at ${file}; \`${context.name} ingest\` makes one.`);
  const settings = await context.loadSettings({
    file: flags.config ?? context.env.CONCORD_CONFIG,
    env: context.env,
    over: { data: { folder: flags.data === undefined ? dirname(file) : resolve(flags.data) } },
  });
  const url =
    settings.server.publicUrl?.replace(/\/+$/, "") ??
    `http://${settings.server.host}:${settings.server.port}`;
  const store = openSqliteStore(file);
  try {
    if (flags.status) return await status(context, store, flags);
    if (flags.pause || flags.resume) return await hold(context, store, flags, digestTimes(settings.digest));
    return await (flags.send ? send : preview)(context, store, flags, settings, url);
  } finally {
    await store.close();
  }
}
