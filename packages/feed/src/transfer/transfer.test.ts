import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  backupStore,
  dumpStore,
  exportPerson,
  IN_MEMORY,
  importPerson,
  loadStore,
  openSqliteStore,
  paperRecord,
  personBibtex,
  personCsv,
  restoreStore,
  type Store,
  verifyBackup,
} from "../index.ts";

const folder = mkdtempSync(join(tmpdir(), "concord-transfer-"));
const source = join(folder, "store.db");
const at = (name: string) => join(folder, name);
const NOW = new Date("2026-11-20T12:00:00Z");

async function fill(store: Store): Promise<string> {
  await store.papers.upsert(
    Array.from({ length: 60 }, (_, n) =>
      paperRecord.parse({
        id: `2601.${String(n).padStart(5, "0")}`,
        title: n === 0 ? '=HYPERLINK("x"), "a"' : `Paper ${n}`,
        abstract: "On gaps.",
        authors: [{ name: "José Müller" }],
        announced: "2026-01-01",
        topics: ["video"],
      }),
    ),
  );
  const ada = await store.people.create({ name: "ada", email: "ada@example.org", emailVerified: true });
  await store.people.setCredential({ accountId: ada.id, kind: "password", ref: "", secret: "phc-secret" });
  for (const n of [0, 1]) await store.activity.bookmark(`2601.0000${n}`, { accountId: ada.id }, true);
  await store.activity.vote("2601.00002", { accountId: ada.id }, true);
  const list = await store.activity.createCollection({
    accountId: ada.id,
    name: "read, later",
    public: true,
  });
  await store.activity.collect(list.id, "2601.00003", true);
  const first = await store.comments.add({
    paperId: "2601.00001",
    parentId: null,
    text: "one",
    accountId: ada.id,
  });
  for (let n = 0; n < 8; n++) {
    await store.comments.add({
      paperId: "2601.00001",
      parentId: first.id,
      text: `answer ${n}`,
      accountId: ada.id,
    });
  }
  await store.comments.edit(first.id, "two");
  await store.subscriptions.saveSearch({
    accountId: ada.id,
    name: "gap",
    query: "gap",
    filter: { topic: "video" },
  });
  await store.vectors.create({ version: "v1", dimensions: 2, format: "f32" });
  const [missing] = await store.vectors.missing("v1");
  if (missing) await store.vectors.put("v1", [{ ...missing, vector: Float32Array.of(0.5, 1.5) }]);
  return ada.id;
}

/** Everything that a store's tables hold, for comparison. */
function contents(file: string): Record<string, unknown[]> {
  const database = new DatabaseSync(file, { readOnly: true });
  const tables = database
    .prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite%'")
    .all();
  const found = Object.fromEntries(
    tables
      .map(({ name }) => String(name))
      // The index's own segments depend on the order of writing; its words are compared below.
      .filter((name) => !/^(paper_text|author_text|paper_words)/.test(name))
      .map((name) => [
        name,
        database
          .prepare(`select * from ${name}`)
          .all()
          .map((row) => JSON.stringify(row))
          .sort(),
      ]),
  );
  found.words = database
    .prepare("select term, doc, cnt from paper_words order by term")
    .all()
    .map((row) => JSON.stringify(row));
  database.close();
  return found;
}

