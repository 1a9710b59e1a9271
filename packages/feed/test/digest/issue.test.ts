import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  buildContent,
  choose,
  DigestPublisher,
  DomainPace,
  dayPlus,
  digestMessage,
  firstSentences,
  latestSlot,
  ReaderLinks,
  readableFormula,
  readableText,
  readContent,
  slotOf,
  windowOf,
} from "../../src/digest/index.ts";
import { IN_MEMORY, openSqliteStore, type Store } from "../../src/index.ts";
import { confirmed, papersOf, SITE, TIMES } from "./support.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Friday, 20 November 2026, an hour after the digest is due. */
const NOON = Date.UTC(2026, 10, 20, 8);
const ALL = { topics: [], savedSearches: [] };
const links = new ReaderLinks("k".repeat(43), () => SITE);

async function withStore(work: (store: Store, clock: { now: number }) => Promise<void>): Promise<void> {
  const clock = { now: NOON };
  const store = openSqliteStore(IN_MEMORY, { clock: () => clock.now });
  try {
    await work(store, clock);
  } finally {
    await store.close();
  }
}

const publisherOf = (store: Store, clock: { now: number }) =>
  new DigestPublisher({ store, times: TIMES, host: () => "papers.example.org", clock: () => clock.now });

describe("slots", () => {
  it("are the last due moment, whatever the time", () => {
    expect(latestSlot("daily", TIMES, NOON)).toMatchObject({ day: "2026-11-20", period: "2026-11-20" });
    expect(latestSlot("daily", TIMES, NOON - 2 * HOUR).day).toBe("2026-11-19");
    expect(latestSlot("weekly", TIMES, NOON)).toMatchObject({ day: "2026-11-20", period: "2026-W47" });
    expect(latestSlot("weekly", TIMES, NOON - 2 * HOUR).day).toBe("2026-11-13");
    expect(latestSlot("weekly", TIMES, NOON + 6 * DAY).day).toBe("2026-11-20");
  });

  it("come once a day and once a week, in order", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2100, 0, 1) }),
        fc.integer({ min: 0, max: 1439 }),
        fc.integer({ min: 1, max: 7 }),
        (now, minute, weekday) => {
          for (const [kind, length] of [
            ["daily", DAY],
            ["weekly", 7 * DAY],
          ] as const) {
            const slot = latestSlot(kind, { minute, weekday }, now);
            expect(slot.at).toBeLessThanOrEqual(now);
            expect(now - slot.at).toBeLessThan(length);
            expect(latestSlot(kind, { minute, weekday }, slot.at)).toEqual(slot);
            expect(latestSlot(kind, { minute, weekday }, slot.at - 1).period).not.toBe(slot.period);
          }
        },
      ),
      { seed: 5, numRuns: 200 },
    );
  });

  it("take each paper once, however late it comes in", () => {
    // Papers with a day and the hour at which they came in; digests on five days, one of which is missed.
    const day = (n: number) => dayPlus("2026-11-16", n);
    const papers = [0, 1, 2, 3, 4].flatMap((n) =>
      [2, 8, 20, 30].map((hour) => ({ day: day(n), addedAt: Date.parse(`${day(n)}T00:00Z`) + hour * HOUR })),
    );
    const taken = new Map(papers.map((paper) => [paper, 0]));
    let before = null;
    for (const n of [0, 1, 3, 4, 5, 6]) {
      const slot = slotOf("daily", day(n), TIMES);
      const window = windowOf(slot, before);
      for (const paper of papers) {
        if (paper.addedAt <= slot.at && paper.day >= window.from && window.has(paper))
          taken.set(paper, (taken.get(paper) ?? 0) + 1);
      }
      before = { day: slot.day, until: slot.at };
    }
    expect([...taken.values()].every((times) => times === 1)).toBe(true);
  });
});

