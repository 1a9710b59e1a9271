import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { oddRecords, realRecords } from "./real-records.ts";
import { temporaryFolder } from "./support.ts";
import { type TestApp, testApp } from "./support-app.ts";

/**
 * A reader of the Daily Papers API as programs contain it, written from the description of that API and not from this
 * site's code: it knows nothing of what else the answers have.
 */
type Check = (value: unknown, path: string) => string[];

const is =
  (what: string, test: (value: unknown) => boolean): Check =>
  (value, path) =>
    test(value) ? [] : [`${path}: expected ${what}, came ${JSON.stringify(value)?.slice(0, 80)}`];
const text = is("text", (value) => typeof value === "string");
const count = is("a count", (value) => Number.isInteger(value) && (value as number) >= 0);
const flag = is("true or false", (value) => typeof value === "boolean");
const objectId = is(
  "24 hexadecimal digits",
  (value) => typeof value === "string" && /^[0-9a-f]{24}$/.test(value),
);
const moment = is(
  "a moment in UTC",
  (value) =>
    typeof value === "string" &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value) &&
    !Number.isNaN(Date.parse(value)),
);
const address = is("a web address", (value) => typeof value === "string" && /^https?:\/\//.test(value));
const oneOf = (...values: unknown[]) => is(values.join(" or "), (value) => values.includes(value));
const list =
  (item: Check): Check =>
  (value, path) =>
    Array.isArray(value)
      ? value.flatMap((one, at) => item(one, `${path}[${at}]`))
      : [`${path}: expected a list`];
/** Fields that end with ? may be missing; fields that are not named are ignored, as clients do. */
const object =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value, path) => {
    if (typeof value !== "object" || value === null) return [`${path}: expected an object`];
    const given = value as Readonly<Record<string, unknown>>;
    return Object.entries(fields).flatMap(([name, check]) => {
      const bare = name.replace(/\?$/, "");
      if (given[bare] === undefined) return bare === name ? [`${path}.${bare}: missing`] : [];
      return check(given[bare], `${path}.${bare}`);
    });
  };

const user = object({
  _id: objectId,
  avatarUrl: text,
  fullname: text,
  isPro: flag,
  name: text,
  type: oneOf("user", "org"),
});
const author = object({ _id: objectId, name: text, hidden: flag, "user?": user, "status?": text });
const paperFields = {
  id: text,
  authors: list(author),
  publishedAt: moment,
  title: text,
  summary: text,
  upvotes: count,
  discussionId: text,
  "submittedOnDailyAt?": moment,
  "submittedOnDailyBy?": user,
  "ai_summary?": text,
  "ai_keywords?": list(text),
  "githubRepo?": address,
  "githubStars?": count,
  "projectPage?": address,
  "mediaUrls?": list(address),
  "withdrawnAt?": moment,
};
const itemFields = {
  paper: object(paperFields),
  publishedAt: moment,
  title: text,
  summary: text,
  thumbnail: address,
  numComments: count,
  isAuthorParticipating: flag,
};
const item = object({ ...itemFields, submittedBy: user });
const marked = list(object({ type: text, text }));
const searchItem = object({
  ...itemFields,
  upvoted: flag,
  highlightedTitle: marked,
  highlightedSummary: marked,
});
const detail = object({
  ...paperFields,
  linkedModels: list(object({})),
  numTotalModels: count,
  linkedDatasets: list(object({})),
  numTotalDatasets: count,
  linkedSpaces: list(object({})),
  comments: list(
    object({ id: text, createdAt: moment, type: text, data: object({ edited: flag, hidden: flag }) }),
  ),
});

