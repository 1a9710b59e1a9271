import { describe, expect, it } from "vitest";
import { parseHfDaily, parseTextList } from "../../src/intake/index.ts";
import { localId } from "../../src/record.ts";
import * as fixtures from "./fixtures.ts";
import { recordsOf, refusalsOf } from "./support.ts";

describe("Daily Papers", () => {
  it("are read from lists and from details, with the right one of two days", () => {
    const list = parseHfDaily(fixtures.hfDaily, "2024-05-07");
    expect(list.entries).toBe(4);
    const [toy] = recordsOf(list.items);
    expect(toy).toMatchObject({
      id: "2405.01234",
      title: "A Toy Problem, Solved",
      authors: [{ name: "Ada Example" }],
      published: "2024-05-02",
      announced: "2024-05-06",
      links: { code: "https://github.com/example/toy" },
    });
    expect(toy?.links).not.toHaveProperty("project");
    expect(recordsOf(parseHfDaily(fixtures.hfDetail, null).items)).toEqual([toy]);
    expect(refusalsOf(parseHfDaily(fixtures.hfDaily, null).items)).toEqual([
      ["item 2", "abc", 'paper.id: expected an arXiv identifier (got "abc")'],
      ["item 3", "2405.00002", 'abstract: expected text (got "")'],
      ["item 4", null, "expected an object, got string"],
    ]);
  });

  it("that do not say when they were listed get the day that was asked for", () => {
    const text = fixtures.hfDaily.replace("submittedOnDailyAt", "somethingElse");
    expect(recordsOf(parseHfDaily(text, "2024-05-07").items)[0]?.announced).toBe("2024-05-07");
    expect(recordsOf(parseHfDaily(text, null).items)[0]?.announced).toBeNull();
  });
});

describe("the text of a Daily Papers page", () => {
  const list = parseTextList(fixtures.textList, { today: "2026-11-21" });

  it("gives papers by title, with days of the page's own year", () => {
    expect(list).toMatchObject({ day: "2025-12-10", yearGuessed: true, entries: 5 });
    expect(
      recordsOf(list.items).map(({ title, authorCount, published }) => [title, authorCount, published]),
    ).toEqual([
      ["A Toy Problem, Solved", 4, "2025-05-06"],
      ["From an Earlier Year", 1, "2023-09-20"],
      ["Without Count and Date", null, null],
      // 31 December would come after the page's day.
      ["Right After It", 1204, "2024-12-31"],
    ]);
    const last = recordsOf(parseTextList(fixtures.textList, { today: "2026-11-21" }).items).at(-1);
    expect(last?.abstract).toMatch(/Its second paragraph\.$/);
    expect(last?.id).toBe(localId("Right after it"));
    expect(refusalsOf(parseTextList(fixtures.textList, { today: "2026-11-21" }).items)).toEqual([
      [
        `line ${fixtures.textList.trimEnd().split("\n").length}`,
        null,
        "abstract: expected text after the title",
      ],
    ]);
  });

  it("takes the day that the caller gives", () => {
    const given = parseTextList(fixtures.textList, { day: "2027-12-10", today: "2026-11-21" });
    expect(given.yearGuessed).toBe(false);
    expect(recordsOf(given.items)[0]?.published).toBe("2027-05-06");
  });

  it("knows 29 February, one-line marks and CR LF", () => {
    const text = fixtures.textList
      .replace("May 6", "Feb 29")
      .replace("  • 1 author\n·\nSep 20, 2023", "  • 1 author · Sep 20, 2023");
    const read = parseTextList(text.replaceAll("\n", "\r\n"), { today: "2026-11-21" });
    expect(
      recordsOf(read.items)
        .slice(0, 2)
        .map(({ published, authorCount }) => [published, authorCount]),
    ).toEqual([
      ["2024-02-29", 4],
      ["2023-09-20", 1],
    ]);
  });
});