describe("an issue", () => {
  it("has the papers of its days by votes, and is null on empty days", () =>
    withStore(async (store) => {
      const slot = slotOf("daily", "2026-11-20", TIMES);
      expect(await buildContent(store, slot, { now: NOON, before: null })).toBeNull();
      await store.papers.upsert([...papersOf("2026-11-20", 4), ...papersOf("2026-11-19", 2)]);
      const voter = await store.people.create({ name: "ada" });
      await store.activity.vote("2511.12001", { accountId: voter.id }, true);
      const content = await buildContent(store, slot, { now: NOON, before: null });
      expect(content?.papers.map(({ id }) => id)).toEqual([
        "2511.12001",
        "2511.12003",
        "2511.12002",
        "2511.12000",
      ]);
      expect(content?.papers[0]).toMatchObject({
        votes: 1,
        title: "Aligning ℝ¹ with naïve café models, part 1",
        authors: "Ada Lovelace, Grace Hopper",
      });
      expect(readContent(JSON.parse(JSON.stringify(content)))).toEqual(content);
    }));

  it("gives each reader their topics, archives and searches, and nothing where nothing fits", () =>
    withStore(async (store) => {
      await store.papers.upsert([
        ...papersOf("2026-11-20", 3),
        ...papersOf("2026-11-20", 1, { id: "2511.20001", categories: ["stat.ML"], title: "Kernels at rest" }),
      ]);
      const search = await store.subscriptions.saveSearch({
        ...{ accountId: null, name: "kernels", query: "kernels", filter: {} },
      });
      await confirmed(store, ["cy"], { savedSearches: [search.id] });
      const content = await buildContent(store, slotOf("daily", "2026-11-20", TIMES), {
        now: NOON,
        before: null,
      });
      if (!content) throw new Error("There is no content.");
      const chosen = (wishes: Parameters<typeof choose>[1], most = 20) =>
        choose(content, wishes, most)?.papers.map(({ paper }) => paper.id) ?? null;
      expect(chosen(ALL)).toHaveLength(4);
      expect(chosen(ALL, 2)).toHaveLength(2);
      expect(chosen({ ...ALL, topics: ["stat"] })).toEqual(["2511.20001"]);
      expect(chosen({ ...ALL, topics: ["cs.LG"] })).toHaveLength(3);
      expect(chosen({ ...ALL, topics: ["st"] })).toBeNull();
      expect(chosen({ topics: ["cs.CV"], savedSearches: [search.id] })).toEqual(["2511.20001"]);
      expect(
        choose(content, { topics: ["stat.ML"], savedSearches: [search.id] }, 5)?.papers[0]?.reasons,
      ).toEqual(["stat.ML", "“kernels”"]);
      expect(chosen({ ...ALL, savedSearches: ["gone"] })).toBeNull();
    }));

  it("is built once; later calls and other processes find it done", () =>
    withStore(async (store, clock) => {
      await store.papers.upsert(papersOf("2026-11-20", 3));
      await confirmed(store, ["ada", "bo"]);
      await confirmed(store, ["cy"], { cadence: "weekly" });
      await confirmed(store, ["di"], { topics: ["math"] });
      const both = [publisherOf(store, clock), publisherOf(store, clock)];
      const published = (await Promise.all(both.map((publisher) => publisher.publishDue()))).flat();
      expect(published.map(({ kind, readers }) => [kind, readers]).sort()).toEqual([
        ["daily", 2],
        ["weekly", 1],
      ]);
      clock.now += HOUR;
      await store.papers.upsert(papersOf("2026-11-19", 1));
      expect(await publisherOf(store, clock).publishDue()).toEqual([]);
      expect((await store.outbox.issues()).items).toHaveLength(2);
    }));

  it("catches up once after missed days, with the papers of all of them", () =>
    withStore(async (store, clock) => {
      await confirmed(store, ["ada"]);
      await store.papers.upsert(papersOf("2026-11-20", 2));
      await publisherOf(store, clock).publishDue();
      clock.now += 4 * DAY;
      await store.papers.upsert([
        ...papersOf("2026-11-22", 1),
        ...papersOf("2026-11-23", 1),
        ...papersOf("2026-11-24", 1),
      ]);
      // One of the first day that came in late.
      await store.papers.upsert(papersOf("2026-11-20", 1, { id: "2511.09999" }));
      const [published, ...more] = await publisherOf(store, clock).publishDue();
      expect(more).toEqual([]);
      expect(published).toMatchObject({ period: "2026-11-24", papers: 4 });
      expect(await publisherOf(store, clock).publishDue()).toEqual([]);
    }));

  it("does not come again when the clock is put back, nor stays away when it was put far forward", () =>
    withStore(async (store, clock) => {
      await confirmed(store, ["ada"]);
      await store.papers.upsert(["2026-11-19", "2026-11-20"].flatMap((day) => papersOf(day, 1)));
      expect(await publisherOf(store, clock).publishDue()).toHaveLength(1);
      clock.now -= 3 * HOUR;
      // The slot of the day before: an issue of its own, without the paper that was sent.
      const back = await publisherOf(store, clock).publishDue();
      expect(back.map(({ period, papers }) => [period, papers])).toEqual([["2026-11-19", 1]]);
      clock.now = NOON;
      expect(await publisherOf(store, clock).publishDue()).toEqual([]);
      clock.now += 400 * DAY;
      await store.papers.upsert(papersOf("2027-12-25", 1, { id: "2712.00001" }));
      expect(await publisherOf(store, clock).publishDue()).toHaveLength(1);
      clock.now = NOON + DAY;
      await store.papers.upsert(papersOf("2026-11-21", 1));
      expect((await publisherOf(store, clock).publishDue()).map(({ papers }) => papers)).toEqual([1]);
    }));

  it("waits six hours for papers that come late, then not any more", () =>
    withStore(async (store, clock) => {
      await confirmed(store, ["ada"]);
      expect(await publisherOf(store, clock).publishDue()).toEqual([]);
      clock.now += 5 * HOUR;
      await store.papers.upsert(papersOf("2026-11-20", 1));
      expect(await publisherOf(store, clock).publishDue()).toHaveLength(1);
      clock.now = NOON + DAY;
      expect(await publisherOf(store, clock).publishDue()).toEqual([]);
      clock.now += 7 * HOUR;
      await store.papers.upsert(papersOf("2026-11-21", 1));
      expect(await publisherOf(store, clock).publishDue()).toEqual([]);
    }));

  it("goes on being filled after a crash between building and filling", () =>
    withStore(async (store, clock) => {
      await store.papers.upsert(papersOf("2026-11-20", 1));
      await confirmed(store, ["ada", "bo"]);
      const slot = slotOf("daily", "2026-11-20", TIMES);
      const content = await buildContent(store, slot, { now: clock.now, before: null });
      const { issue } = await store.outbox.createIssue({ kind: "daily", period: slot.period, content });
      clock.now += HOUR;
      expect(await publisherOf(store, clock).publishDue()).toEqual([]);
      expect((await store.outbox.issue(issue.id))?.state).toBe("open");
      expect(await store.outbox.progress(issue.id)).toMatchObject({ queued: 2 });
    }));
});

