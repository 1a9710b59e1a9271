import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fileMailer, MailError, type Mailer, type MailMessage, smtpMailer } from "../../src/mail/index.ts";
import { PostOffice } from "../../src/people/index.ts";
import { messages } from "../../src/people/messages.ts";
import { SmtpSink } from "../digest/sink.ts";

const message: MailMessage = { to: "ada@example.org", subject: "Grüße", text: "Hello\n.\nend" };

describe("mail", () => {
  let folder: string;
  let sink: SmtpSink;
  let smtp: Mailer;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "concord-mail-"));
    sink = new SmtpSink();
    smtp = smtpMailer({ url: await sink.listen(), from: "Papers <papers@example.org>" });
  });
  afterEach(async () => {
    await smtp.close();
    await sink.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("goes to a server, with its headers and a lone dot intact", async () => {
    const receipt = await smtp.send({ ...message, headers: { "List-Id": "<papers.example.org>" } });
    expect(receipt.response).toMatch(/^250/);
    const raw = sink.caught[0]!.raw.toString();
    expect(sink.caught[0]!.to).toBe("ada@example.org");
    expect(raw).toMatch(/^List-ID: <papers\.example\.org>\r$/im);
    expect(raw).toContain("From: Papers <papers@example.org>\r\n");
    expect(raw).toMatch(/Subject: =\?UTF-8\?/);
    expect(raw).toContain("\r\n.\r\nend");
    expect(raw).toContain(`Message-ID: ${receipt.messageId}`);
  });

  it.each([
    ["421 4.3.2 later", 421, true],
    ["450 4.2.1 busy", 450, true],
    ["550 5.1.1 gone", 550, false],
  ])("says what a server that answers %s means", async (answer, code, temporary) => {
    sink.script = () => answer;
    const error = await smtp.send(message).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(MailError);
    expect(error).toMatchObject({ code, temporary });
  });

  it("says so when there is no server", async () => {
    const nowhere = smtpMailer({ url: "smtp://127.0.0.1:1", from: "papers@example.org" });
    await expect(nowhere.send(message)).rejects.toMatchObject({ code: null, temporary: true });
    await nowhere.close();
  });

  it("is kept in files that only their owner reads, the newest ones", async () => {
    const outbox = join(folder, "outbox");
    let now = Date.UTC(2026, 10, 20);
    const mailer = fileMailer({ folder: outbox, from: "papers@example.org", most: 3, clock: () => now });
    for (let at = 0; at < 5; at++) {
      now += 1000;
      await mailer.send({ ...message, subject: `Number ${at}` });
    }
    const files = (await readdir(outbox)).sort();
    expect(files).toHaveLength(3);
    expect(files[0]).toMatch(/^20261120T000003-000Z-[0-9a-f]{6}\.eml$/);
    const text = await readFile(join(outbox, files[2]!), "utf8");
    expect(text).toContain("Subject: Number 4\r\n");
    expect(text).toContain("To: ada@example.org\r\n");
    expect((await stat(outbox)).mode & 0o077).toBe(0);
    expect((await stat(join(outbox, files[2]!))).mode & 0o077).toBe(0);
  });

  it.each<[string, Partial<MailMessage>]>([
    ["a line break in the recipient", { to: "ada@example.org\r\nBcc: eve@example.org" }],
    ["two recipients", { to: "ada@example.org, eve@example.org" }],
    ["a name around the address", { to: "Ada <ada@example.org>" }],
    ["a group", { to: "a:ada@example.org;" }],
    ["a line break in the subject", { subject: "Hello\r\nBcc: eve@example.org" }],
    ["a line break in a header", { headers: { "X-A": "b\r\nBcc: eve@example.org" } }],
    ["a header with a colon", { headers: { "X-A: b\r\nBcc": "eve@example.org" } }],
    ["a message id that is none", { messageId: "<a@b>\r\nBcc: eve@example.org" }],
  ])("with %s is sent by no mailer", async (_, fields) => {
    const files = fileMailer({ folder: join(folder, "outbox"), from: "papers@example.org" });
    for (const mailer of [smtp, files])
      await expect(mailer.send({ ...message, ...fields })).rejects.toBeInstanceOf(MailError);
    expect(sink.caught).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("messages about accounts", () => {
  it("have lines so short that links stay whole in kept files", async () => {
    const folder = await mkdtemp(join(tmpdir(), "concord-mail-"));
    const mailer = fileMailer({ folder, from: "papers@example.org" });
    const site = "https://papers.example.org";
    const link = `${site}/link/${"x".repeat(43)}`;
    for (const make of [messages.signIn, messages.signUp, messages.reset, messages.verify]) {
      const { response } = await mailer.send(make("ada@example.org", link, site));
      const text = await readFile(join(folder, response), "utf8");
      expect(text).toContain(`\r\n${link}\r\n`);
      for (const line of text.split("\r\n")) expect(line.length).toBeLessThanOrEqual(78);
    }
    await rm(folder, { recursive: true });
  });
});

describe("the post office", () => {
  function office(send: (attempt: number) => void) {
    const failures: unknown[] = [];
    let attempts = 0;
    const mailer: Mailer = {
      delivers: true,
      async send() {
        send(++attempts);
        return { messageId: "<a@b>", response: "250" };
      },
      async close() {},
    };
    return {
      office: new PostOffice(mailer, (error) => failures.push(error)),
      failures,
      attempts: () => attempts,
    };
  }

  it("tries again what may pass, and not what will not", async () => {
    vi.useFakeTimers();
    try {
      const passing = office((attempt) => {
        if (attempt < 3) throw new MailError("busy", 450);
      });
      passing.office.post(message);
      await vi.advanceTimersByTimeAsync(60_000);
      expect([passing.attempts(), passing.failures.length]).toEqual([3, 0]);
      const refused = office(() => {
        throw new MailError("gone", 550);
      });
      refused.office.post(message);
      await vi.advanceTimersByTimeAsync(600_000);
      expect([refused.attempts(), refused.failures.length]).toEqual([1, 1]);
      const stubborn = office(() => {
        throw new MailError("busy", 450);
      });
      stubborn.office.post(message);
      await vi.advanceTimersByTimeAsync(600_000);
      expect([stubborn.attempts(), stubborn.failures.length]).toEqual([4, 1]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("does not hold up the end of the server, and takes only so much", async () => {
    const slow = office(() => {
      throw new MailError("busy", 450);
    });
    for (let at = 0; at < 600; at++) slow.office.post(message);
    expect(slow.failures).toHaveLength(100);
    await slow.office.close();
    expect(slow.failures).toHaveLength(600);
  });
});
