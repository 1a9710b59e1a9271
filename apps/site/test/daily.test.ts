import { paperRecord } from "@concord/feed";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { periodText } from "../src/daily/dates.ts";
import { texMarkup } from "../src/daily/tex.ts";
import { temporaryFolder } from "./support.ts";
import { type TestApp, testApp } from "./support-app.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let site: TestApp;
const page = async (path: string) => (await site.app.request(path)).text();

beforeAll(async () => {
  folder = await temporaryFolder();
  site = await testApp(folder.path);
  await site.feed.papers.upsert(
    Array.from({ length: 60 }, (_, index) =>
      paperRecord.parse({
        id: `2611.${String(index).padStart(5, "0")}`,
        title: index === 7 ? "The $k$-means <bound>" : `Paper ${index}`,
        abstract: "Words of $O(n)$ and <script>alert(1)</script> at https://code.example/x.",
        authors: Array.from({ length: index === 7 ? 9 : 2 }, (_, at) => ({ name: `Author ${index} ${at}` })),
        published: `2026-11-${String(2 + (index % 3)).padStart(2, "0")}`,
        categories: [index % 2 === 0 ? "cs.LG" : "cs.CV"],
      }),
    ),
  );
});
afterAll(() => folder.remove());

const titles = (text: string) =>
  [...text.matchAll(/<h3 class="paper-title"><a href="([^"]+)"/g)].map(([, href]) => href!);

describe("lists", () => {
  it("go through all papers once by the addresses of their next pages", async () => {
    const seen: string[] = [];
    let path: string | undefined = "/";
    while (path) {
      const text = await page(path);
      seen.push(...titles(text));
      path = /rel="next nofollow" href="([^"]+)"/.exec(text)?.[1]?.replaceAll("&amp;", "&");
    }
    expect(seen).toHaveLength(84);
    expect(new Set(seen).size).toBe(84);
  });

  it("show a day, the days beside it, and the last one before a day without papers", async () => {
    const text = await page("/day/2026-11-03");
    expect(titles(text)).toHaveLength(20);
    expect(text).toContain("Tuesday, 3 November 2026");
    expect(text).toContain('rel="prev" href="/day/2026-11-02"');
    expect(text).toContain('rel="next" href="/day/2026-11-04"');
    const empty = await page("/day/2026-11-15");
    expect(empty).toContain("Nothing was listed on 15 November 2026");
    expect(empty).toContain("Wednesday, 4 November 2026");
    expect((await site.app.request("/day/soon")).status).toBe(404);
    expect((await site.app.request("/week/2026-W60")).status).toBe(404);
  });

  it("lead from a day to its week and month under one address each", async () => {
    const answer = await site.app.request("/week/2026-11-03?category=cs.LG");
    expect(answer.status).toBe(302);
    expect(answer.headers.get("location")).toBe("/week/2026-W45?category=cs.LG");
    expect(await page("/week/2026-W45")).toContain("2–8 November 2026");
    expect(await page("/month/2026-11")).toContain("November 2026");
  });

  it("keep filters on the way, and say when nothing is left", async () => {
    const text = await page("/?category=cs.LG");
    expect(titles(text)).toHaveLength(24);
    expect(text).toContain("30 papers, newest first");
    expect(text).toMatch(/rel="next nofollow" href="\/\?category=cs\.LG&amp;after=/);
    expect(text).toContain('href="/trending?category=cs.LG"');
    expect(await page("/?category=cs.LG&runs=1")).toContain("No paper matches");
    for (const query of ["category=%3Cb%3E", "code=2", "after=zzz"]) {
      expect((await site.app.request(`/?${query}`)).status, query).toBe(400);
    }
  });

  it("trending is in the order of the events, and says why", async () => {
    const account = await site.feed.people.create({ name: "eve" });
    await site.feed.activity.vote("2611.00001", { accountId: account.id }, true);
    await site.feed.activity.bookmark("2611.00002", { accountId: account.id }, true);
    const text = await page("/trending");
    expect(titles(text)).toEqual(["/papers/2611.00001", "/papers/2611.00002"]);
    expect(text).toContain("Last 7 days: 1 vote.");
    expect(text).toContain("Last 7 days: 1 reader kept it.");
  });

  it("a page of the list takes little time when warm", async () => {
    const times: number[] = [];
    for (let round = 0; round < 60; round++) {
      const start = performance.now();
      await page("/");
      times.push(performance.now() - start);
    }
    // The bar of 15 ms is measured on a quiet machine; here others work too.
    expect(Math.min(...times)).toBeLessThan(15);
  });
});

