import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { logRecord, type RunStore } from "../../src/harness/index.ts";

/** Everything about a run that must not depend on whether it was interrupted: results, curves, notes, files. */
export async function runOutcome(store: RunStore, id: string): Promise<unknown> {
  const record = await store.read(id);
  const text = await readFile(store.path(id, "log.jsonl"), "utf8");
  // Units that were done at the same time have their lines between each other's.
  const log = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => logRecord.parse(JSON.parse(line)))
    .sort((a, b) => ((a.unit ?? "") < (b.unit ?? "") ? -1 : Number(a.unit !== b.unit)));
  const files: Record<string, string> = {};
  for (const entry of await readdir(store.path(id), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = relative(store.path(id), path);
    // What went wrong on the way may stay; everything else must be as if nothing had.
    if (["run.json", "log.jsonl", "lock", "error.txt"].includes(name)) continue;
    files[name] = await readFile(path, "base64");
  }
  return {
    status: record.status,
    results: record.results,
    verdicts: record.verdicts,
    units: record.units.map(({ id: unit, status }) => ({ unit, status })),
    curves: log.flatMap((line) =>
      line.kind === "step" ? [[line.unit, line.phase, line.step, line.values]] : [],
    ),
    notes: log.flatMap((line) =>
      line.kind === "note" && line.unit !== "run" ? [[line.unit, line.level, line.message]] : [],
    ),
    files,
  };
}
