import { createReadStream, existsSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setImmediate as breathe } from "node:timers/promises";
import { createGunzip, createGzip } from "node:zlib";
import { Kysely } from "kysely";
import { z } from "zod";
import { type PaperRecord, paperRecord } from "../record.ts";
import { StoreError } from "../store/ports.ts";
import type { Tables } from "../store/sql/tables.ts";
import { NodeSqliteDialect, SqliteConnection } from "../store/sqlite/dialect.ts";
import { SCHEMA_VERSION } from "../store/sqlite/migrations.ts";
import { openDatabase, openForReading } from "../store/sqlite/open.ts";
import { sqliteTextWriter } from "../store/sqlite/text.ts";

/** Tables in an order in which every row finds the rows that it refers to. Text indexes are made anew. */
const TABLES = [
  "papers",
  "aliases",
  "paper_terms",
  "authors",
  "paper_authors",
  "sequences",
  "vector_sets",
  "vectors",
  "accounts",
  "credentials",
  "sessions",
  "login_tokens",
  "api_keys",
  "rate_limits",
  "activity",
  "topic_people",
  "collections",
  "collection_papers",
  "comments",
  "comment_versions",
  "reports",
  "moderation",
  "readers",
  "bounces",
  "saved_searches",
  "issues",
  "outbox",
  "jobs",
  "sources",
  "rejections",
  "settings",
] as const satisfies readonly (keyof Tables)[];

/** Fails to compile when a table is missing above. */
type Missing = Exclude<keyof Tables, (typeof TABLES)[number]>;
const complete: [Missing] extends [never] ? true : never = true;

const VECTOR_TABLES: readonly string[] = ["vector_sets", "vectors"];
const ROWS_PER_CHUNK = 500;
const ROWS_PER_COMMIT = 1000;
/** A paper with all its limits used is far below this. */
const MAX_LINE = 8_000_000;

const header = z.object({
  format: z.literal("concord-store"),
  formatVersion: z.literal(1),
  schemaVersion: z.int().min(1),
});
const rowLine = z.object({
  table: z.enum(TABLES),
  row: z.record(z.string(), z.union([z.string(), z.number(), z.null(), z.object({ base64: z.base64() })])),
});
const footer = z.object({ rows: z.record(z.string(), z.int().min(0)) });

export type DumpProgress = (rows: number) => void;

function* linesOf(database: DatabaseSync, vectors: boolean, onProgress?: DumpProgress): Generator<string> {
  yield `${JSON.stringify({ format: "concord-store", formatVersion: 1, schemaVersion: SCHEMA_VERSION })}\n`;
  const rows: Record<string, number> = {};
  let total = 0;
  for (const table of TABLES) {
    if (!vectors && VECTOR_TABLES.includes(table)) continue;
    rows[table] = 0;
    // Answers come before what they answer in no order of ids: roots first.
    const order = table === "comments" ? " order by parent is not null" : "";
    let chunk = "";
    for (const row of database.prepare(`select * from ${table}${order}`).iterate()) {
      const values = Object.fromEntries(
        Object.entries(row).map(([name, value]) => [
          name,
          value instanceof Uint8Array ? { base64: Buffer.from(value).toString("base64") } : value,
        ]),
      );
      chunk += `${JSON.stringify({ table, row: values })}\n`;
      rows[table]++;
      if (++total % ROWS_PER_CHUNK === 0) {
        onProgress?.(total);
        yield chunk;
        chunk = "";
      }
    }
    if (chunk !== "") yield chunk;
  }
  onProgress?.(total);
  yield `${JSON.stringify({ rows })}\n`;
}

/**
 * Writes a store as JSON lines, as it is at one moment: a header, one line for each row, a footer with the numbers of
 * rows. It holds everything, hashes of passwords included: the file is readable for its owner alone.
 *
 * @param target  file to write; compressed when its name ends in .gz
 * @param options.vectors  whether vectors are in it (default false: they can be made again)
 * @returns numbers of rows by table
 * @throws StoreError `conflict` when the target exists
 */
export async function dumpStore(
  source: string,
  target: string,
  options: { readonly vectors?: boolean; readonly onProgress?: DumpProgress } = {},
): Promise<number> {
  const path = resolve(target);
  if (existsSync(path)) throw new StoreError("conflict", `${path} exists already and is not overwritten.`);
  if (!existsSync(source)) throw new StoreError("not-found", `There is no store ${resolve(source)}.`);
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  const database = openForReading(source);
  let total = 0;
  try {
    database.exec("begin");
    const lines = Readable.from(
      linesOf(database, options.vectors ?? false, (rows) => {
        total = rows;
        options.onProgress?.(rows);
      }),
    );
    const file = await open(temporary, "wx", 0o600);
    try {
      const out = file.createWriteStream({ flush: true });
      await (path.endsWith(".gz") ? pipeline(lines, createGzip(), out) : pipeline(lines, out));
    } finally {
      await file.close().catch(() => {});
    }
    await rename(temporary, path);
  } finally {
    database.close();
    await rm(temporary, { force: true });
  }
  return total;
}

/** Lines of a file, none longer than MAX_LINE. */
async function* readLines(path: string): AsyncGenerator<string> {
  const raw = createReadStream(path);
  const stream = path.endsWith(".gz") ? raw.pipe(createGunzip()) : raw;
  raw.on("error", (error) => stream.destroy(error));
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  for await (const chunk of stream) {
    rest += decoder.decode(chunk as Uint8Array, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE)
      throw new StoreError("invalid", `${path}: a line is longer than ${MAX_LINE} characters.`);
    yield* lines;
  }
  if (rest !== "") yield rest;
}