describe("a message", () => {
  const content = async (store: Store) => {
    await store.papers.upsert([
      ...papersOf("2026-11-20", 30, {
        abstract: `${"A long sentence about spaces & <b>markup</b> goes on. ".repeat(40)}`,
      }),
      ...papersOf("2026-11-20", 1, {
        id: "2511.20002",
        title: '<img src=x onerror="alert(1)"> & \u201cquotes\u201d',
      }),
    ]);
    const built = await buildContent(store, slotOf("daily", "2026-11-20", TIMES), {
      now: NOON,
      before: null,
    });
    if (!built) throw new Error("There is no content.");
    return built;
  };

  it("is the same every time, small enough for every mail program, and escapes what papers say", () =>
    withStore(async (store) => {
      const issue = await content(store);
      const reader = { email: "ada@example.org", ...ALL };
      const message = digestMessage(issue, reader, links, { papers: 40, messageId: "<a@b>" });
      expect(digestMessage(issue, reader, links, { papers: 40, messageId: "<a@b>" })).toEqual(message);
      // Gmail cuts messages off after 102 kB.
      expect(Buffer.byteLength(message?.html ?? "")).toBeLessThan(100_000);
      expect(message?.html).not.toMatch(/<img|<b>|<script|<table(?! role="presentation")/);
      expect(message?.html).toContain("&#60;img src=x onerror=&#34;alert(1)&#34;&#62;");
      expect(message?.html?.match(/<h2/g)).toHaveLength(31);
      expect(message?.html).toContain('<meta name="color-scheme" content="light dark">');
      for (const line of message?.text.split("\n") ?? [])
        if (!line.includes("https://")) expect([...line].length, line).toBeLessThanOrEqual(72);
      expect(message?.subject).toMatch(/ and 30 more \(20 November\)$/);
      expect(message?.subject.length).toBeLessThanOrEqual(150);
    }));

  it("names its list and the way out of it", () =>
    withStore(async (store) => {
      const message = digestMessage(await content(store), { email: "Ada@Example.org", ...ALL }, links);
      const token = links.token("unsubscribe", "ada@example.org");
      expect(token).toMatch(/^[\w-]{22}$/);
      expect(message?.headers).toEqual({
        "List-Id": "Daily papers <daily-papers.papers.example.org>",
        "List-Unsubscribe": `<https://papers.example.org/u/${token}>`,
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Help": "<https://papers.example.org/subscribe>",
        Precedence: "bulk",
        "Auto-Submitted": "auto-generated",
      });
      expect(message?.html).toContain(`/u/${token}`);
      expect(message?.text).toContain(`/u/${token}`);
    }));

  it("has tokens that differ by purpose, address, host and confirmation", () => {
    const other = new ReaderLinks("j".repeat(43), () => SITE);
    const tokens = [
      links.token("manage", "a@b.c"),
      links.token("unsubscribe", "a@b.c"),
      links.token("unsubscribe", "a@b.d"),
      other.token("unsubscribe", "a@b.c"),
      links.token("confirm", "a@b.c", "1"),
      links.token("confirm", "a@b.c", "2"),
    ];
    expect(new Set(tokens).size).toBe(tokens.length);
  });
});

