import { type Selectable, sql } from "kysely";
import { z } from "zod";
import type { PaperRecord } from "../../record.ts";
import {
  type PaperFilter,
  type PaperVector,
  StoreError,
  type VectorBatch,
  type VectorFormat,
  type VectorHit,
  type VectorIndex,
  type VectorSet,
} from "../ports.ts";
import type { Db, Gate } from "./gate.ts";
import { decodeVector, encodeVector } from "./half.ts";
import { filterParts, isNarrowing } from "./paper-filter.ts";
import type { Tables } from "./tables.ts";
import { check, checkIds, fromJson, pageLimit } from "./values.ts";

const BATCH = 100;
const READ_BATCH = 2000;
const MAX_READ_BATCH = 10_000;
const MAX_MISSING = 1000;
const MAX_NEAREST = 200;
const DROP_BATCH = 500;

const newSet = z.strictObject({
  version: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,100}$/, "expected a version of letters, digits, '.', '_', '-'"),
  dimensions: z.int().min(1).max(8192),
  format: z.enum(["f16", "f32"]),
});

type SetRow = Selectable<Tables["vector_sets"]>;

async function findSet(db: Db, version: string): Promise<SetRow> {
  const row = await db
    .selectFrom("vector_sets")
    .selectAll()
    .where("version", "=", version)
    .executeTakeFirst();
  if (!row)
    throw new StoreError("not-found", `There is no vector set ${JSON.stringify(version.slice(0, 100))}.`);
  return row;
}

