import { describe, expect, it } from "vitest";
import { fixture, ids, type OpenStore, paper, papers, refused } from "./support.ts";

export function searchConformance(openStore: OpenStore): void {
  const using = fixture(openStore);
  const records = [
    paper({
      id: "2504.00001",
      title: "Post-pre-training for Modality Alignment",
      abstract: "Images and captions move together.",
      authors: [{ name: "José Müller" }],
      categories: ["cs.CV"],
    }),
    paper({
      id: "2504.00002",
      title: "Contrasting Cluster Assignments",
      abstract: "Clusters of images, alignment of views.",
      authors: [{ name: "Yann LeCun" }],
    }),
    paper({
      id: "2504.00003",
      title: "Naïve Bayes über alles",
      abstract: "A ﬁne study. 深度學習.",
      authors: [{ name: "Yan Lee" }],
    }),
  ];

  describe("keyword search", () => {
    it.each([
      ["modality", [1]],
      ["jose muller", [1]],
      ["MÜLLER José", [1]],
      ["naive BAYES", [3]],
      ["uber", [3]],
      ["fine study", [3]],
      ["post-pre-training", [1]],
      ["images alignment", [1, 2]],
      ["", []],
      ["?!", []],
      ["lusters", []],
      ["zzz", []],
    ])("finds for %j", (query, expected) =>
      using(async ({ store }) => {
        await store.papers.upsert(records);
        const { hits } = await store.text.search(query, { mode: "all" });
        expect(ids(hits).sort()).toEqual(expected.map((n) => `2504.0000${n}`));
      }),
    );

    it("ranks hits in titles above hits in abstracts", () =>
      using(async ({ store }) => {
        await store.papers.upsert([...records, ...papers(30)]);
        const { hits } = await store.text.search("alignment");
        expect(ids(hits)).toEqual(["2504.00001", "2504.00002"]);
        expect(hits[0]?.score).toBeGreaterThan(hits[1]?.score as number);
      }));

    it("falls back to any word behind those with all", () =>
      using(async ({ store }) => {
        await store.papers.upsert(records);
        const { hits } = await store.text.search("images cluster nonsense");
        expect(hits.every(({ all }) => !all)).toBe(true);
        expect(ids(hits)).toContain("2504.00001");
        const both = await store.text.search("images clusters");
        expect(both.hits.map(({ id, all }) => [id, all])).toEqual([
          ["2504.00002", true],
          ["2504.00001", false],
        ]);
      }));

    it("leaves frequent words out of the fallback", () =>
      using(async ({ store }) => {
        await store.papers.upsert([...records, ...papers(120)]);
        const { hits } = await store.text.search("abstract cluster");
        expect(ids(hits)).toEqual(["2504.00002"]);
      }));

    it("takes the last word as a beginning while typing", () =>
      using(async ({ store }) => {
        await store.papers.upsert(records);
        expect(ids((await store.text.search("modality ali", { prefix: true, mode: "all" })).hits)).toEqual([
          "2504.00001",
        ]);
        expect((await store.text.search("modality ali", { mode: "all" })).hits).toEqual([]);
        expect((await store.text.search("moda alignment", { prefix: true, mode: "all" })).hits).toEqual([]);
        // Of "clustering" the index has "cluster": what is typed may be longer than the stem.
        const whole = ids((await store.text.search("clustering", { prefix: true })).hits);
        expect(whole.length).toBeGreaterThan(0);
        for (const typed of ["clus", "cluster", "clusteri", "clusterin"])
          expect(ids((await store.text.search(typed, { prefix: true })).hits)).toEqual(whole);
      }));

    it("follows filters", () =>
      using(async ({ store }) => {
        await store.papers.upsert(records);
        expect(ids((await store.text.search("images", { filter: { category: "cs" } })).hits)).toEqual([
          "2504.00001",
        ]);
      }));

    it.each([
      '"',
      "a AND",
      "NOT b",
      "title:modality",
      "mod*",
      "(",
      "NEAR(a b)",
      "a^2",
      "-x",
      "'; drop table papers",
      "\0",
      "\ud800",
    ])("takes %j as words", (query) =>
      using(async ({ store }) => {
        await store.papers.upsert(records);
        await store.text.search(query);
        await store.text.search(query, { prefix: true });
        await store.text.authors(query);
        expect(await store.papers.count()).toBe(3);
      }),
    );

    it("bounds query and depth", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(250));
        expect((await store.text.search("title")).hits).toHaveLength(200);
        expect((await store.text.search("title", { limit: 5 })).hits).toHaveLength(5);
        await refused("invalid", () => store.text.search("x".repeat(201)), /200/);
      }));

    it("gives equal scores in the order of falling ids", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(5, 3, { title: "Same", abstract: "Same." }));
        expect(ids((await store.text.search("same")).hits)).toEqual(ids(papers(5).toReversed()));
      }));
  });

  describe("authors", () => {
    it.each([
      ["Yann LeCun", "Yann LeCun"],
      ["Yan LeCunn", "Yann LeCun"],
      ["lecun", "Yann LeCun"],
      ["Jose Mueller", "José Müller"],
      ["müler jose", "José Müller"],
      ["yann lecum", "Yann LeCun"],
    ])("finds for %j", (name, expected) =>
      using(async ({ store }) => {
        await store.papers.upsert(records);
        expect((await store.text.authors(name))[0]?.name).toBe(expected);
      }),
    );

    it("counts papers and bounds the answer", () =>
      using(async ({ store }) => {
        await store.papers.upsert([
          ...records,
          paper({ id: "2504.00009", authors: [{ name: "YANN LECUN" }] }),
        ]);
        expect(await store.text.authors("Yann LeCun", { limit: 1 })).toEqual([
          { name: "Yann LeCun", papers: 2, similarity: 1 },
        ]);
        expect(await store.text.authors("ya")).toHaveLength(2);
      }));
  });

  describe("vectors", () => {
    const set = { version: "v1", dimensions: 4, format: "f16" } as const;
    const unit = (at: number) => Float32Array.from({ length: 4 }, (_, index) => Number(index === at));
    async function filled(store: Parameters<Parameters<typeof using>[0]>[0]["store"], version = "v1") {
      await store.vectors.create({ ...set, version });
      const missing = await store.vectors.missing(version);
      const vectors = missing.map(({ id, textHash }, index) => ({ id, textHash, vector: unit(index % 4) }));
      return store.vectors.put(version, vectors);
    }
    const readAll = async (store: Parameters<typeof filled>[0], version: string, after = 0) => {
      const found = new Map<string, number[]>();
      let position = after;
      for await (const batch of store.vectors.read(version, { after, batch: 2 })) {
        batch.ids.forEach((id, row) => found.set(id, [...batch.vectors.subarray(row * 4, row * 4 + 4)]));
        expect(batch.position).toBeGreaterThan(position);
        position = batch.position;
      }
      return { found, position };
    };

    it("builds a set until nothing is missing, and reads it out", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(5));
        expect(await filled(store)).toBe(5);
        expect(await store.vectors.missing("v1")).toEqual([]);
        const { found } = await readAll(store, "v1");
        expect(found.get("2601.00002")).toEqual([0, 0, 1, 0]);
        expect(found.size).toBe(5);
        expect(await store.vectors.sets()).toMatchObject([
          { version: "v1", papers: 5, active: false, format: "f16" },
        ]);
      }));

    it("reads on what was put since", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(3));
        await filled(store);
        const { position } = await readAll(store, "v1");
        await store.papers.upsert([
          paper({ id: "2601.00001", title: "Changed" }),
          paper({ id: "2611.00001" }),
        ]);
        expect(ids(await store.vectors.missing("v1"))).toEqual(["2601.00001", "2611.00001"]);
        await filled(store);
        const later = await readAll(store, "v1", position);
        expect([...later.found.keys()].sort()).toEqual(["2601.00001", "2611.00001"]);
        expect((await readAll(store, "v1")).found.size).toBe(4);
      }));

    it("swaps sets at once and drops old ones", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(3));
        await filled(store, "v1");
        await filled(store, "v2");
        expect(await store.vectors.active()).toBeNull();
        await store.vectors.activate("v1");
        await store.vectors.activate("v2");
        expect((await store.vectors.sets()).map(({ version, active }) => [version, active])).toEqual([
          ["v2", true],
          ["v1", false],
        ]);
        await refused("conflict", () => store.vectors.drop("v2"));
        await store.vectors.drop("v1");
        expect(await store.vectors.active()).toMatchObject({ version: "v2", papers: 3 });
        await refused("not-found", () => store.vectors.activate("v1"));
      }));

    it("leaves out vectors of texts that changed and of papers that are gone", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(1));
        await store.vectors.create(set);
        const [missing] = await store.vectors.missing("v1");
        const entry = { id: "2601.00000", textHash: missing?.textHash ?? "", vector: unit(0) };
        await store.papers.upsert([paper({ id: "2601.00000", title: "Changed" })]);
        expect(await store.vectors.put("v1", [entry, { ...entry, id: "2601.99999" }])).toBe(0);
      }));

    it.each([
      ["another length", Float32Array.of(1)],
      ["NaN", Float32Array.of(1, Number.NaN, 0, 0)],
      ["infinity", Float32Array.of(1, Number.POSITIVE_INFINITY, 0, 0)],
    ])("refuses %s", (_, vector) =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(1));
        await store.vectors.create(set);
        await refused("invalid", () => store.vectors.put("v1", [{ id: "2601.00000", textHash: "", vector }]));
      }),
    );

    it("refuses another shape under the same version", () =>
      using(async ({ store }) => {
        await store.vectors.create(set);
        await store.vectors.create(set);
        await refused("conflict", () => store.vectors.create({ ...set, dimensions: 5 }));
        await refused("invalid", () => store.vectors.create({ ...set, version: "../x" }));
      }));

    it.each(["f16", "f32"] as const)("finds the nearest in %s, as a plain computation does", (format) =>
      using(async ({ store }) => {
        const records = papers(40);
        await store.papers.upsert(records);
        await store.vectors.create({ version: "v1", dimensions: 4, format });
        const missing = await store.vectors.missing("v1");
        // Multiples of 1/8: exact in both formats.
        const vectors = missing.map(({ id, textHash }, n) => ({
          id,
          textHash,
          vector: Float32Array.of(n / 8, 1 - n / 8, (n % 7) / 8, 0.5),
        }));
        await store.vectors.put("v1", vectors);
        const query = Float32Array.of(0.5, 0.25, -1, 2);
        const expected = vectors
          .map(({ id, vector }) => ({
            id,
            score: vector.reduce((sum, value, at) => sum + value * (query[at] as number), 0),
          }))
          .sort((a, b) => b.score - a.score || (a.id < b.id ? 1 : -1));
        expect(await store.vectors.nearest("v1", query, { limit: 7 })).toEqual(expected.slice(0, 7));
        const filter = { to: "2026-01-02" };
        const allowed = new Set(ids(records.filter(({ announced }) => (announced ?? "") <= filter.to)));
        expect(await store.vectors.nearest("v1", query, { limit: 3, filter })).toEqual(
          expected.filter(({ id }) => allowed.has(id)).slice(0, 3),
        );
        expect((await store.vectors.get("v1", ["2601.00003", "x"])).size).toBe(1);
      }),
    );
  });
}
