import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it } from "vitest";
import { openForReading, openSqliteStore } from "../src/index.ts";
import { migrate, SCHEMA_VERSION, schemaVersion } from "../src/store/sqlite/migrations.ts";
import { papers } from "./conformance/support.ts";

const folder = mkdtempSync(join(tmpdir(), "concord-sqlite-"));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("migrations", () => {
  it("go on from the last whole one after one that failed", () => {
    const database = new DatabaseSync(at("migrated.db"));
    const first = "create table a (x integer)";
    expect(() =>
      migrate(database, "file", [first, "create table b (x); insert into nowhere values (1)"]),
    ).toThrow(/nowhere/);
    expect(schemaVersion(database)).toBe(1);
    expect(database.prepare("select name from sqlite_schema").all()).toEqual([{ name: "a" }]);
    migrate(database, "file", [first, "create table b (x integer)"]);
    expect(database.prepare("select name from sqlite_schema").all()).toHaveLength(2);
    database.close();
  });

  it("make strict tables whose references are followed", async () => {
    await openSqliteStore(at("strict.db")).close();
    const database = openForReading(at("strict.db"));
    expect(schemaVersion(database)).toBe(SCHEMA_VERSION);
    const loose = database
      .prepare(
        "select name from pragma_table_list where schema = 'main' and type = 'table' and strict = 0 and name not like 'sqlite_%'",
      )
      .all();
    expect(loose).toEqual([]);
    expect(database.prepare("pragma journal_mode").get()).toEqual({ journal_mode: "wal" });
    expect(() => database.exec("delete from papers")).toThrow(/readonly|read-only|query_only/i);
    database.close();
  });
});

describe("a long import", () => {
  it("lets others write and read in between", async () => {
    const store = openSqliteStore(at("long.db"));
    let done = false;
    const importing = store.papers.upsert(papers(1500)).then(() => {
      done = true;
    });
    let [writes, reads] = [0, 0];
    while (!done) {
      await store.settings.set("n", writes++);
      reads += Number((await store.papers.count()) >= 0);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await importing;
    // In steps of 20 ms, 1500 papers take several; one transaction would let in two calls at most.
    expect(writes).toBeGreaterThan(3);
    expect(reads).toBe(writes);
    await store.close();
  });

  it("is seen by another connection as soon as it is acknowledged", async () => {
    const store = openSqliteStore(at("seen.db"));
    const other = openForReading(at("seen.db"));
    await store.papers.upsert(papers(10));
    expect(other.prepare("select count(*) as n from papers").get()).toEqual({ n: 10 });
    other.close();
    await store.close();
  });
});

describe("lists", () => {
  it("are read from indexes, whatever the filter", async () => {
    const store = openSqliteStore(at("plans.db"));
    await store.papers.upsert(papers(50, 3, { categories: ["cs.CV"], topics: ["video"] }));
    await store.close();
    const database = openForReading(at("plans.db"));
    const plan = (query: string) =>
      database
        .prepare(`explain query plan ${query}`)
        .all()
        .map(({ detail }) => String(detail))
        .join("\n");
    const lead =
      "from paper_terms as lead join papers as p on p.num = lead.num where lead.kind = 'c' and lead.value = 'cs.CV'";
    for (const query of [
      "select p.* from papers as p where 1 = 1 order by p.day desc, p.id desc limit 25",
      "select p.* from papers as p where p.runnable = 1 order by p.day desc, p.id desc limit 25",
      "select p.* from papers as p where p.has_code = 1 order by p.day desc, p.id desc limit 25",
      "select p.* from papers as p where p.trend > -1e9 order by p.trend desc, p.id desc limit 25",
      `select p.* ${lead} and (lead.day, lead.id) < ('2026-01-09', '2601.00010') order by lead.day desc, lead.id desc limit 25`,
    ]) {
      expect(plan(query)).not.toMatch(/TEMP B-TREE|SCAN (?:p|lead)(?! USING)/);
    }
    database.close();
  });
});