/** Puts rows into a new store. */
class Loader {
  readonly #database: DatabaseSync;
  readonly #columns: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #fresh = new Set<string>();
  readonly counts: Record<string, number> = {};

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#columns = new Map(
      TABLES.map((table) => [
        table,
        new Set(
          database
            .prepare(`select name from pragma_table_info('${table}')`)
            .all()
            .map(({ name }) => String(name)),
        ),
      ]),
    );
  }

  put({ table, row }: z.infer<typeof rowLine>): void {
    // A new store has some rows of its own.
    if (!this.#fresh.has(table)) this.#database.exec(`delete from ${table}`);
    this.#fresh.add(table);
    const names = Object.keys(row);
    const known = this.#columns.get(table);
    for (const name of names) {
      if (!known?.has(name))
        throw new StoreError("invalid", `table ${table} has no column ${JSON.stringify(name)}`);
    }
    if (table === "papers") paperRecord.parse(JSON.parse(String(row.record)));
    const values = names.map((name): SQLInputValue => {
      const value = row[name];
      return typeof value === "object" && value !== null
        ? Buffer.from(value.base64, "base64")
        : (value ?? null);
    });
    this.#database
      .prepare(`insert into ${table} (${names.join(", ")}) values (${names.map(() => "?").join(", ")})`)
      .run(...values);
    this.counts[table] = (this.counts[table] ?? 0) + 1;
  }
}

/** Makes the text indexes of a loaded store. */
async function indexTexts(database: DatabaseSync): Promise<void> {
  const db = new Kysely<Tables>({ dialect: new NodeSqliteDialect(new SqliteConnection(database)) });
  for (let after = 0; ; ) {
    const papers = await db
      .selectFrom("papers")
      .select(["num", "record"])
      .where("num", ">", after)
      .orderBy("num")
      .limit(ROWS_PER_COMMIT)
      .execute();
    const last = papers.at(-1);
    if (last === undefined) break;
    database.exec("begin");
    await sqliteTextWriter.put(
      db,
      papers.map(({ num, record }) => ({ num, record: JSON.parse(record) as PaperRecord, fresh: true })),
    );
    database.exec("commit");
    after = last.num;
    await breathe();
  }
  database.exec("begin");
  await sqliteTextWriter.putAuthors(db, await db.selectFrom("authors").select(["num", "name"]).execute());
  database.exec("commit");
}

/**
 * Makes a store of what `dumpStore` wrote, at a place where there is none.
 *
 * @returns numbers of rows by table
 * @throws StoreError `invalid` with the line when something does not belong there or the end is missing, `schema` for
 *   the file of a newer Concord, `conflict` when there is a store already; nothing is left behind then
 */
export async function loadStore(
  source: string,
  target: string,
  options: { readonly onProgress?: DumpProgress } = {},
): Promise<Readonly<Record<string, number>>> {
  const path = resolve(target);
  for (const file of [path, `${path}-wal`]) {
    if (existsSync(file)) throw new StoreError("conflict", `${file} exists already and is not overwritten.`);
  }
  if (!existsSync(source)) throw new StoreError("not-found", `There is no file ${resolve(source)}.`);
  const temporary = `${path}.${process.pid}.tmp`;
  const opened = openDatabase(temporary);
  const database = opened.writer;
  opened.reader?.close();
  let line = 0;
  try {
    database.exec("pragma foreign_keys = off; pragma synchronous = off");
    const loader = new Loader(database);
    let ended = false;
    database.exec("begin");
    for await (const text of readLines(source)) {
      line++;
      const value: unknown = JSON.parse(text);
      if (line === 1) {
        const { schemaVersion } = header.parse(value);
        if (schemaVersion !== SCHEMA_VERSION) {
          throw new StoreError(
            "schema",
            `it has schema ${schemaVersion}, this Concord ${SCHEMA_VERSION}. A backup is brought up to date by \`restore\`, an export is not`,
          );
        }
        continue;
      }
      if (ended) throw new StoreError("invalid", "nothing may follow the last line");
      const end = footer.safeParse(value);
      if (end.success) {
        for (const table of TABLES) {
          const [wanted, found] = [end.data.rows[table] ?? 0, loader.counts[table] ?? 0];
          if (wanted !== found)
            throw new StoreError("invalid", `${found} rows of ${table} came, ${wanted} were announced`);
        }
        ended = true;
        continue;
      }
      loader.put(rowLine.parse(value));
      if (line % ROWS_PER_COMMIT === 0) {
        database.exec("commit; begin");
        options.onProgress?.(line);
        await breathe();
      }
    }
    database.exec("commit");
    if (!ended) throw new StoreError("invalid", "the end is missing: the file was cut off");
    const [broken] = database.prepare("pragma foreign_key_check").all();
    if (broken) throw new StoreError("invalid", `rows of ${broken.table} point nowhere`);
    await indexTexts(database);
    database.exec("pragma synchronous = full; pragma wal_checkpoint(truncate); pragma journal_mode = delete");
    database.close();
    await rename(temporary, path);
    return loader.counts;
  } catch (error) {
    const reason =
      error instanceof z.ZodError
        ? `${error.issues[0]?.path.join(".")}: ${error.issues[0]?.message}`
        : (error as Error).message;
    throw new StoreError(
      error instanceof StoreError ? error.code : "invalid",
      `${source}, line ${line}: ${reason.replace(/\.$/, "")}.`,
      { cause: error },
    );
  } finally {
    if (database.isOpen) database.close();
    for (const ending of ["", "-wal", "-shm", "-journal"]) await rm(`${temporary}${ending}`, { force: true });
  }
}

export { complete as allTablesAreDumped };