describe("papers", () => {
  it("have pages with formulas, authors and addresses, and nothing that runs", async () => {
    const text = await page("/papers/2611.00007");
    expect(text).toContain("<math");
    expect(text).toContain("&lt;bound&gt;");
    expect(text).not.toContain("<script>alert");
    expect(text).toContain('href="https://code.example/x" rel="external nofollow noopener ugc"');
    expect(text).toContain("<title>The k-means &lt;bound&gt; · Concord</title>");
  });

  it("have one address each", async () => {
    const moved = await site.app.request("/papers/2504.12717");
    expect([moved.status, moved.headers.get("location")]).toEqual([301, "/papers/clip-refine"]);
    expect((await site.app.request("/papers/2611.00001v3")).headers.get("location")).toBe(
      "/papers/2611.00001",
    );
    for (const id of ["2699.00001", "math/0000000", "..%2f..", "x".repeat(300)]) {
      expect((await site.app.request(`/papers/${id}`)).status, id).toBe(404);
    }
  });

  it("with an id of the old kind are found too", async () => {
    await site.feed.papers.upsert([
      paperRecord.parse({ id: "math/0611800", title: "Old", abstract: "Words", published: "2006-11-27" }),
    ]);
    expect(await page("/papers/math/0611800")).toContain("<h1>Old</h1>");
    expect((await site.app.request("/papers/math/0611800v1")).status).toBe(301);
    expect((await site.app.request("/papers/math/0611800/card.svg")).status).toBe(200);
  });

  it("come as Markdown and as a picture", async () => {
    const text = await page("/papers/2611.00007.md");
    expect(text).toMatch(/^# The k-means \\<bound\\>\n/);
    expect(text).toContain("- This page: <http://papers.test/papers/2611.00007>");
    const same = await site.app.request("/papers/2611.00007", { headers: { accept: "text/markdown" } });
    expect(await same.text()).toBe(text);
    const picture = await page("/papers/2611.00007/card.svg");
    expect(picture).toContain("The k-means &lt;bound&gt;");
    expect(picture).toContain("Author 7 0 and 8 more");
  });
});

it("periods read as people write them", () => {
  const text = (kind: "day" | "week" | "month", from: string, to: string) => periodText({ kind, from, to });
  expect(text("day", "2026-11-20", "2026-11-20")).toBe("Friday, 20 November 2026");
  expect(text("week", "2026-11-16", "2026-11-22")).toBe("16–22 November 2026");
  expect(text("week", "2026-09-28", "2026-10-04")).toBe("28 September\u2009–\u20094 October 2026");
  expect(text("week", "2026-12-28", "2027-01-03")).toBe("28 December 2026\u2009–\u20093 January 2027");
  expect(text("month", "2026-11-01", "2026-11-30")).toBe("November 2026");
});

describe("texts with TeX", () => {
  it.each([
    ["$\\href{javascript:alert(1)}{x}$", "javascript:"],
    ["$\\url{javascript:alert(1)}$", 'href="javascript'],
    ["$\\htmlStyle{color:red}{x}$", 'style="color'],
    ["$\\includegraphics{https://evil.example/x.png}$", "<img"],
    ["$\\htmlClass{x}{y}$", 'class="x"'],
    ["<img src=x onerror=alert(1)> $x$", "<img"],
    ["\\href{javascript:alert(1)}{x}", "javascript:"],
    ['https://a.example/"onmouseover="alert(1)', '"onmouseover'],
  ])("%s gives nothing that acts", (source, forbidden) => {
    const markup = String(texMarkup(source))
      .replace(/<annotation[\s\S]*?<\/annotation>/g, "")
      .replace(/<code[\s\S]*?<\/code>/g, "");
    expect(markup).not.toContain(forbidden);
  });

  it("a formula that would grow without end is shown as written", () => {
    const bomb =
      "$\\def\\a{\\b\\b\\b\\b}\\def\\b{\\c\\c\\c\\c}\\def\\c{\\d\\d\\d\\d}\\def\\d{xxxx}\\a\\a\\a\\a$";
    expect(String(texMarkup(bomb))).toContain('<code class="tex">');
  });
});
