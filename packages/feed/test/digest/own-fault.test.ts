import { afterEach, beforeEach, expect, it } from "vitest";
import { failureOf } from "../../src/digest/answers.ts";
import { DigestPublisher, DigestSender, ReaderLinks } from "../../src/digest/index.ts";
import { IN_MEMORY, openSqliteStore, type Store } from "../../src/index.ts";
import { MailError, smtpMailer } from "../../src/mail/index.ts";
import { SmtpSink } from "./sink.ts";
import { confirmed, papersOf, SITE, TIMES } from "./support.ts";

const HOUR = 3_600_000;
let clock = Date.UTC(2026, 10, 20, 8);
let store: Store;
let sink: SmtpSink;
let url = "";

beforeEach(async () => {
  clock = Date.UTC(2026, 10, 20, 8);
  store = openSqliteStore(IN_MEMORY, { clock: () => clock });
  sink = new SmtpSink();
  url = await sink.listen();
});
afterEach(async () => {
  await sink.close();
  await store.close();
});

async function send(troubles: string[] = []) {
  const mailer = smtpMailer({ url, from: "Daily Papers <papers@example.org>", connections: 4 });
  const links = await ReaderLinks.of(store, () => SITE);
  const sender = new DigestSender({
    ...{ store, mailer, links, clock: () => clock, perMinute: 1e9 },
    onTrouble: (what) => troubles.push(what),
  });
  const tally = await sender.drain();
  await mailer.close();
  return tally;
}

async function issueFor(readers: number): Promise<string> {
  await store.papers.upsert(papersOf("2026-11-20", 3));
  const names = Array.from({ length: readers }, (_, index) => `reader-${index}`);
  await confirmed(store, names, { domain: (index) => `d${index % 7}.example.org` });
  const publisher = new DigestPublisher({ store, times: TIMES, host: () => "h.example", clock: () => clock });
  return (await publisher.publishDue())[0]?.issueId ?? "";
}

it.each(["550 no such user here", "550 5.1.1 unknown", "554 5.7.1 blocked", "550 relay not permitted"])(
  "a server that refuses everybody (%s) costs hardly anybody the digest, and none of them all others",
  async (answer) => {
    const issue = await issueFor(60);
    sink.script = () => answer;
    const troubles: string[] = [];
    await send(troubles);
    expect((await store.subscriptions.counts()).confirmed).toBeGreaterThanOrEqual(55);
    expect(troubles.filter((what) => what.includes("one message after another"))).toHaveLength(1);
    expect(await store.outbox.progress(issue)).toMatchObject({ failed: 5, queued: 55 });
    clock += HOUR;
    await send();
    // Mended: whoever was not given up gets the digest.
    sink.script = () => null;
    clock += 2 * HOUR;
    await send();
    clock += 6 * HOUR;
    await send();
    const { sent = 0, failed = 0, queued = 0 } = await store.outbox.progress(issue);
    expect({ sent, failed, queued }).toEqual({ sent: 50, failed: 10, queued: 0 });
  },
);

it("addresses that are really gone are given up, some at a time", async () => {
  await issueFor(30);
  sink.script = (email) => (Number(/\d+/.exec(email)?.[0]) % 3 === 0 ? "550 5.1.1 gone" : null);
  await send();
  for (const _ of [1, 2]) {
    clock += 5 * HOUR;
    await send();
  }
  expect(await store.subscriptions.counts()).toMatchObject({ suppressed: 10, confirmed: 20 });
});

it.each([
  ["RCPT TO", "550 no such user", "hard"],
  ["RCPT TO", "550 5.1.1 no such user", "hard"],
  ["RCPT TO", "550 5.7.1 relaying denied", "refused"],
  ["RCPT TO", "550 relay not permitted", "refused"],
  ["RCPT TO", "554 <a@b.example>: Relay access denied", "refused"],
  ["RCPT TO", "450 4.2.1 busy", "later"],
  ["DATA", "554 looks like spam", "refused"],
  ["DATA", "550 5.1.1 no such user", "hard"],
  ["MAIL FROM", "550 sender rejected", "server"],
])("%s answered with %j is %s", (command, response, failure) => {
  const cause = Object.assign(new Error(response), { command, response });
  const error = new MailError(response, Number(response.slice(0, 3)), { cause });
  expect(failureOf(error).failure).toBe(failure);
});
