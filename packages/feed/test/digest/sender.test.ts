import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import PostalMime from "postal-mime";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  DigestPublisher,
  DigestSender,
  noteBounce,
  ReaderLinks,
  readBounce,
  type SenderOptions,
} from "../../src/digest/index.ts";
import { IN_MEMORY, openSqliteStore, type Store, StoreError } from "../../src/index.ts";
import { type Mailer, smtpMailer } from "../../src/mail/index.ts";
import { secretHash } from "../../src/people/index.ts";
import { sendWithKills } from "./crash.ts";
import { headerOf, SmtpSink } from "./sink.ts";
import { confirmed, papersOf, SITE, TIMES } from "./support.ts";

const HOUR = 3_600_000;
const NOON = Date.UTC(2026, 10, 20, 8);
const DAY = "2026-11-20";

let clock = NOON;
let store: Store;
let sink: SmtpSink;
let mailers: Mailer[] = [];
let url = "";

beforeEach(async () => {
  clock = NOON;
  store = openSqliteStore(IN_MEMORY, { clock: () => clock });
  sink = new SmtpSink();
  url = await sink.listen();
  mailers = [];
});
afterEach(async () => {
  for (const mailer of mailers) await mailer.close();
  await sink.close();
  await store.close();
});

async function senderOf(
  over: Partial<SenderOptions> & { url?: string; host?: string } = {},
): Promise<DigestSender> {
  const { host = SITE, url: to = url, ...options } = over;
  const mailer = smtpMailer({ url: to, from: "Daily Papers <papers@example.org>", connections: 4 });
  mailers.push(mailer);
  const links = await ReaderLinks.of(store, () => host);
  return new DigestSender({ store, mailer, links, clock: () => clock, perMinute: 1e9, ...options });
}

/** An open issue of three papers for these readers. @returns its id */
async function issueFor(names: readonly string[]): Promise<string> {
  await store.papers.upsert(papersOf(DAY, 3));
  await confirmed(store, names);
  const publisher = new DigestPublisher({
    store,
    times: TIMES,
    host: () => "papers.example.org",
    clock: () => clock,
  });
  const [published] = await publisher.publishDue();
  return published?.issueId ?? "";
}

const stateOf = async (name: string) => (await store.subscriptions.byEmail(`${name}@example.org`))?.state;

describe("what goes over the wire", () => {
  it("is what RFC 5322, 2045, 2919 and 8058 ask for", async () => {
    // A long name of the host: the header with the address would be folded otherwise.
    const host = "https://daily-papers.of-a-department-with-a-long-name.university.example.org";
    await issueFor(["ada"]);
    await (await senderOf({ host })).drain();
    const raw = sink.caught[0]?.raw ?? Buffer.alloc(0);
    const text = raw.toString("latin1");
    expect(/[^\r]\n|\r[^\n]/.test(text)).toBe(false);
    expect([...text].every((letter) => letter.charCodeAt(0) < 128)).toBe(true);
    const [head = "", ...body] = text.split("\r\n\r\n");
    for (const line of body.join("\r\n\r\n").split("\r\n")) expect(line.length).toBeLessThanOrEqual(76);
    for (const line of head.split("\r\n")) expect(line.length).toBeLessThanOrEqual(998);
    // In one line each, byte for byte: signers and receivers see the same.
    const links = await ReaderLinks.of(store, () => host);
    const lines = head.split("\r\n");
    expect(lines).toContain(`List-Unsubscribe: <${links.unsubscribe("ada@example.org")}>`);
    expect(lines).toContain("List-Unsubscribe-Post: List-Unsubscribe=One-Click");
    // Names of headers have no case (RFC 5322, 1.2.2); nodemailer writes this one so.
    expect(lines).toContain(`List-ID: Daily papers <daily-papers.${new URL(host).hostname}>`);
    expect(lines).toContain(`List-Help: <${host}/subscribe>`);
    expect(lines).toContain("Precedence: bulk");
    for (const name of ["List-Unsubscribe", "Message-ID", "From", "To", "Date", "Subject", "MIME-Version"])
      expect(head.match(new RegExp(`^${name}:`, "gim")), name).toHaveLength(1);
    expect(head).not.toMatch(/^(?:Feedback-ID|X-Mailer):/im);

    const mail = await PostalMime.parse(raw);
    expect(mail.subject).toMatch(/^Aligning ℝ² with naïve café models, part 2 and 2 more/);
    expect(mail.to?.[0]?.address).toBe("ada@example.org");
    expect(mail.text).toContain("naïve café");
    expect(mail.html).toContain("for α ≤ 2");
    expect(mail.messageId).toMatch(/^<[\w-]+\.[0-9a-f]{22}@papers\.example\.org>$/);
    expect(head).toContain("multipart/alternative");
    expect(text.indexOf("text/plain")).toBeLessThan(text.indexOf("text/html"));
  });
});

