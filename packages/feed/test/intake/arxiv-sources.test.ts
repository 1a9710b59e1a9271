import { describe, expect, it } from "vitest";
import type { IngestSource } from "../../src/intake/index.ts";
import { body, drip, type Reply, redirect, reset, truncated } from "../net/replay-server.ts";
import * as fixtures from "./fixtures.ts";
import { ATOM, counts, listing, RSS, replayedSources } from "./support.ts";

const OAI = { type: "text/xml;charset=utf-8" };
const sources = replayedSources();
const { read, query, snapshot } = sources;

describe("a daily listing", () => {
  it("comes in once, and says so the second time", async () => {
    sources.server.on("/rss/cs.LG", (response, request) => {
      if (request.headers["if-none-match"] === '"1"') response.writeHead(304).end();
      else body(fixtures.rss, { ...RSS, headers: { etag: '"1"' } })(response, request);
    });
    const first = await read(listing);
    expect(first).toMatchObject({ status: "done", error: null, source: "arxiv-rss:cs.LG" });
    expect(counts(first)).toEqual([3, 0, 0, 2]);
    expect(first.rejections.map(({ id, position }) => id ?? position)).toEqual([
      "2605.00003",
      expect.stringMatching(/^item 5/),
    ]);
    expect((await sources.store.intake.rejections()).items).toHaveLength(2);
    const before = await snapshot();
    const second = await read(listing);
    expect(second.status).toBe("unchanged");
    expect(counts(second)).toEqual([0, 0, 0, 0]);
    expect(await snapshot()).toEqual(before);
  });

  it("is the same without validators", async () => {
    sources.server.on("/rss/cs.LG", body(fixtures.rss, RSS));
    await read(listing);
    expect(counts(await read(listing))).toEqual([0, 0, 3, 2]);
  });

  it("brings new versions of papers that are known, which stay where they were", async () => {
    sources.server.on("/api/query", body(fixtures.atomNew, ATOM)).on("/rss/cs.LG", body(fixtures.rss, RSS));
    await read({ kind: "arxiv-ids", ids: ["2405.01234"] });
    expect(counts(await read(listing))).toEqual([2, 1, 0, 2]);
    const paper = await sources.store.papers.get("2405.01234");
    expect(paper).toMatchObject({ version: 3, published: "2024-05-02", announced: null, day: "2024-05-02" });
    expect(paper?.versions.map(({ version }) => version)).toEqual([1, 2, 3]);
    expect(paper?.abstract).toBe("The third version.");
    // The older version, read again, takes nothing back.
    await read({ kind: "arxiv-ids", ids: ["2405.01234"] });
    expect(await sources.store.papers.get("2405.01234")).toMatchObject({
      version: 3,
      abstract: "The third version.",
    });
  });

  it("says that weekends have none", async () => {
    sources.server.on("/rss/cs.LG", body(fixtures.rssWeekend, RSS));
    const report = await read(listing);
    expect(report).toMatchObject({ status: "done", inserted: 0 });
    expect(report.notes.join()).toContain("nothing was announced");
  });

  it("forgets a rejection when the record came in after all", async () => {
    sources.server.on(
      "/rss/cs.LG",
      body(fixtures.rss, RSS),
      body(fixtures.rss.replaceAll("moved", "new"), RSS),
    );
    await read(listing);
    expect((await sources.store.intake.rejections()).items.map(({ ref }) => ref)).toContain("2605.00003");
    await read(listing);
    expect((await sources.store.intake.rejections()).items.map(({ ref }) => ref)).not.toContain("2605.00003");
  });

  it.each([
    ["truncated", truncated(fixtures.rss, 900, RSS), /connection|length/],
    ["cut off by the server", body(fixtures.rss.slice(0, 2000), RSS), /line \d+: the document ends inside/],
    ["another format", body("<html></html>", RSS), /expected RSS or Atom, got <html>/],
    [
      "another type",
      body("<html></html>", { type: "text/html" }),
      /expected application\/rss\+xml .* got text\/html/,
    ],
    ["a reset", reset, /connection broke/],
    ["503", body("", { status: 503 }), /status 503/],
    ["404", body("", { status: 404 }), /status 404/],
    ["a loop", redirect("/rss/cs.LG"), /at most 5 redirects/],
    ["a way inside", redirect("http://169.254.169.254/latest/"), /not an address of the public Internet/],
    ["a bomb", body(Buffer.alloc(20 * 2 ** 20, "<"), { ...RSS, gzip: true }), /at most 15728640 bytes/],
    ["entities", body(`<!DOCTYPE a [<!ENTITY b "c">]>${fixtures.rss}`, RSS), /declarations are not accepted/],
  ] as const)(
    "that is %s fails with its reason, and comes in when it is whole again",
    async (_, reply: Reply, reason) => {
      sources.server.on("/rss/cs.LG", reply);
      const report = await read(listing);
      expect(report.status).toBe("failed");
      expect(report.error).toMatch(reason);
      expect(report.error).toContain("rss.arxiv.org");
      expect((await sources.store.intake.state("arxiv-rss:cs.LG")).lastError).toBe(report.error);
      expect(await sources.store.papers.count()).toBe(0);
      const times = sources.server.requests.map(({ at }) => at);
      for (let i = 1; i < times.length; i++)
        expect((times[i] ?? 0) - (times[i - 1] ?? 0)).toBeGreaterThanOrEqual(3000);
      sources.server.on("/rss/cs.LG", body(fixtures.rss, { ...RSS, gzip: true }));
      expect(await read(listing)).toMatchObject({ status: "done", inserted: 3 });
      expect((await sources.store.intake.state("arxiv-rss:cs.LG")).lastError).toBeNull();
    },
  );

  it("that drips is given up at the deadline", async () => {
    const stop = new AbortController();
    sources.server.on("/rss/cs.LG", drip(fixtures.rss, 20, RSS));
    setTimeout(() => stop.abort(), 150);
    expect(await read(listing, { signal: stop.signal })).toMatchObject({ status: "stopped" });
  });

  it("is not asked for while the server wants its rest", async () => {
    sources.server.on("/rss/cs.LG", body("", { status: 429, headers: { "retry-after": "7200" } }));
    const refused = await read(listing);
    expect(refused).toMatchObject({ status: "failed", notBefore: sources.clock.now() + 7_200_000 });
    expect(await read(listing)).toMatchObject({ status: "waiting", notBefore: refused.notBefore });
    expect(sources.server.requests).toHaveLength(1);
    sources.server.on("/rss/cs.LG", body(fixtures.rss, RSS));
    await sources.clock.sleep(7_200_000);
    expect(await read(listing)).toMatchObject({ status: "done", inserted: 3 });
  });

  it("can be looked at without changing anything", async () => {
    sources.server.on("/rss/cs.LG", body(fixtures.rss, { ...RSS, headers: { etag: '"1"' } }));
    const report = await read(listing, { dryRun: true });
    expect(counts(report)).toEqual([3, 0, 0, 2]);
    expect(await sources.store.papers.count()).toBe(0);
    expect(await sources.store.intake.states()).toEqual([]);
    expect((await sources.store.intake.rejections()).items).toEqual([]);
  });

  it.each([[["cs.LG; rm"]], [[]], [["../rss"]]])("refuses the categories %j", async (categories) => {
    await expect(read({ kind: "arxiv-rss", categories })).rejects.toThrow("categories");
  });
});

