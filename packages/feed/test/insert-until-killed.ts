/**
 * Child process of the crash test: inserts papers and tells each batch on standard output once it is acknowledged.
 *
 *   node insert-until-killed.ts FILE FIRST COUNT
 */
import { writeSync } from "node:fs";
import { openSqliteStore, paperRecord } from "../src/index.ts";

const [file = "", first = "0", count = "0"] = process.argv.slice(2);
const store = openSqliteStore(file);
for (let n = Number(first); n < Number(first) + Number(count); n += 5) {
  const records = Array.from({ length: 5 }, (_, index) => {
    const id = `${2001 + Math.floor((n + index) / 100_000)}.${String((n + index) % 100_000).padStart(5, "0")}`;
    return paperRecord.parse({
      id,
      title: `Paper ${id}`,
      abstract: `Abstract of ${id}.`,
      authors: [{ name: `Author ${n}` }],
    });
  });
  await store.papers.upsert(records);
  // Synchronous: a line that is read was written after the acknowledgement.
  for (const { id } of records) writeSync(1, `${id}\n`);
}
await store.close();
