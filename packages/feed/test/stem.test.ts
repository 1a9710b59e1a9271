import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import { IN_MEMORY, openSqliteStore, paperRecord } from "../src/index.ts";
import { markWords } from "../src/search/marking.ts";
import { initialSchema } from "../src/store/sqlite/migrations/001-initial.ts";
import { migrate, SCHEMA_VERSION, schemaVersion } from "../src/store/sqlite/migrations.ts";
import { stemOf } from "../src/store/stem.ts";

const ROOTS =
  "abl agre alli analog bl by cluster connect controll dies eed enci fil formal general hop ies ion learn mat model oper parallel plan relat sens siz sky snow ti tr wavelet x2 y".split(
    " ",
  );
const ENDINGS =
  "al|ally|ance|ate|ated|ation|ational|ations|ative|ator|bility|e|ed|eed|ement|ence|ent|entli|er|ers|es|ful|fulness|ible|ic|icate|ical|ies|ing|ings|ion|ism|iti|ity|ive|iveness|ization|ize|izer|ll|logi|ly|ment|ness|ous|ously|ousness|s|sses|tional|y|".split(
    "|",
  );

const paper = paperRecord.parse({
  id: "2601.00001",
  title: "Clustering images",
  abstract: "A \ufb01ne study.",
  authors: [{ name: "José Müller" }],
  sources: ["test"],
});

it("stems are those of FTS5's porter", () => {
  const words = [...new Set(ROOTS.flatMap((root) => ENDINGS.map((ending) => root + ending)))];
  const database = new DatabaseSync(":memory:");
  database.exec(`create virtual table texts using fts5(text, tokenize="porter unicode61");
    create virtual table terms using fts5vocab('texts', 'instance')`);
  const insert = database.prepare("insert into texts (rowid, text) values (?, ?)");
  words.forEach((word, i) => {
    insert.run(i + 1, word);
  });
  const terms = database.prepare("select term, doc from terms order by doc").all();
  expect(words.length).toBeGreaterThan(1000);
  expect(terms.map(({ doc }) => [words[Number(doc) - 1], stemOf(words[Number(doc) - 1] as string)])).toEqual(
    terms.map(({ term, doc }) => [words[Number(doc) - 1], term]),
  );
  database.close();
});

it("other forms of a word are found and marked", async () => {
  const store = openSqliteStore(IN_MEMORY);
  await store.papers.upsert([paper]);
  for (const query of ["cluster image", "CLUSTERED images", "clusters"])
    expect((await store.text.search(query, { mode: "all" })).hits.map(({ id }) => id)).toEqual([paper.id]);
  await store.close();
  expect(markWords("Clustering of images", ["cluster"])).toEqual([
    { text: "Clustering", hit: true },
    { text: " of images", hit: false },
  ]);
});

it("a store of the first schema is indexed anew, with all that it has", () => {
  const database = new DatabaseSync(":memory:");
  migrate(database, "file", [initialSchema]);
  database
    .prepare(
      `insert into papers (num, id, title_key, day, has_code, runnable, record, text_hash, revision, added_at)
       values (7, ?, '', '', 0, 0, ?, '', 1, 0)`,
    )
    .run(paper.id, JSON.stringify(paper));
  migrate(database, "file");
  expect(schemaVersion(database)).toBe(SCHEMA_VERSION);
  for (const word of ["clusters", "muller", "fine"])
    expect(database.prepare("select rowid from paper_text where paper_text match ?").all(word)).toEqual([
      expect.objectContaining({ rowid: 7 }),
    ]);
  database.close();
});