describe("queries", () => {
  const days: IngestSource = {
    kind: "arxiv-query",
    categories: ["cs.LG", "math"],
    from: "2024-05-01",
    to: "2024-05-31",
  };
  const ids = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => `2405.${String(from + index).padStart(5, "0")}`);

  it("are read page by page, and an empty page is asked for again", async () => {
    sources.server.on(
      "/api/query",
      body(fixtures.atomPage(ids(0, 200), 250), ATOM),
      body(fixtures.atomPage([], 250), ATOM),
      body(fixtures.atomPage([], 250), ATOM),
      body(fixtures.atomPage(ids(200, 50), 250), ATOM),
    );
    const report = await read(days);
    expect(report).toMatchObject({ status: "done", inserted: 250, answers: 4 });
    expect(query(0).get("search_query")).toBe(
      "(cat:cs.LG OR cat:math.*) AND submittedDate:[202405010000 TO 202405312359]",
    );
    expect([0, 1, 2, 3].map((index) => query(index).get("start"))).toEqual(["0", "200", "200", "200"]);
    expect(query(0).get("max_results")).toBe("200");
  });

  it("go on at the page where they failed", async () => {
    const pages = (response: Parameters<Reply>[0], request: Parameters<Reply>[1]) => {
      const start = Number(new URL(request.url, "http://x").searchParams.get("start"));
      return body(fixtures.atomPage(ids(start, Math.min(200, 450 - start)), 450), ATOM)(response, request);
    };
    sources.server.on(
      "/api/query",
      pages,
      body(fixtures.atomPage([], 450), ATOM),
      body(fixtures.atomPage([], 450), ATOM),
      body(fixtures.atomPage([], 450), ATOM),
      pages,
    );
    const broken = await read(days);
    expect(broken).toMatchObject({ status: "failed", inserted: 200 });
    expect(broken.error).toContain("without entries, at 200 of 450");
    const rest = await read(days);
    expect(rest).toMatchObject({ status: "done", inserted: 250, unchanged: 0 });
    expect(counts(await read(days))).toEqual([0, 0, 450, 0]);
  });

  it("for more papers than arXiv gives are halved by days", async () => {
    sources.server.on("/api/query", (response, request) => {
      const [, from = "", to = ""] =
        /\[(\d{8})\d{4} TO (\d{8})\d{4}\]/.exec(
          query(sources.server.requests.length - 1).get("search_query") ?? "",
        ) ?? [];
      const length = Number(to) - Number(from) + 1;
      return body(fixtures.atomPage(ids(Number(from) % 100, 1), length > 10 ? 10_001 : 1), ATOM)(
        response,
        request,
      );
    });
    const report = await read(days);
    expect(report).toMatchObject({ status: "done" });
    const windows = sources.server.requests.map(
      (_, index) => /\[.*\]/.exec(query(index).get("search_query") ?? "")?.[0],
    );
    expect(windows).toContain("[202405010000 TO 202405082359]");
    expect(report.inserted).toBe(4);
  });

  it("that arXiv does not understand end with its message", async () => {
    sources.server.on("/api/query", body(fixtures.atomError, { ...ATOM, status: 400 }));
    expect(await read(days)).toMatchObject({
      status: "failed",
      error: "arXiv says: incorrect id format for abc",
    });
    sources.server.on("/api/query", body(fixtures.atomError, ATOM));
    expect(await read(days)).toMatchObject({
      status: "failed",
      error: "arXiv says: incorrect id format for abc",
    });
    expect(sources.server.requests).toHaveLength(2);
  });

  it("by id name those that arXiv does not know", async () => {
    sources.server.on("/api/query", body(fixtures.atomNew, ATOM));
    const report = await read({ kind: "arxiv-ids", ids: ["2405.01234v1", "arXiv:2405.09999"] });
    expect(counts(report)).toEqual([1, 0, 0, 1]);
    expect(report.rejections[0]).toMatchObject({ id: "2405.09999", reason: "id: arXiv knows no such paper" });
    expect(query(0).get("id_list")).toBe("2405.01234,2405.09999");
  });

  it("fill what papers of the store lack, once", async () => {
    sources.server.on("/rss/cs.LG", body(fixtures.rss, RSS));
    await read(listing);
    sources.server.on("/api/query", body(fixtures.atomNew.replace("v2</id>", "v3</id>"), ATOM));
    const report = await read({ kind: "arxiv-fill" });
    expect(query(1).get("id_list")?.split(",").sort()).toEqual(["2405.01234", "2605.00001", "2605.00002"]);
    expect(counts(report)).toEqual([0, 1, 0, 2]);
    expect((await sources.store.papers.get("2405.01234"))?.published).toBe("2024-05-02");
    expect(await read({ kind: "arxiv-fill" })).toMatchObject({ status: "done", items: 0, answers: 0 });
  });
});