interface Item {
  readonly paper: { readonly id: string; readonly upvotes: number; readonly withdrawnAt?: string };
  readonly publishedAt: string;
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let site: TestApp;
const records = realRecords();

beforeAll(async () => {
  folder = await temporaryFolder();
  site = await testApp(folder.path);
  await site.feed.papers.upsert(records);
  const { id: accountId } = await site.feed.people.create({ name: "reader" });
  for (const id of ["2611.19950", "2611.19960"]) await site.feed.activity.vote(id, { accountId }, true);
});
afterAll(() => folder.remove());

async function call(path: string, query: Readonly<Record<string, string | number>> = {}) {
  const search = new URLSearchParams(
    Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
  );
  const answer = await site.app.request(`/api/${path}?${search}`);
  return { answer, body: (await answer.json()) as unknown };
}

async function daily(query: Readonly<Record<string, string | number>> = {}): Promise<Item[]> {
  const { answer, body } = await call("daily_papers", query);
  expect(answer.status).toBe(200);
  expect(list(item)(body, "daily_papers")).toEqual([]);
  return body as Item[];
}
const ids = (items: readonly Item[]) => items.map(({ paper }) => paper.id);

describe("a client of Daily Papers reads this host", () => {
  it("page after page, to an empty one, by number or by the link that comes with each", async () => {
    expect(await daily()).toHaveLength(50);
    const seen: string[] = [];
    for (let p = 0; ; p += 1) {
      const items = await daily({ p, limit: 33 });
      if (items.length === 0) break;
      seen.push(...ids(items));
    }
    expect(seen).toHaveLength(records.length + 24);
    expect(new Set(seen).size).toBe(seen.length);

    const linked: string[] = [];
    let path: string | undefined = "/api/daily_papers?limit=33";
    while (path) {
      const answer = await site.app.request(path);
      linked.push(...ids((await answer.json()) as Item[]));
      const next = /<([^>]+)>; rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
      path = next && new URL(next).pathname + new URL(next).search;
    }
    expect(linked).toEqual(seen);
    expect(await daily({ p: 1000 })).toEqual([]);
  });

  it("by date, week and month", async () => {
    const day = await daily({ date: "2026-11-18", limit: 100 });
    expect(day).toHaveLength(20);
    expect(day.every(({ publishedAt }) => publishedAt.startsWith("2026-11-18"))).toBe(true);
    const days = (items: readonly Item[]) => [
      ...new Set(items.map(({ publishedAt }) => publishedAt.slice(0, 10))),
    ];
    expect(days(await daily({ week: "2026-W47", limit: 100 })).sort()).toEqual([
      "2026-11-16",
      "2026-11-17",
      "2026-11-18",
      "2026-11-19",
      "2026-11-20",
    ]);
    expect(await daily({ month: "2026-11", limit: 100 })).toHaveLength(100);
    expect(await daily({ date: "2020-01-01" })).toEqual([]);
    for (const bad of [
      { date: "yesterday" },
      { date: "2026-13-01" },
      { date: "2026-02-30" },
      { week: "2026-W54" },
      { week: "2026-47" },
      { month: "2026-11-01" },
      { month: "2026-00" },
      { sort: "upvotes" },
      { limit: 0 },
      { limit: 101 },
      { limit: "many" },
      { p: -1 },
    ]) {
      const { answer, body } = await call("daily_papers", bad);
      expect(answer.status, JSON.stringify(bad)).toBe(400);
      expect(object({ error: text })(body, "error")).toEqual([]);
    }
  });

  it("in the order of trending", async () => {
    const items = await daily({ sort: "trending", limit: 100 });
    expect(new Set(ids(items).slice(0, 2))).toEqual(new Set(["2611.19950", "2611.19960"]));
    expect(items[0]?.paper.upvotes).toBe(1);
  });

  it("in the order of trending, without losing those that nobody has voted for", async () => {
    const day = await daily({ date: "2026-11-18", limit: 100 });
    const risen = await daily({ date: "2026-11-18", sort: "trending", limit: 100 });
    expect(ids(risen).sort()).toEqual(ids(day).sort());
    const all = ids(await daily({ sort: "trending", limit: 100 }));
    for (const limit of [1, 2, 3, 7]) {
      const pages = [];
      for (let p = 0; p * limit < 15; p += 1) pages.push(...ids(await daily({ sort: "trending", p, limit })));
      expect(pages).toEqual(all.slice(0, pages.length));
    }
    const { answer } = await call("daily_papers", { sort: "trending", limit: 2 });
    expect(answer.headers.get("link")).toContain("p=1");
  });

  it("search with what was found marked", async () => {
    const { answer, body } = await call("papers/search", { q: "hyperbolic", limit: 5 });
    expect(answer.status).toBe(200);
    expect(list(searchItem)(body, "search")).toEqual([]);
    const found = body as { highlightedTitle: { type: string; text: string }[] }[];
    expect(found).toHaveLength(5);
    expect(found[0]?.highlightedTitle.some(({ type }) => type !== "text")).toBe(true);
    for (const bad of [{ q: "" }, { q: "x".repeat(251) }, { q: "x", limit: 121 }, {}])
      expect((await call("papers/search", bad as Record<string, string>)).answer.status).toBe(400);
  });

  it("one paper, also with its version, and 404 for one that is not here", async () => {
    const { answer, body } = await call("papers/2611.20000");
    expect(answer.status).toBe(200);
    expect(detail(body, "paper")).toEqual([]);
    expect((await call("papers/2611.20000v2")).answer.status).toBe(200);
    expect((await call("papers/1707.00000")).answer.status).toBe(404);
    const repos = await call("arxiv/2611.20000/repos");
    expect(repos.body).toEqual({ models: [], datasets: [], spaces: [] });
    const withdrawn = records.find(({ title }) => title === oddRecords.withdrawn.title);
    expect((await call(`papers/${withdrawn?.id}`)).body).toHaveProperty("withdrawnAt");
    const markdown = await site.app.request("/papers/2611.20000.md");
    expect(markdown.headers.get("content-type")).toMatch(/^text\/markdown/);
  });

  it("tells the quota as clients know it", async () => {
    const { answer } = await call("daily_papers", { limit: 1 });
    expect(answer.headers.get("ratelimit")).toMatch(/^"api";r=\d+;t=\d+$/);
    expect(answer.headers.get("ratelimit-policy")).toBe('"fixed window";"api";q=500;w=300');
  });
});

const SHAPE = new URL("../../../../shared/data/papers/hf-daily-papers.shape.json", import.meta.url);
const hasShape = existsSync(SHAPE);
if (!hasShape)
  console.log("The comparison with recorded shapes of Daily Papers is skipped: the file is not here.");

/** Types of all fields by path: `paper.authors[].name` → `string`. */
function fieldTypes(
  value: unknown,
  path = "",
  into = new Map<string, Set<string>>(),
): Map<string, Set<string>> {
  if (Array.isArray(value)) for (const one of value) fieldTypes(one, `${path}[]`, into);
  else if (typeof value === "object" && value !== null)
    for (const [name, one] of Object.entries(value)) fieldTypes(one, `${path}.${name}`, into);
  else into.set(path, (into.get(path) ?? new Set()).add(value === null ? "null" : typeof value));
  return into;
}

it.skipIf(!hasShape)(
  "fields have the types of recorded answers, and none that every recorded item has is missing",
  async () => {
    const recorded = JSON.parse(readFileSync(SHAPE, "utf8")) as object[];
    const ours = (await daily({ limit: 100 })) as unknown as object[];
    const theirTypes = fieldTypes(recorded);
    for (const [path, types] of fieldTypes(ours)) {
      const expected = theirTypes.get(path);
      if (expected)
        expect(
          [...types].filter((type) => !expected.has(type)),
          path,
        ).toEqual([]);
    }
    // What machines wrote about papers, organisations, and ranks of people on their host are not here.
    const left =
      /^\.paper\.(?:ai_summary|ai_summary_model|organization|mediaUrls|githubStars)|^\.(?:mediaUrls|organization)|\.(?:isHf|isHfAdmin|isMod|followerCount|isUserFollowing)$/;
    const always = (items: readonly object[]) => {
      const [first, ...rest] = items.map((one) => new Set(fieldTypes(one).keys()));
      return [...(first ?? [])].filter((path) => !left.test(path) && rest.every((paths) => paths.has(path)));
    };
    const oursEver = fieldTypes(ours);
    expect(always(recorded).filter((path) => !oursEver.has(`[]${path}`))).toEqual([]);
  },
);
