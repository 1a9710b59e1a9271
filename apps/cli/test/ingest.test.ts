import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { openSqliteStore } from "@concord/feed";
import { createSafeFetch } from "@concord/feed/net";
import { loadSettings } from "@concord/site/settings";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dump, rss, textList } from "../../../packages/feed/test/intake/fixtures.ts";
import { body, JumpingClock, ReplayServer } from "../../../packages/feed/test/net/replay-server.ts";
import { type IngestFlags, ingestPapers } from "../src/commands/ingest.ts";
import { toyCommand } from "./toy-context.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-ingest-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

class Capture extends Writable {
  text = "";
  override _write(chunk: unknown, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

/** Runs the command with servers that stand on this machine. */
async function ingestFrom(server: ReplayServer, names: readonly string[], flags: IngestFlags, stop = false) {
  const stdout = new Capture();
  const stderr = new Capture();
  const origins = ["export.arxiv.org", "rss.arxiv.org", "oaipmh.arxiv.org", "huggingface.co"];
  const contacts: (string | undefined)[] = [];
  const code = await ingestPapers(
    {
      stdout,
      stderr,
      env: { CONCORD_CONTACT: "papers@example.org" },
      loadSettings,
      onStopRequest(handler) {
        if (stop) handler();
        return () => {};
      },
    },
    names,
    { data: folder, ...flags },
    (contact) => {
      contacts.push(contact);
      const reroute = Object.fromEntries(origins.map((host) => [`https://${host}`, server.origin]));
      return createSafeFetch({ contact, clock: new JumpingClock(), reroute });
    },
  );
  return { code, stdout: stdout.text, stderr: stderr.text, contacts };
}

describe("concord ingest of files", () => {
  const command = () => toyCommand({ env: { CONCORD_DATA: folder } });

  it("says what came in, what was refused and why, and the second time that nothing did", async () => {
    const path = join(folder, "papers.jsonl");
    await writeFile(path, dump);
    const first = await command().run("ingest", path);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toContain("4 new, 4 rejected.");
    expect(first.stdout).toContain('line 5, hello: id: expected an arXiv identifier (got "hello")');
    expect(first.stdout).toContain("line 7: expected JSON");
    const second = await command().run("ingest", path);
    expect(second.stdout).toContain("4 unchanged, 4 rejected.");
    const store = openSqliteStore(join(folder, "concord.sqlite"));
    expect(await store.papers.count()).toBe(4);
    await store.close();
  });

  it("takes folders, formats and the day of a page, and writes JSON", async () => {
    await writeFile(join(folder, "page.txt"), textList);
    await writeFile(join(folder, "papers.jsonl"), dump);
    const other = join(folder, "other.sqlite");
    const { code, stdout } = await command().run(
      "ingest",
      folder,
      "--day",
      "2024-12-10",
      "--store",
      other,
      "--json",
    );
    expect(code).toBe(0);
    const { store, reports } = JSON.parse(stdout) as {
      store: string;
      reports: { source: string; inserted: number; notes: string[] }[];
    };
    expect(store).toBe(other);
    expect(reports.map(({ source, inserted }) => [source, inserted])).toEqual([
      [`file:${join(folder, "page.txt")}`, 4],
      [`file:${join(folder, "papers.jsonl")}`, 3],
    ]);
    expect(reports[0]?.notes).toEqual([]);
  });

  it("may only say what would happen", async () => {
    const path = join(folder, "papers.jsonl");
    await writeFile(path, dump);
    const { stdout } = await command().run("ingest", path, "--dry-run");
    expect(stdout).toContain("nothing written");
    expect(stdout).toContain("4 new");
    const { stdout: then } = await command().run("ingest", path);
    expect(then).toContain("4 new");
  });

  it("fails with code 1 when a file cannot be read, and reads the others", async () => {
    await writeFile(join(folder, "bad.json"), "[{");
    await writeFile(join(folder, "good.jsonl"), dump);
    const { code, stdout } = await command().run(
      "ingest",
      join(folder, "bad.json"),
      join(folder, "good.jsonl"),
    );
    expect(code).toBe(1);
    expect(stdout).toContain("the JSON text ends inside element 1");
    expect(stdout).toContain("4 new");
  });

  it.each([
    [["nowhere.json"], "There is no file or folder"],
    [["arxiv-rss", "--day", "2026-05-14"], "arxiv-rss gives today's listing alone"],
    [["arxiv-query"], "arxiv-query needs --day"],
    [["arxiv-query", "--from", "2026-05-14", "--to", "2026-05-01"], "Expected a range of days"],
    [["arxiv-query", "--from", "2026-02-30"], "Expected a day such as"],
    [["arxiv-query", "--day", "2026-05-14", "--from", "2026-05-14"], "--day stands for"],
    [["arxiv-rss", "--categories", "?"], "Expected arXiv categories"],
    [["arxiv-oai", "--set", "../x"], "Expected a set"],
    [["x", "--format", "pdf"], "Allowed choices"],
    [[], "missing required argument"],
  ])("refuses %j with code 2", async (args, message) => {
    const { code, stderr } = await command().run("ingest", ...args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});

describe("concord ingest of services", () => {
  it("reads today's listing, with the settings' categories and contact", async () => {
    await using server = await ReplayServer.start();
    server.on("/rss/cs.CL+cs.CV+cs.LG", body(rss, { type: "application/rss+xml" }));
    const { code, stdout, contacts } = await ingestFrom(server, ["arxiv-rss"], {});
    expect(stdout).toContain("3 new, 2 rejected.");
    expect([code, contacts]).toEqual([0, ["papers@example.org"]]);
    expect(server.requests[0]?.headers["user-agent"]).toContain("(+papers@example.org)");
  });

  it("says with code 1 why a service cannot be read, and until when it rests", async () => {
    await using server = await ReplayServer.start();
    server.on("/rss/cs.LG", body("", { status: 429, headers: { "retry-after": "86400" } }));
    const flags = { categories: ["cs.LG"] };
    const { code, stdout } = await ingestFrom(server, ["arxiv-rss"], flags);
    expect(code).toBe(1);
    expect(stdout).toContain("answered with status 429, asked to wait 86400 seconds");
    const again = await ingestFrom(server, ["arxiv-rss"], flags);
    expect(again.code).toBe(1);
    expect(again.stdout).toContain("asked not to be called before");
    expect(server.requests).toHaveLength(1);
  });

  it("asks each service for what the flags say", async () => {
    await using server = await ReplayServer.start();
    await ingestFrom(server, ["arxiv-query", "arxiv-oai", "hf-daily", "2504.12717v1"], {
      from: "2026-05-01",
      to: "2026-05-02",
      set: "cs",
      categories: ["cs.LG"],
    });
    const asked = server.requests.map(({ url }) => decodeURIComponent(url.replaceAll("+", " ")));
    expect(asked.find((url) => url.includes("search_query"))).toContain(
      "submittedDate:[202605010000 TO 202605022359]",
    );
    expect(asked.find((url) => url.startsWith("/oai"))).toContain("from=2026-05-01&set=cs&until=2026-05-02");
    expect(asked.find((url) => url.startsWith("/api/daily_papers"))).toContain("date=2026-05-01");
    expect(asked.find((url) => url.includes("id_list"))).toContain("id_list=2504.12717");
  });

  it("ends with code 130 when it is stopped", async () => {
    await using server = await ReplayServer.start();
    const { code } = await ingestFrom(server, ["hf-daily"], {}, true);
    expect(code).toBe(130);
    expect(server.requests).toEqual([]);
  });
});
