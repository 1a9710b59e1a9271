import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore, paperRecord } from "@concord/feed";
import { ReaderLinks } from "@concord/feed/digest";
import { secretHash } from "@concord/feed/people";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type MailViewer, startMailViewer } from "../src/mail-viewer/server.ts";
import { toyCommand } from "./toy-context.ts";

const folder = mkdtempSync(join(tmpdir(), "concord-digest-commands-"));
const outbox = join(folder, "outbox");
const DAY = "2026-11-20";
const { run } = toyCommand();
const at = ["--data", folder] as const;
let token = "";

beforeAll(async () => {
  const store = openSqliteStore(join(folder, "concord.sqlite"));
  await store.papers.upsert([
    paperRecord.parse({
      ...{ id: "2511.00001", title: "Spaces <b>that</b> agree", abstract: "They do.", announced: DAY },
      ...{ categories: ["cs.LG"], sources: ["test"] },
    }),
  ]);
  const links = await ReaderLinks.of(store, () => "http://papers.test");
  for (const email of ["ada@example.org", "bo@example.org"]) {
    const consent = { form: "test", addressHash: null };
    await store.subscriptions.subscribe({
      email,
      cadence: "daily",
      consent,
      tokens: links.hashes(email, ""),
    });
    await store.subscriptions.confirm(secretHash(links.token("confirm", email)));
  }
  token = links.token("unsubscribe", "ada@example.org");
  await store.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("concord digest", () => {
  it("shows what it would say", async () => {
    const shown = await run("digest", "--period", DAY, ...at);
    expect(shown).toMatchObject({ code: 0, stderr: "" });
    expect(shown.stdout).toContain("as it would be built now");
    expect(shown.stdout).toContain("1. Spaces <b>that</b> agree");
    expect((await run("digest", "--period", DAY, "--html", ...at)).stdout).toContain(
      "Spaces &#60;b&#62;that",
    );
    expect((await run("digest", "--period", DAY, "--topics", "math", ...at)).stdout).toContain(
      "has no papers for math: nothing is sent",
    );
    expect((await run("digest", "--period", "2026-W47", ...at)).stdout).toContain("The week in papers");
    expect((await run("digest", "--period", "2020-01-01", ...at)).stdout).toContain("nothing is sent");
  });

  it("is sent once, and says how far it is", async () => {
    const sent = await run("digest", "--send", "--period", DAY, ...at);
    expect(sent.stdout).toBe(
      `Built the daily digest of ${DAY}: 1 papers, 2 readers.\nSent 2, to be tried again 0, refused 0, skipped 0.\n`,
    );
    expect(readdirSync(outbox)).toHaveLength(2);
    expect((await run("digest", "--send", "--period", DAY, ...at)).stdout).toContain(
      "Nothing new is due.\nSent 0",
    );
    expect((await run("digest", "--period", DAY, ...at)).stdout).toContain("as it was built");
    expect((await run("digest", "--status", ...at)).stdout).toMatch(
      /^Readers: 2 confirmed\ndaily 2026-11-20, built .* UTC: 2 sent\n$/,
    );
    expect((await run("digest", "--pause", ...at)).stdout).toContain("is paused");
    expect((await run("digest", "--status", "--json", ...at)).stdout).toContain('"state":"paused"');
    expect((await run("digest", "--resume", "--period", DAY, ...at)).stdout).toContain("goes on");
  });

  it.each([
    [["--period", "2026-13-01"], /Expected a day such as/],
    [["--send", "--html"], /--send sends to everybody/],
    [["--send", "--status"], /Give one of/],
    [["--pause", "--period", "2001-01-01"], /no such digest/],
  ])("names what is wrong with %j", async (args, message) => {
    const { code, stderr } = await run("digest", ...args, ...at);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});

describe("concord mail", () => {
  const report = (listed: string) =>
    `Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\nFinal-Recipient: rfc822; ada@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nTo: ada@example.org\r\n${listed}\r\n--b--\r\n`;

  it("takes in bounces from files and folders, names each, and forgets a reader", async () => {
    const box = mkdtempSync(join(folder, "box-"));
    writeFileSync(join(box, "1.eml"), report(`List-Unsubscribe: <http://papers.test/u/${token}>\r\n`));
    writeFileSync(join(box, "2.eml"), report(""));
    writeFileSync(join(box, "3.eml"), "Subject: Hello\r\n\r\nHi\r\n");
    const { code, stdout } = await run("mail", "bounces", box, ...at);
    expect(code).toBe(0);
    expect(stdout).toContain("1.eml: hard bounce; the reader is suppressed");
    expect(stdout).toContain("2.eml: holds no message of ours");
    expect(stdout).toContain("3.eml: no report");
    expect(stdout).toContain("1 noted.");
    expect((await run("digest", "--status", ...at)).stdout).toContain("1 confirmed, 1 suppressed");
    expect((await run("mail", "forget", "ADA@example.org", ...at)).stdout).toContain(
      "(suppressed) is erased",
    );
    expect((await run("mail", "forget", "ada@example.org", ...at)).code).toBe(2);
    expect((await run("mail", "bounces", join(box, "none"), ...at)).code).toBe(2);
    expect((await run("mail", ...at)).stderr).toContain("Say what to do");
  });

  describe("--dev", () => {
    let viewer: MailViewer;
    beforeAll(async () => {
      writeFileSync(
        join(outbox, "evil.eml"),
        "To: <script>@x\r\nSubject: <script>alert(1)</script>\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script><img src=http://tracker.example/x>",
      );
      writeFileSync(join(folder, "secret.eml"), "Subject: secret\r\n\r\nsecret");
      viewer = await startMailViewer(outbox, 0);
    });
    afterAll(() => viewer.close());

    const get = (path: string, headers: Readonly<Record<string, string>> = {}) =>
      new Promise<{ status: number; policy: string; text: string }>((resolve, reject) => {
        const sent = request(viewer.url, { path, headers }, (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.on("end", () =>
            resolve({
              status: answer.statusCode ?? 0,
              policy: String(answer.headers["content-security-policy"]),
              text: Buffer.concat(chunks).toString(),
            }),
          );
        });
        sent.once("error", reject);
        sent.end();
      });

    it("lists and shows messages as HTML in a sandbox, as text and raw", async () => {
      const list = await get("/");
      expect(list.text.match(/<li>/g)).toHaveLength(3);
      expect(list.text).not.toContain("<script");
      const name =
        readdirSync(outbox)
          .find((file) => file !== "evil.eml")
          ?.replace(".eml", "") ?? "";
      expect((await get(`/${name}`)).text).toContain(`src="/${name}/body" sandbox`);
      expect((await get(`/${name}?view=text`)).text).toContain("They do.");
      expect((await get(`/${name}?view=raw`)).text).toContain(
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
      );
      const body = await get("/evil/body");
      expect(body.policy).toMatch(/^sandbox; default-src 'none'/);
      expect(body.policy).not.toContain("script-src");
      expect((await get("/evil")).text).not.toContain("<script");
    });

    it("shows nothing outside of its folder, and nothing to other names", async () => {
      for (const path of ["/../secret", "/..%2fsecret", "/secret", "/%2e%2e/secret", "/evil.eml"])
        expect((await get(path)).status, path).toBe(404);
      expect((await get("/", { host: "evil.example" })).status).toBe(421);
    });
  });
});