/** Vectors as bytes in rows; searched by scanning them. */
export class SqlVectors implements VectorIndex {
  readonly #gate: Gate;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  async sets(): Promise<VectorSet[]> {
    return this.#gate.read((db) => this.#sets(db, sql`1 = 1`));
  }

  async active(): Promise<VectorSet | null> {
    return this.#gate.read(async (db) => (await this.#sets(db, sql`s.active = 1`))[0] ?? null);
  }

  async #sets(db: Db, condition: ReturnType<typeof sql>): Promise<VectorSet[]> {
    const { rows } = await sql<SetRow & { papers: number }>`
      select s.*, (select count(*) from vectors as v where v.set_num = s.num) as papers
      from vector_sets as s where ${condition} order by s.num desc`.execute(db);
    return rows.map((row) => ({
      version: row.version,
      dimensions: row.dimensions,
      format: row.format,
      active: row.active === 1,
      papers: Number(row.papers),
      createdAt: row.created_at,
      activatedAt: row.activated_at,
    }));
  }

  async create(set: {
    readonly version: string;
    readonly dimensions: number;
    readonly format: VectorFormat;
  }): Promise<VectorSet> {
    const { version, dimensions, format } = check(newSet, set, "set");
    return this.#gate.write(async (db) => {
      await db
        .insertInto("vector_sets")
        .values({ version, dimensions, format, active: 0, created_at: this.#gate.now(), activated_at: null })
        .onConflict((conflict) => conflict.column("version").doNothing())
        .execute();
      const [made] = await this.#sets(db, sql`s.version = ${version}`);
      if (made === undefined || made.dimensions !== dimensions || made.format !== format) {
        throw new StoreError(
          "conflict",
          `Vector set ${version} has ${made?.dimensions} dimensions as ${made?.format}, not ${dimensions} as ${format}.`,
        );
      }
      return made;
    });
  }

  async put(version: string, vectors: readonly PaperVector[]): Promise<number> {
    const set = await this.#gate.read((db) => findSet(db, version));
    for (const { id, vector } of vectors) {
      if (vector.length !== set.dimensions) {
        throw new StoreError(
          "invalid",
          `Vector of ${id}: expected ${set.dimensions} dimensions, got ${vector.length}.`,
        );
      }
      if (!vector.every(Number.isFinite))
        throw new StoreError("invalid", `Vector of ${id}: expected finite numbers.`);
    }
    if (vectors.length === 0) return 0;
    let [start, stored] = [0, 0];
    await this.#gate.steps(async (db) => {
      const batch = vectors.slice(start, start + BATCH);
      // The last vector of a paper that comes twice is the one that counts.
      const byId = new Map(batch.map((entry) => [entry.id, entry]));
      const papers = await db
        .selectFrom("papers")
        .select(["num", "id", "text_hash"])
        .where("id", "in", [...byId.keys()])
        .execute();
      const rows = papers.flatMap(({ num, id, text_hash }) => {
        const entry = byId.get(id);
        return entry?.textHash === text_hash
          ? [{ set_num: set.num, num, text_hash, vector: encodeVector(entry.vector, set.format) }]
          : [];
      });
      if (rows.length > 0) {
        // A row that is put anew gets a new position: those who read on see it.
        const nums = rows.map(({ num }) => num);
        await db.deleteFrom("vectors").where("set_num", "=", set.num).where("num", "in", nums).execute();
        await db.insertInto("vectors").values(rows).execute();
        stored += rows.length;
      }
      start += batch.length;
      return start < vectors.length;
    });
    return stored;
  }

  missing(version: string, options: { readonly after?: string; readonly limit?: number } = {}) {
    const limit = options.limit === undefined ? MAX_MISSING : pageLimit(options.limit, MAX_MISSING);
    return this.#gate.read(async (db) => {
      const { num } = await findSet(db, version);
      const { rows } = await sql<{ record: string; text_hash: string }>`
        select p.record, p.text_hash from papers as p where p.id > ${options.after ?? ""}
        and not exists (select 1 from vectors as v where v.num = p.num and v.set_num = ${num} and v.text_hash = p.text_hash)
        order by p.id limit ${limit}`.execute(db);
      return rows.map((row) => {
        const { id, title, abstract } = fromJson<PaperRecord>(row.record);
        return { id, textHash: row.text_hash, title, abstract };
      });
    });
  }

  async *read(
    version: string,
    options: { readonly after?: number; readonly batch?: number } = {},
  ): AsyncIterable<VectorBatch> {
    const batch = options.batch === undefined ? READ_BATCH : pageLimit(options.batch, MAX_READ_BATCH);
    const set = await this.#gate.read((db) => findSet(db, version));
    for (let after = options.after ?? 0; ; ) {
      const rows = await this.#gate.read((db) =>
        db
          .selectFrom("vectors as v")
          .innerJoin("papers as p", "p.num", "v.num")
          .select(["v.position", "v.vector", "p.id"])
          .where("v.set_num", "=", set.num)
          .where("v.position", ">", after)
          .orderBy("v.position")
          .limit(batch)
          .execute(),
      );
      const last = rows.at(-1);
      if (last === undefined) return;
      const vectors = new Float32Array(rows.length * set.dimensions);
      rows.forEach(({ vector }, row) => decodeVector(vector, set.format, vectors, row * set.dimensions));
      after = last.position;
      yield { ids: rows.map(({ id }) => id), vectors, position: after };
    }
  }

  async get(version: string, ids: readonly string[]): Promise<Map<string, Float32Array>> {
    return this.#gate.read(async (db) => {
      const set = await findSet(db, version);
      const found = new Map<string, Float32Array>();
      if (checkIds(ids).length === 0) return found;
      const rows = await db
        .selectFrom("vectors as v")
        .innerJoin("papers as p", "p.num", "v.num")
        .select(["p.id", "v.vector"])
        .where("v.set_num", "=", set.num)
        .where("p.id", "in", ids)
        .execute();
      for (const { id, vector } of rows) {
        const values = new Float32Array(set.dimensions);
        decodeVector(vector, set.format, values, 0);
        found.set(id, values);
      }
      return found;
    });
  }

  async nearest(
    version: string,
    query: Float32Array,
    options: { readonly limit?: number; readonly filter?: PaperFilter } = {},
  ): Promise<VectorHit[]> {
    const limit = options.limit === undefined ? MAX_NEAREST : pageLimit(options.limit, MAX_NEAREST);
    const set = await this.#gate.read((db) => findSet(db, version));
    if (query.length !== set.dimensions) {
      throw new StoreError("invalid", `query: expected ${set.dimensions} dimensions, got ${query.length}.`);
    }
    const narrowed = isNarrowing(options.filter);
    const allowed = narrowed
      ? await this.#gate.read(async (db) => {
          const { from, where } = filterParts(options.filter);
          const { rows } = await sql<{ id: string }>`select p.id as id from ${from} where ${where}`.execute(
            db,
          );
          return new Set(rows.map(({ id }) => id));
        })
      : null;
    let best: VectorHit[] = [];
    for await (const { ids, vectors } of this.read(version)) {
      ids.forEach((id, row) => {
        if (allowed !== null && !allowed.has(id)) return;
        let score = 0;
        const start = row * set.dimensions;
        for (let at = 0; at < set.dimensions; at++)
          score += (vectors[start + at] as number) * (query[at] as number);
        best.push({ id, score });
      });
      best = best.sort((a, b) => b.score - a.score || (a.id < b.id ? 1 : -1)).slice(0, limit);
    }
    return best;
  }

  async activate(version: string): Promise<void> {
    return this.#gate.write(async (db) => {
      const { num, active } = await findSet(db, version);
      if (active === 1) return;
      await db.updateTable("vector_sets").set({ active: 0 }).where("active", "=", 1).execute();
      await db
        .updateTable("vector_sets")
        .set({ active: 1, activated_at: this.#gate.now() })
        .where("num", "=", num)
        .execute();
    });
  }

  async drop(version: string): Promise<void> {
    await this.#gate.steps(async (db) => {
      const { num, active } = await findSet(db, version);
      if (active === 1) throw new StoreError("conflict", `Vector set ${version} is in use.`);
      const rows = await db
        .selectFrom("vectors")
        .select("position")
        .where("set_num", "=", num)
        .orderBy("position")
        .limit(DROP_BATCH)
        .execute();
      if (rows.length === 0) {
        await db.deleteFrom("vector_sets").where("num", "=", num).execute();
        return false;
      }
      await db
        .deleteFrom("vectors")
        .where(
          "position",
          "in",
          rows.map(({ position }) => position),
        )
        .execute();
      return true;
    });
  }
}
