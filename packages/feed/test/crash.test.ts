import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { openSqliteStore } from "../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "concord-crash-"));
const script = fileURLToPath(new URL("./insert-until-killed.ts", import.meta.url));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function start(file: string, first: number, count: number) {
  const child = spawn(
    process.execPath,
    [
      "--conditions=source",
      "--disable-warning=ExperimentalWarning",
      script,
      file,
      String(first),
      String(count),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  // The last line may be torn: it was not read whole, so it does not count as acknowledged.
  const acknowledged = () => text.split("\n").slice(0, -1);
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  return { child, acknowledged, ended };
}

async function firstWords(run: ReturnType<typeof start>, lines: number): Promise<void> {
  for (let waited = 0; run.acknowledged().length < lines; waited += 10) {
    if (waited > 30_000) throw new Error("The child process writes nothing.");
    await sleep(10);
  }
}

const kill = (child: ChildProcess) => child.kill("SIGKILL");

async function verify(file: string, expected: ReadonlySet<string>): Promise<void> {
  const store = openSqliteStore(file);
  const total = await store.papers.count();
  // Every paper is in the index too, and nothing else is.
  expect((await store.text.search("abstract", { mode: "all" })).hits.length).toBe(Math.min(200, total));
  const found = new Set<string>();
  for (let after = 0; ; ) {
    const some = await store.papers.changes({ after, limit: 1000 });
    for (const { id, revision } of some) {
      found.add(id);
      after = revision;
    }
    if (some.length === 0) break;
  }
  expect([...expected].filter((id) => !found.has(id))).toEqual([]);
  await store.close();
  const database = new DatabaseSync(file);
  expect(database.prepare("pragma integrity_check").get()).toEqual({ integrity_check: "ok" });
  expect(database.prepare("pragma foreign_key_check").all()).toEqual([]);
  database.exec("insert into paper_text (paper_text) values ('integrity-check')");
  const counts = database
    .prepare("select (select count(*) from papers) as p, (select count(*) from paper_text_docsize) as t")
    .get();
  expect(counts?.p).toBe(counts?.t);
  database.close();
}

describe("a store whose process dies", () => {
  it("has every acknowledged row after each of several kills", { timeout: 120_000 }, async () => {
    const file = join(folder, "killed.db");
    const acknowledged = new Set<string>();
    for (let round = 0; round < 4; round++) {
      const run = start(file, round * 100_000, 100_000);
      await firstWords(run, 5);
      // Another moment of the work each time.
      await sleep(37 * round);
      kill(run.child);
      await run.ended;
      for (const id of run.acknowledged()) acknowledged.add(id);
    }
    expect(acknowledged.size).toBeGreaterThanOrEqual(20);
    await verify(file, acknowledged);
  });

  it("keeps the rows of two processes that write at once", { timeout: 120_000 }, async () => {
    const file = join(folder, "shared.db");
    const runs = [start(file, 0, 300), start(file, 100_000, 300)];
    expect(await Promise.all(runs.map(({ ended }) => ended))).toEqual([0, 0]);
    const acknowledged = new Set(runs.flatMap((run) => run.acknowledged()));
    expect(acknowledged.size).toBe(600);
    await verify(file, acknowledged);
  });
});