let ada = "";
beforeAll(async () => {
  const store = openSqliteStore(source, { clock: () => NOW.getTime() });
  ada = await fill(store);
  await store.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("backups", () => {
  it("are restored as they were", async () => {
    const seen: number[] = [];
    const { path, manifest } = await backupStore(source, at("copy.db"), {
      onProgress: (done) => seen.push(done),
    });
    expect(manifest).toMatchObject({ papers: 60, accounts: 1, readers: 0, file: "copy.db" });
    expect(seen.length).toBeGreaterThan(0);
    expect(await verifyBackup(path)).toEqual(manifest);
    expect(await restoreStore(path, at("restored/store.db"))).toEqual(manifest);
    expect(contents(at("restored/store.db"))).toEqual(contents(source));
    const store = openSqliteStore(at("restored/store.db"));
    expect((await store.text.search("gaps")).hits).toHaveLength(60);
    await store.close();
  });

  it("get a name of their own in a folder", async () => {
    const { path } = await backupStore(source, `${at("many")}/`, { now: () => NOW });
    expect(path).toBe(at("many/concord-20261120-120000Z.db"));
    expect(readdirSync(at("many"))).toEqual([
      "concord-20261120-120000Z.db",
      "concord-20261120-120000Z.db.json",
    ]);
    await expect(backupStore(source, at("many"), { now: () => NOW })).rejects.toThrow(/not overwritten/);
  });

  it("are of one moment while the store is written", async () => {
    const busy = at("busy.db");
    const store = openSqliteStore(busy);
    let stop = false;
    let written = 0;
    const writing = (async () => {
      while (!stop) {
        await store.settings.set(`key-${written}`, "x".repeat(5000));
        written++;
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const { path, manifest } = await backupStore(busy, at("busy-copy.db"));
    stop = true;
    await writing;
    await store.close();
    expect(await verifyBackup(path)).toEqual(manifest);
    const copy = new DatabaseSync(path, { readOnly: true });
    const rows = Number(copy.prepare("select count(*) as n from settings").get()?.n);
    // The keys are those of a beginning of the sequence: a whole state, not a mixture.
    const highest = copy.prepare("select max(cast(substr(key, 5) as integer)) as n from settings").get()?.n;
    expect(Number(highest ?? -1)).toBe(rows - 1);
    copy.close();
  });

  it.each([
    [
      "a changed byte",
      (file: string) => {
        const bytes = readFileSync(file);
        bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 1;
        writeFileSync(file, bytes);
      },
      /checksums differ/,
    ],
    ["a missing end", (file: string) => writeFileSync(file, readFileSync(file).subarray(0, -4096)), /bytes/],
    ["a missing manifest", (file: string) => rmSync(`${file}.json`), /is missing/],
    ["a manifest of something else", (file: string) => writeFileSync(`${file}.json`, "{}"), /no manifest/],
  ])("with %s are refused", async (name, spoil, message) => {
    const { path } = await backupStore(source, at(`spoilt-${name.replaceAll(" ", "-")}.db`));
    spoil(path);
    await expect(restoreStore(path, at("never.db"))).rejects.toThrow(message);
    expect(existsSync(at("never.db"))).toBe(false);
  });

  it("never overwrite a store", async () => {
    const { path } = await backupStore(source, at("again.db"));
    copyFileSync(source, at("precious.db"));
    await expect(restoreStore(path, at("precious.db"))).rejects.toThrow(/not overwritten/);
    writeFileSync(at("log-only.db-wal"), "x");
    await expect(restoreStore(path, at("log-only.db"))).rejects.toThrow(/not overwritten/);
  });

  it("of a newer Concord, of other programs and of nothing are refused", async () => {
    copyFileSync(source, at("newer.db"));
    const newer = new DatabaseSync(at("newer.db"));
    newer.exec("pragma user_version = 99");
    newer.close();
    expect(() => openSqliteStore(at("newer.db"))).toThrow(/newer Concord \(schema 99/);
    const other = new DatabaseSync(at("other.db"));
    other.exec("create table t (a)");
    other.close();
    expect(() => openSqliteStore(at("other.db"))).toThrow(/not a Concord store/);
    writeFileSync(at("text.db"), "no database at all, but long enough to be read".repeat(50));
    expect(() => openSqliteStore(at("text.db"))).toThrow(/no SQLite database/);
    await expect(backupStore(at("none.db"), at("x.db"))).rejects.toThrow(/no store/);
  });
});

it.skipIf(process.platform === "win32")(
  "stores, their logs and their copies are their owner's alone",
  async () => {
    const mode = (name: string) => (statSync(at(name)).mode & 0o777).toString(8);
    const store = openSqliteStore(at("private.db"));
    await store.settings.set("a", 1);
    expect(["private.db", "private.db-wal", "private.db-shm"].map(mode)).toEqual(["600", "600", "600"]);
    await backupStore(at("private.db"), at("private-copy.db"));
    await store.close();
    chmodSync(at("private-copy.db"), 0o644);
    await restoreStore(at("private-copy.db"), at("private-again.db"));
    expect(mode("private-again.db")).toBe("600");
    chmodSync(at("private.db"), 0o640);
    await openSqliteStore(at("private.db")).close();
    expect(mode("private.db"), "what somebody chose stays").toBe("640");
    await backupStore(at("private.db"), at("private-second.db"));
    expect(mode("private-second.db")).toBe("600");
  },
);

describe("exports of a store", () => {
  it.each(["store.jsonl", "store.jsonl.gz"])("make the same store again (%s)", async (name) => {
    const rows = await dumpStore(source, at(name), { vectors: true });
    expect(rows).toBeGreaterThan(200);
    if (process.platform !== "win32") expect(statSync(at(name)).mode & 0o777).toBe(0o600);
    const target = at(`${name}.db`);
    await loadStore(at(name), target);
    expect(contents(target)).toEqual(contents(source));
    const store = openSqliteStore(target);
    expect((await store.text.search("gaps")).hits).toHaveLength(60);
    expect((await store.text.authors("jose muler"))[0]?.name).toBe("José Müller");
    expect(
      (
        await store.papers.upsert([paperRecord.parse({ id: "2611.00001", title: "New", abstract: "New." })])
      )[0]?.outcome,
    ).toBe("inserted");
    await store.close();
  });

  it("leave vectors out unless asked for", async () => {
    await dumpStore(source, at("plain.jsonl"));
    expect(readFileSync(at("plain.jsonl"), "utf8")).not.toContain('"table":"vector');
    await expect(dumpStore(source, at("plain.jsonl"))).rejects.toThrow(/not overwritten/);
    await loadStore(at("plain.jsonl"), at("plain.db"));
  });

  it.each([
    ["cut off", (text: string) => text.slice(0, -30), /line \d+/],
    [
      "without end",
      (text: string) => text.trimEnd().split("\n").slice(0, -1).join("\n"),
      /the end is missing/,
    ],
    ["with a row too few", (text: string) => text.split("\n").toSpliced(5, 1).join("\n"), /were announced/],
    [
      "with a table of another kind",
      (text: string) => text.replace('"table":"papers"', '"table":"sqlite_schema"'),
      /line 2: table/,
    ],
    [
      "with a column of another kind",
      (text: string) => text.replace('"num":', '"num) values (1); --":'),
      /no column/,
    ],
    ["with a record that is none", (text: string) => text.replace("On gaps.", "x".repeat(30_000)), /line 2/],
    [
      "of a newer schema",
      (text: string) => text.replace(/"schemaVersion":\d+/, '"schemaVersion":99'),
      /schema 99/,
    ],
    ["that are no JSON", () => "hello\n", /line 1/],
  ])("%s are refused, and leave nothing", async (name, spoil, message) => {
    const good = at("good.jsonl");
    if (!existsSync(good)) await dumpStore(source, good);
    const file = at(`bad-${name.replaceAll(" ", "-")}.jsonl`);
    writeFileSync(file, spoil(readFileSync(good, "utf8")));
    const before = readdirSync(folder);
    await expect(loadStore(file, at("bad.db"))).rejects.toThrow(message);
    expect(readdirSync(folder)).toEqual(before);
  });
});

describe("exports of a person", () => {
  it("hold all that is theirs, and no secrets", async () => {
    const store = openSqliteStore(source);
    const data = await exportPerson(store, ada, NOW);
    expect(data).toMatchObject({
      account: { name: "ada", email: "ada@example.org" },
      votes: [{ id: "2601.00002", title: "Paper 2", at: NOW.toISOString() }],
      collections: [{ name: "read, later", public: true, papers: [{ id: "2601.00003" }] }],
      savedSearches: [{ name: "gap", query: "gap", filter: { topic: "video" } }],
      digest: null,
    });
    expect(data.bookmarks.map(({ id }) => id).sort()).toEqual(["2601.00000", "2601.00001"]);
    expect(data.comments).toHaveLength(9);
    expect(data.comments.find(({ text }) => text === "two")?.earlier).toEqual(["one"]);
    expect(JSON.stringify(data)).not.toContain("phc-secret");
    await expect(exportPerson(store, "nobody")).rejects.toThrow(/no such account/);

    const csv = personCsv(data).split("\r\n");
    expect(csv[0]).toBe("list,paper,title,added");
    // No spreadsheet takes a title for a formula.
    expect(csv.find((line) => line.includes("2601.00000"))).toContain(`"'=HYPERLINK(""x""), ""a"""`);
    expect(csv.find((line) => line.includes("2601.00003"))).toContain('"collection: read, later"');
    const entries = await personBibtex(store, data);
    expect(entries.match(/^@/gm)).toHaveLength(3);
    await store.close();
  });

  it("come into another account, once", async () => {
    const store = openSqliteStore(source);
    const data: unknown = JSON.parse(JSON.stringify(await exportPerson(store, ada, NOW)));
    await store.close();
    const other = openSqliteStore(IN_MEMORY);
    await fill(other);
    const bo = (await other.people.create({ name: "bo" })).id;
    await other.papers.remove("2601.00001");
    expect(await importPerson(other, bo, data)).toEqual({ added: 3, unknown: ["2601.00001"] });
    expect(await importPerson(other, bo, data)).toEqual({ added: 0, unknown: ["2601.00001"] });
    expect((await other.activity.bookmarks(bo)).items.map(({ paper }) => paper.id)).toEqual(["2601.00000"]);
    await expect(importPerson(other, bo, { bookmarks: [] })).rejects.toThrow(/format/);
    await other.close();
  });
});
