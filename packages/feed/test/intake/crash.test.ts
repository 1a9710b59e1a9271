import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ingest } from "../../src/intake/index.ts";
import { createSafeFetch } from "../../src/net/index.ts";
import { openSqliteStore, type SqliteStore } from "../../src/store/index.ts";

const RECORDS = 1500;
let folder: string;
let papers: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-crash-"));
  papers = join(folder, "papers.jsonl");
  const lines = Array.from({ length: RECORDS }, (_, index) => {
    // Every third record is a second version of the one before, every tenth cannot be used.
    const id =
      index % 10 === 9 ? "no id" : `2405.${String(index - (index % 3 === 1 ? 1 : 0)).padStart(5, "0")}`;
    const version = index % 3 === 1 ? "v2" : "v1";
    return JSON.stringify({
      id: id === "no id" ? id : `${id}${version}`,
      title: `Paper ${index}`,
      abstract: "Text. ".repeat(150),
    });
  });
  await writeFile(papers, lines.join("\n"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Reads in a process of its own, which is killed when it has reported so many items. */
function readAndDie(store: string, after: number): Promise<boolean> {
  const child = spawn(
    process.execPath,
    [
      "--conditions=source",
      "--disable-warning=ExperimentalWarning",
      fileURLToPath(new URL("ingest-child.ts", import.meta.url)),
      store,
      papers,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  child.stdout.on("data", (chunk: Buffer) => {
    const items = Number(chunk.toString().trim().split("\n").at(-1));
    if (items >= after) child.kill("SIGKILL");
  });
  return new Promise((resolve) => child.on("close", (_code, signal) => resolve(signal === "SIGKILL")));
}

async function contents(store: SqliteStore): Promise<unknown[]> {
  const all: unknown[] = [];
  for (let after = 0; ; ) {
    const page = await store.papers.changes({ after, limit: 1000 });
    const last = page.at(-1);
    if (last === undefined) break;
    after = last.revision;
    all.push(...page.map(({ revision, addedAt, ...paper }) => paper));
  }
  return all.sort((a, b) => ((a as { id: string }).id < (b as { id: string }).id ? -1 : 1));
}

describe("a reading that is killed", () => {
  it("ends, started again and again, with the same store as one that never was", async () => {
    const fetch = createSafeFetch();
    const whole = openSqliteStore(join(folder, "whole.sqlite"));
    const broken = join(folder, "broken.sqlite");
    try {
      const report = await ingest({ kind: "file", path: papers }, whole, { fetch });
      expect(report).toMatchObject({ status: "done", items: RECORDS, rejected: RECORDS / 10 });
      const kills: boolean[] = [];
      for (const after of [1, 300, 400]) kills.push(await readAndDie(broken, after));
      expect(kills).toEqual([true, true, true]);
      const store = openSqliteStore(broken);
      try {
        const rest = await ingest({ kind: "file", path: papers }, store, { fetch });
        expect(rest.status).toBe("done");
        expect(rest.notes.join()).toMatch(/goes on after record \d+/);
        expect(rest.items).toBeLessThan(RECORDS);
        expect(await contents(store)).toEqual(await contents(whole));
        expect((await store.intake.rejections({ limit: 200 })).items).toHaveLength(RECORDS / 10);
        const again = await ingest({ kind: "file", path: papers }, store, { fetch });
        expect(again).toMatchObject({ inserted: 0, updated: 0, rejected: RECORDS / 10 });
        expect((await store.health()).ok).toBe(true);
      } finally {
        await store.close();
      }
    } finally {
      await whole.close();
      await fetch.close();
    }
  });
});
