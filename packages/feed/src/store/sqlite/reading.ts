import { sql } from "kysely";
import type { Papers, TextIndex, VectorIndex } from "../ports.ts";
import type { Gate } from "../sql/gate.ts";
import { SqlPapers } from "../sql/papers.ts";
import { SqlVectors } from "../sql/vectors.ts";
import { SqliteGate } from "./gate.ts";
import { openForReading } from "./open.ts";
import { SqliteTextIndex, sqliteTextWriter } from "./text.ts";
import { type PaperCounts, stemCounts } from "./text-query.ts";

/** What another thread or process reads of a store while its owner writes. */
export interface ReadingPorts {
  readonly gate: Gate;
  readonly papers: Papers;
  readonly text: TextIndex;
  readonly vectors: VectorIndex;
  /** Another number after every commit of others. */
  dataVersion(): number;
  /** Those of some papers that are there. */
  existing(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** Titles and abstracts of some papers, in any order; unknown ids are left out. */
  texts(
    ids: readonly string[],
  ): Promise<{ readonly id: string; readonly title: string; readonly abstract: string }[]>;
  /** How many papers there are, and how many have each of these stems; stems that none has are left out. */
  stemCounts(stems: readonly string[]): Promise<PaperCounts>;
  close(): Promise<void>;
}

/**
 * Opens a store for reading alone: calls that write throw.
 * @throws StoreError as `openForReading`
 */
export function readingPorts(path: string): ReadingPorts {
  const database = openForReading(path);
  const gate = new SqliteGate({ path, writer: database, reader: null }, Date.now);
  const version = database.prepare("pragma data_version");
  return {
    gate,
    papers: new SqlPapers(gate, sqliteTextWriter),
    text: new SqliteTextIndex(gate),
    vectors: new SqlVectors(gate),
    dataVersion: () => Number(version.get()?.data_version),
    existing: (ids) =>
      gate.read(async (db) => {
        const { rows } = await sql<{ id: string }>`
          select id from papers where id in (select value from json_each(${JSON.stringify(ids)}))`.execute(
          db,
        );
        return new Set(rows.map(({ id }) => id));
      }),
    texts: (ids) =>
      gate.read(async (db) => {
        const { rows } = await sql<{ id: string; title: string; abstract: string }>`
          select id, record ->> '$.title' as title, record ->> '$.abstract' as abstract
          from papers where id in (select value from json_each(${JSON.stringify(ids)}))`.execute(db);
        return rows;
      }),
    stemCounts: (stems) => gate.read((db) => stemCounts(db, stems)),
    close: () => gate.close(),
  };
}