describe("a harvest", () => {
  const harvest: IngestSource = { kind: "arxiv-oai", set: "cs", from: "2026-05-10" };

  it("follows resumption tokens, and starts the next time at the day of this one", async () => {
    sources.server.on(
      "/oai",
      body(
        fixtures.oaiPage([fixtures.oaiRecord("2605.00001"), fixtures.oaiRecord("2605.00002")], "t|1"),
        OAI,
      ),
      body(fixtures.oaiPage([fixtures.oaiRecord("2605.00003")], ""), OAI),
      body(fixtures.oaiError("noRecordsMatch"), OAI),
    );
    expect(counts(await read(harvest))).toEqual([3, 0, 0, 0]);
    expect(Object.fromEntries(query(0))).toEqual({
      verb: "ListRecords",
      metadataPrefix: "arXivRaw",
      from: "2026-05-10",
      set: "cs",
    });
    expect(Object.fromEntries(query(1))).toEqual({ verb: "ListRecords", resumptionToken: "t|1" });
    expect(await read({ kind: "arxiv-oai", set: "cs" })).toMatchObject({ status: "done", items: 0 });
    expect(query(2).get("from")).toBe("2026-05-14");
  });

  it("goes on with its token after a failure, and from the start when that has expired", async () => {
    const broken = body(fixtures.oaiPage([], "x").slice(0, 300), OAI);
    sources.server.on(
      "/oai",
      body(fixtures.oaiPage([fixtures.oaiRecord("2605.00001")], "t|1"), OAI),
      broken,
      broken,
      broken,
      body(fixtures.oaiError("badResumptionToken"), OAI),
      body(fixtures.oaiPage([fixtures.oaiRecord("2605.00001")], "t|2"), OAI),
      body(fixtures.oaiPage([fixtures.oaiRecord("2605.00002")]), OAI),
    );
    expect(await read(harvest)).toMatchObject({ status: "failed", inserted: 1 });
    const rest = await read({ kind: "arxiv-oai", set: "cs" });
    expect(counts(rest)).toEqual([1, 0, 1, 0]);
    expect(rest.notes.join()).toContain("starts again from 2026-05-10");
    expect(query(4).get("resumptionToken")).toBe("t|1");
    expect(query(5).get("from")).toBe("2026-05-10");
  });

  it("of past days leaves the harvest of the latest changes where it was", async () => {
    sources.server.on("/oai", body(fixtures.oaiPage([fixtures.oaiRecord("2605.00001")]), OAI));
    await read(harvest);
    await read({ ...harvest, from: "2026-01-01", to: "2026-01-31" });
    await read({ kind: "arxiv-oai", set: "cs" });
    expect([1, 2].map((index) => [query(index).get("from"), query(index).get("until")])).toEqual([
      ["2026-01-01", "2026-01-31"],
      ["2026-05-14", null],
    ]);
    await expect(read({ kind: "arxiv-oai", set: "cs", to: "2026-01-31" })).rejects.toThrow("first day");
    await expect(read({ ...harvest, to: "2026-01-31" })).rejects.toThrow("Expected a range of days");
  });

  it("marks papers that are gone as withdrawn", async () => {
    sources.server.on(
      "/oai",
      body(fixtures.oaiPage([fixtures.oaiRecords.raw]), OAI),
      body(
        fixtures.oaiPage([
          fixtures.oaiRecords.deleted,
          fixtures.oaiRecords.deleted.replaceAll("01234", "07777"),
        ]),
        OAI,
      ),
    );
    await read(harvest);
    expect(await read(harvest)).toMatchObject({ status: "done", deleted: 1 });
    expect(await sources.store.papers.get("2405.01234")).toMatchObject({
      withdrawn: true,
      published: "2024-05-02",
    });
    expect(await sources.store.papers.get("2405.07777")).toBeNull();
    expect(await read(harvest)).toMatchObject({ deleted: 0 });
  });

  it("takes changes in their order, also within one batch", async () => {
    const { raw, deleted } = fixtures.oaiRecords;
    sources.server.on("/oai", body(fixtures.oaiPage([raw, deleted]), OAI));
    expect(await read(harvest)).toMatchObject({ inserted: 1, deleted: 1 });
    expect((await sources.store.papers.get("2405.01234"))?.withdrawn).toBe(true);
  });

  it("ends when a token leads to itself, and with errors of the protocol", async () => {
    sources.server.on("/oai", body(fixtures.oaiPage([fixtures.oaiRecord("2605.00001")], "t|1"), OAI));
    expect((await read(harvest)).error).toContain("leads in a circle");
    sources.server.on(
      "/oai",
      ...["a", "b", "c", "a", "b", "c", "a"].map((token) => body(fixtures.oaiPage([], token), OAI)),
    );
    const circle = await read({ kind: "arxiv-oai", set: "math", from: "2026-05-10" });
    expect(circle).toMatchObject({ status: "failed", answers: 4 });
    expect(circle.error).toContain("leads in a circle (a)");
    sources.server.on("/oai", body(fixtures.oaiError("badArgument", "no such set"), OAI));
    expect((await read({ kind: "arxiv-oai", set: "nothing" })).error).toBe(
      "arXiv says: badArgument, no such set",
    );
  });
});