describe("readable text", () => {
  it.each([
    ["\\alpha \\leq \\beta_1", "α ≤ β₁"],
    ["O(n^2)", "O(n²)"],
    ["\\mathbb{R}^{d}", "ℝ^d"],
    ["x^{10}", "x¹⁰"],
    ["\\frac{a+b}{2}", "(a+b)/2"],
    ["\\sqrt{\\frac{1}{n}}", "√(1/n)"],
    ["\\mathcal{L}_{\\text{NCE}}", "L_(NCE)"],
    ["\\left( x \\right)", "( x )"],
    ["90^\\circ", "90°"],
    ["\\{a, b\\}", "{a, b}"],
    ["\\unknown{x} + y", "unknown(x) + y"],
    [
      "\\frac{\\mathrm{d}N}{\\langle N_{c}\\rangle} + \\frac{e^{a/\\tau}}{\\sum_{j} b_j}",
      "dN/(⟨ N_c⟩) + (e^(a/τ))/(∑_j b_j)",
    ],
    ["\\binom{n}{k}", "binom(n)(k)"],
    ["\\\\", "\\\\"],
  ])("%s is %s", (tex, text) => {
    expect(readableFormula(tex)).toBe(text);
  });

  it("ends for any input, and says something for any text", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(..."\\{}^_$ab1 frac".split("")), maxLength: 300 }),
        (tex) => {
          expect(readableFormula(tex).length).toBeLessThan(3000);
          expect(typeof readableText(`A ${tex} b`)).toBe("string");
        },
      ),
      { seed: 1, numRuns: 300 },
    );
    const begun = performance.now();
    readableFormula("{".repeat(1000) + "}".repeat(1000));
    readableFormula("\\frac{".repeat(300));
    expect(performance.now() - begun).toBeLessThan(500);
  });

  it("keeps whole sentences", () => {
    const text =
      "We study e.g. Smith et al. 2020 and find little. It holds for A. Smith too. This one is longer than all the others together and does not fit.";
    expect(firstSentences(text, 90)).toBe(
      "We study e.g. Smith et al. 2020 and find little. It holds for A. Smith too.",
    );
    expect(firstSentences("Short.", 90)).toBe("Short.");
    expect(firstSentences("word ".repeat(50), 60)).toMatch(/^(?:word )+word…$/);
    expect(firstSentences("x".repeat(500), 60)).toHaveLength(60);
  });
});

describe("the pace", () => {
  it("gives each domain so many a minute", () => {
    let now = 0;
    const pace = new DomainPace(60, () => now);
    const takenIn = (ms: number, domain: string) => {
      let taken = 0;
      for (const end = now + ms; now < end; now += 100) if (pace.take(domain) === 0) taken++;
      return taken;
    };
    expect(takenIn(60_000, "a.example")).toBeCloseTo(70, -0.5);
    expect(takenIn(60_000, "a.example")).toBeCloseTo(60, -0.5);
    expect(pace.take("b.example")).toBe(0);
    for (let n = 0; n < 9; n++) pace.take("b.example");
    expect(pace.take("b.example")).toBe(1000);
  });
});
