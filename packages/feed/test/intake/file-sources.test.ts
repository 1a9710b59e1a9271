import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { filesOf } from "../../src/intake/index.ts";
import { body } from "../net/replay-server.ts";
import * as fixtures from "./fixtures.ts";
import { ATOM, counts, replayedSources } from "./support.ts";

const sources = replayedSources();
const { read, snapshot } = sources;

describe("files", () => {
  it.each([
    ["papers.jsonl", fixtures.dump, [4, 0, 0, 4]],
    ["papers.jsonl.gz", fixtures.dumpGzip, [4, 0, 0, 4]],
    ["packed-by-content.jsonl", fixtures.dumpGzip, [4, 0, 0, 4]],
    ["list.json", fixtures.dumpArray, [4, 0, 0, 2]],
    ["one.json", JSON.stringify(fixtures.dumpLines[0], null, 2), [1, 0, 0, 0]],
    ["daily.json", fixtures.hfDaily.replace(',"no item"', ""), [1, 0, 0, 2]],
    ["answer.xml", `\ufeff${fixtures.atomOld}`, [2, 0, 0, 0]],
    ["listing.xml", fixtures.rss, [3, 0, 0, 2]],
    ["harvest.xml", fixtures.oaiPage([fixtures.oaiRecords.raw]), [1, 0, 0, 0]],
    ["page.txt", fixtures.textList, [4, 0, 0, 1]],
  ] as const)("%s is read, and a second time changes nothing", async (name, content, expected) => {
    const path = join(sources.folder, name);
    await writeFile(path, content);
    const first = await read({ kind: "file", path });
    expect(first).toMatchObject({ status: "done", error: null });
    expect(counts(first)).toEqual(expected);
    const before = await snapshot();
    const second = await read({ kind: "file", path });
    expect(counts(second)).toEqual([0, 0, expected[0], expected[3]]);
    expect(await snapshot()).toEqual(before);
  });

  it.each([
    ["empty.json", "", "empty"],
    ["binary.json", Buffer.from([1, 0, 2]), "binary"],
    ["latin.txt", Buffer.from("Gr\xf6\xdfe", "latin1"), "not UTF-8"],
    ["wide.jsonl", Buffer.from('\ufeff{"id":"2405.00001"}\n', "utf16le"), "not UTF-8"],
    ["latin.xml", Buffer.from("<feed>Gr\xf6\xdfe</feed>", "latin1"), "not UTF-8"],
    ["half.jsonl.gz", fixtures.dumpGzip.subarray(0, 200), "gzip data end"],
    ["half.json", fixtures.dumpArray.slice(0, -20), "ends inside element"],
    ["page.html", "<!doctype html><html></html>", "expected Atom, RSS or OAI-PMH"],
    ["poem.txt", "Roses are red", "expected titles"],
  ])("%s is refused with its reason", async (name, content, reason) => {
    const path = join(sources.folder, name);
    await writeFile(path, content);
    const report = await read({ kind: "file", path });
    expect(report.status).toBe("failed");
    expect(report.error).toContain(reason);
  });

  it.each(["jsonl", "json"])(
    "of %s lose one record by one bad byte, and none by U+FFFD itself",
    async (form) => {
      const records = Array.from({ length: 300 }, (_, index) =>
        JSON.stringify({
          id: `2405.${String(index).padStart(5, "0")}`,
          title: `Gr\u00f6\u00dfe ${index}${index === 7 ? " \ufffd" : ""}`,
          // Characters of several bytes lie across the borders of pieces.
          abstract: index === 9 ? "\u4e2d\u6587\ufffd".repeat(90_000) : "\u4e2d\u6587\u00e9".repeat(90),
        }),
      );
      const text = form === "jsonl" ? records.join("\n") : `[${records.join(",\n")}]`;
      const path = join(sources.folder, `bytes.${form}`);
      const bytes = Buffer.from(text);
      await writeFile(path, bytes);
      const whole = await read({ kind: "file", path });
      expect(counts(whole)).toEqual([299, 0, 0, 1]);
      expect(whole.rejections[0]?.reason).toContain("abstract");
      bytes[bytes.indexOf("e 200")] = 0xe9;
      await writeFile(path, bytes);
      const damaged = await read({ kind: "file", path });
      expect(counts(damaged)).toEqual([0, 0, 298, 2]);
      expect(damaged.rejections.at(-1)).toMatchObject({
        id: "2405.00200",
        reason: expect.stringContaining("not UTF-8"),
      });
    },
  );

  it("that are not there are named", async () => {
    const report = await read({ kind: "file", path: join(sources.folder, "nowhere.jsonl") });
    expect(report).toMatchObject({ status: "failed", error: expect.stringContaining("nowhere.jsonl") });
  });

  it("of a folder are those that may hold papers", async () => {
    await expect(filesOf(sources.folder)).rejects.toThrow("holds no file");
    for (const name of ["b.jsonl.gz", "a.txt", "c.pdf", "d.XML"])
      await writeFile(join(sources.folder, name), "x");
    expect((await filesOf(sources.folder)).map(({ path }) => path)).toEqual(
      ["a.txt", "b.jsonl.gz", "d.XML"].map((name) => join(sources.folder, name)),
    );
  });

  it("may come from a stream", async () => {
    const stream = Readable.from([fixtures.dumpGzip.subarray(0, 1), fixtures.dumpGzip.subarray(1)]);
    expect(counts(await read({ kind: "stream", name: "-", stream }))).toEqual([4, 0, 0, 4]);
  });

  it("that were stopped go on after the last record, unless they have changed", async () => {
    const lines = Array.from({ length: 400 }, (_, index) =>
      JSON.stringify({
        id: `2405.${String(index).padStart(5, "0")}`,
        title: `Paper ${index}`,
        abstract: "About it.",
      }),
    );
    const path = join(sources.folder, "many.jsonl");
    await writeFile(path, lines.join("\n"));
    const stop = new AbortController();
    const part = await read(
      { kind: "file", path },
      {
        signal: stop.signal,
        onProgress: ({ items }) => {
          if (items >= 64) stop.abort();
        },
      },
    );
    expect(part.status).toBe("stopped");
    expect(part.inserted).toBeLessThan(400);
    const rest = await read({ kind: "file", path });
    expect(rest.notes).toEqual([`goes on after record ${part.items}`]);
    expect(counts(rest)).toEqual([400 - part.inserted, 0, 0, 0]);
    expect(counts(await read({ kind: "file", path }))).toEqual([0, 0, 400, 0]);
  });

  it("of the page's text join papers that are known under their titles", async () => {
    const path = join(sources.folder, "page.txt");
    await writeFile(path, fixtures.textList);
    await read({ kind: "file", path });
    sources.server.on("/api/query", body(fixtures.atomNew, ATOM));
    const report = await read({ kind: "arxiv-ids", ids: ["2405.01234"] });
    expect(report).toMatchObject({ inserted: 0, updated: 1 });
    const paper = await sources.store.papers.get("2405.01234");
    expect(paper?.sources).toEqual(["arxiv-query", "text-list"]);
    expect(await sources.store.papers.count()).toBe(4);
    expect(counts(await read({ kind: "file", path }))).toEqual([0, 0, 4, 1]);
  });
});