describe("sending", () => {
  it("reaches every reader once, and a second sender finds nothing to do", async () => {
    const issue = await issueFor(Array.from({ length: 40 }, (_, n) => `reader-${n}`));
    const senders = await Promise.all([senderOf(), senderOf()]);
    const tallies = await Promise.all(senders.map((sender) => sender.drain()));
    expect(tallies.reduce((sum, { sent }) => sum + sent, 0)).toBe(40);
    expect(new Set(sink.caught.map(({ to }) => to)).size).toBe(40);
    expect(sink.caught).toHaveLength(40);
    expect(await (await senderOf()).drain()).toMatchObject({ sent: 0 });
    expect(await store.outbox.progress(issue)).toMatchObject({ sent: 40, queued: 0 });
  });

  it("sends nothing to those who left, even after their row was leased", async () => {
    const issue = await issueFor(["ada", "bo", "cy"]);
    const links = await ReaderLinks.of(store, () => SITE);
    await store.subscriptions.unsubscribe(secretHash(links.token("unsubscribe", "ada@example.org")));
    // Bo leaves while the first message is under way and Bo's row is held.
    let left = false;
    sink.onMessage = async () => {
      if (left) return;
      left = true;
      const other = sink.caught[0]?.to === "bo@example.org" ? "cy" : "bo";
      await store.subscriptions.unsubscribe(secretHash(links.token("unsubscribe", `${other}@example.org`)));
    };
    const tally = await (await senderOf({ connections: 1 })).drain();
    expect(tally).toMatchObject({ sent: 1, skipped: 1 });
    expect(await store.outbox.progress(issue)).toMatchObject({ sent: 1, skipped: 2 });
  });

  it("stops while an issue is paused, and goes on afterwards", async () => {
    const issue = await issueFor(["ada", "bo"]);
    await store.outbox.pause(issue, true);
    expect(await (await senderOf()).drain()).toMatchObject({ sent: 0 });
    await store.outbox.pause(issue, false);
    expect(await (await senderOf()).drain()).toMatchObject({ sent: 2 });
    expect(sink.caught).toHaveLength(2);
  });

  it("tries 4xx four times more within a day, under the same Message-ID, then notes a soft bounce", async () => {
    const issue = await issueFor(["ada", "bo"]);
    sink.script = (email, attempt) =>
      email.startsWith("ada") ? "450 4.2.1 try later" : attempt === 1 ? "421 4.3.2 closing" : null;
    const begun = clock;
    const tallies = [];
    for (let hour = 0; hour <= 30; hour++) {
      tallies.push(await (await senderOf()).drain());
      clock += HOUR;
    }
    expect(tallies[0]).toMatchObject({ later: 2, sent: 0 });
    expect(sink.caught.map(({ to }) => to)).toEqual(["bo@example.org"]);
    expect(await store.outbox.progress(issue)).toMatchObject({ sent: 1, failed: 1 });
    const ada = await store.subscriptions.byEmail("ada@example.org");
    const [delivery] = (await store.outbox.ofReader(ada?.id ?? "")).items;
    expect(delivery).toMatchObject({ attempts: 5, lastCode: "450 4.2.1", state: "failed" });
    expect((delivery?.runAt ?? 0) - begun).toBeLessThanOrEqual(24 * HOUR);
    expect(await store.subscriptions.bounces(ada?.id ?? "")).toMatchObject([
      { kind: "soft", code: "450 4.2.1" },
    ]);
    expect(ada?.state).toBe("confirmed");
  });

  it("suppresses addresses that do not exist, but not for policy, nor all of them for our own fault", async () => {
    const issue = await issueFor(["gone", "strict", "fine"]);
    sink.script = (email) =>
      email.startsWith("gone")
        ? "550 5.1.1 no such user"
        : email.startsWith("strict")
          ? "554 5.7.1 spam"
          : null;
    expect(await (await senderOf()).drain()).toMatchObject({ sent: 1, failed: 2 });
    expect(await stateOf("gone")).toBe("suppressed");
    expect(await stateOf("strict")).toBe("confirmed");
    expect(await store.outbox.progress(issue)).toMatchObject({ sent: 1, failed: 2 });
  });

  it("keeps everything queued, attempts uncounted, while there is no mail server", async () => {
    const issue = await issueFor(["ada", "bo"]);
    const trouble: string[] = [];
    const down = await senderOf({ url: "smtp://127.0.0.1:1", onTrouble: (what) => trouble.push(what) });
    down.start();
    for (let waited = 0; trouble.length === 0 && waited < 5000; waited += 20)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await down.stop();
    expect(trouble[0]).toBe("the mail server does not take mail");
    expect(await store.outbox.progress(issue)).toMatchObject({ queued: 2, sending: 0 });
    expect(await (await senderOf()).drain()).toMatchObject({ sent: 2 });
    const ada = await store.subscriptions.byEmail("ada@example.org");
    expect((await store.outbox.ofReader(ada?.id ?? "")).items).toMatchObject([{ attempts: 1 }]);
  });

  it("does not queue what was taken, when that cannot be noted", async () => {
    const issue = await issueFor(["ada"]);
    let broken = true;
    const failing = new Proxy(store, {
      get(target, name) {
        if (name === "transaction" && broken)
          return () => Promise.reject(new StoreError("busy", "Another process writes."));
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    await (await senderOf({ store: failing })).drain();
    expect(sink.caught).toHaveLength(1);
    expect(await store.outbox.progress(issue)).toMatchObject({ sending: 1, queued: 0 });
    expect(await (await senderOf()).drain()).toMatchObject({ sent: 0 });
    broken = false;
    clock += HOUR;
    await (await senderOf({ store: failing })).drain();
    expect(await store.outbox.progress(issue)).toMatchObject({ sent: 1 });
    expect(sink.caught.map(({ raw }) => headerOf(raw, "Message-ID"))).toEqual(
      Array(2).fill(headerOf(sink.caught[0]?.raw ?? Buffer.alloc(0), "Message-ID")),
    );
  });

  it("gives up at a terminal when there is no mail server, and loses nothing", async () => {
    const issue = await issueFor(Array.from({ length: 40 }, (_, n) => `reader-${n}`));
    const sender = await senderOf({ url: "smtp://127.0.0.1:1", connections: 10 });
    await sender.drain();
    expect(sender.isStuck).toBe(true);
    expect(await store.outbox.progress(issue)).toMatchObject({ queued: 40, sending: 0 });
  });

  it.each([
    ["resend", { queued: 1, sending: 0 }],
    ["hold", { queued: 0, sending: 1 }],
  ] as const)(
    "does not know what a server took that hung up after the message: %s",
    async (unknown, progress) => {
      const issue = await issueFor(["ada"]);
      const sockets = new Set<Socket>();
      const server = createServer((socket) => {
        sockets.add(socket);
        socket.on("error", () => {});
        socket.write("220 test\r\n");
        let data = false;
        socket.on("data", (chunk) => {
          const text = chunk.toString("latin1");
          if (data && text.includes("\r\n.\r\n")) socket.destroy();
          else if (/^DATA/im.test(text)) {
            data = true;
            socket.write("354 go on\r\n");
          } else if (!data) socket.write("250 ok\r\n");
        });
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as { port: number };
      await (await senderOf({ url: `smtp://127.0.0.1:${port}`, unknown })).drain();
      expect(await store.outbox.progress(issue)).toMatchObject(progress);
      for (const socket of sockets) socket.destroy();
      server.close();
      clock += 20 * 60_000;
      await (await senderOf({ unknown })).drain();
      expect(await store.outbox.progress(issue)).toMatchObject(
        unknown === "resend" ? { sent: 1 } : { sent: 0, unknown: 1 },
      );
    },
  );

  it("finishes what is under way when it is stopped, and leaves the rest queued", async () => {
    const issue = await issueFor(Array.from({ length: 30 }, (_, n) => `reader-${n}`));
    const sender = await senderOf({ connections: 2 });
    const third = new Promise<void>((resolve) => {
      sink.onMessage = () => {
        if (sink.caught.length === 3) resolve();
      };
    });
    sender.start();
    await third;
    await sender.stop();
    const progress = await store.outbox.progress(issue);
    expect(progress.sending + progress.unknown).toBe(0);
    expect(progress.sent).toBe(sink.caught.length);
    expect(progress.queued).toBe(30 - sink.caught.length);
    expect(progress.sent).toBeLessThan(10);
  });

  it("is not confused by a clock that is put forward while messages are under way", async () => {
    const issue = await issueFor(Array.from({ length: 20 }, (_, n) => `reader-${n}`));
    sink.onMessage = () => {
      if (sink.caught.length === 5) clock += 10 * HOUR;
    };
    await (await senderOf()).drain();
    await (await senderOf()).drain();
    expect(sink.caught).toHaveLength(20);
    expect(await store.outbox.progress(issue)).toMatchObject({ sent: 20 });
  });
});

/** A report as mail servers send it, about a message of ours. */
function report(options: {
  readonly action?: string;
  readonly status?: string;
  readonly recipient?: string;
  readonly unsubscribe?: string | null;
  readonly feedback?: string;
}): Buffer {
  const {
    action = "failed",
    status = "5.1.1",
    recipient = "ada@example.org",
    unsubscribe = null,
    feedback,
  } = options;
  const kind = feedback === undefined ? "delivery-status" : "feedback-report";
  const fields =
    feedback === undefined
      ? `Reporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; ${recipient}\r\nAction: ${action}\r\nStatus: ${status}\r\nDiagnostic-Code: smtp; 550 no\r\n`
      : `Feedback-Type: ${feedback}\r\nUser-Agent: test/1\r\nVersion: 1\r\nOriginal-Rcpt-To: ${recipient}\r\n`;
  const listed = unsubscribe === null ? "" : `List-Unsubscribe:\r\n <${unsubscribe}>\r\n`;
  return Buffer.from(
    `From: mailer-daemon@mx.example.org\r\nTo: papers@example.org\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=${kind}; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/${kind}\r\n\r\n${fields}\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nTo: ${recipient}\r\n${listed}Subject: Papers\r\n\r\nText\r\n--b--\r\n`,
  );
}

describe("reports of bounces", () => {
  const unsubscribe = async (name: string) =>
    (await ReaderLinks.of(store, () => SITE)).unsubscribe(`${name}@example.org`);

  it("suppress by the token of our own message, whoever the report names", async () => {
    await confirmed(store, ["ada", "bo"]);
    const raw = report({ recipient: "moved@elsewhere.org", unsubscribe: await unsubscribe("ada") });
    expect(await readBounce(raw)).toMatchObject({
      kind: "hard",
      code: "5.1.1",
      recipient: "moved@elsewhere.org",
    });
    expect(await noteBounce(store, raw)).toEqual({ outcome: "noted", kind: "hard", state: "suppressed" });
    expect(await stateOf("ada")).toBe("suppressed");
    expect(await stateOf("bo")).toBe("confirmed");
  });

  it("suppress nobody without proof, unless they are trusted", async () => {
    await confirmed(store, ["ada"]);
    expect(await noteBounce(store, report({}))).toEqual({ outcome: "unproven" });
    const forged = report({ unsubscribe: `${SITE}/u/${"A".repeat(22)}` });
    expect(await noteBounce(store, forged, { trust: true })).toEqual({ outcome: "unknown-reader" });
    expect(await stateOf("ada")).toBe("confirmed");
    expect(await noteBounce(store, report({}), { trust: true })).toMatchObject({ state: "suppressed" });
  });

  it("pause after three soft ones, and heed no notice of delay", async () => {
    await confirmed(store, ["ada"]);
    const of = async (over: Parameters<typeof report>[0]) =>
      noteBounce(store, report({ unsubscribe: await unsubscribe("ada"), ...over }));
    expect(await of({ action: "delayed", status: "4.4.1" })).toEqual({ outcome: "no-report" });
    expect(await of({ status: "5.2.2" })).toMatchObject({ kind: "soft", state: "confirmed" });
    expect(await of({ status: "4.4.7" })).toMatchObject({ kind: "soft", state: "confirmed" });
    expect(await of({ status: "5.7.1" })).toMatchObject({ kind: "soft", state: "paused" });
  });

  it("suppress after a complaint", async () => {
    await confirmed(store, ["ada"]);
    const raw = report({ feedback: "abuse", unsubscribe: await unsubscribe("ada") });
    expect(await noteBounce(store, raw)).toEqual({
      outcome: "noted",
      kind: "complaint",
      state: "suppressed",
    });
    expect(await noteBounce(store, report({ feedback: "not-spam" }))).toEqual({ outcome: "no-report" });
  });

  it("are told from other mail, from damage and from what is too large", async () => {
    expect(await readBounce(Buffer.from("Subject: Hello\r\n\r\nAre you there?\r\n"))).toBeNull();
    expect(await readBounce(Buffer.alloc(0))).toBeNull();
    expect(
      await readBounce(Buffer.from(Array.from({ length: 5000 }, (_, n) => (n * 7919) % 256))),
    ).toBeNull();
    await expect(readBounce(Buffer.alloc(3 * 1024 * 1024, 65))).rejects.toThrow(/expected at most/);
  });
});

describe("a sender that is killed", () => {
  const folder = mkdtempSync(join(tmpdir(), "concord-digest-kill-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  // `crash-50.ts` kills 50 times in 2,000 messages.
  it("misses nobody and repeats at most what was under way", { timeout: 120_000 }, async () => {
    const connections = 4;
    const killed = await sendWithKills(join(folder, "digest.db"), {
      readers: 500,
      kills: 10,
      connections,
      seed: 3,
    });
    expect(killed).toMatchObject({ kills: 10, missed: 0, differing: 0 });
    expect(killed.duplicates).toBeLessThanOrEqual(killed.kills * connections);
    expect(killed.progress).toMatchObject({ sent: 500, queued: 0, sending: 0, unknown: 0 });
  });
});
