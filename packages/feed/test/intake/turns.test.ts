import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type IngestSource, ingest } from "../../src/intake/index.ts";
import { createSafeFetch } from "../../src/net/index.ts";
import { openSqliteStore, type SqliteStore } from "../../src/store/index.ts";
import { body, JumpingClock, ReplayServer } from "../net/replay-server.ts";
import { rss } from "./fixtures.ts";

const WORDS =
  "alignment of contrastive representations under noisy pairs with temperature and large batches".split(" ");
const text = (seed: number, words: number) =>
  Array.from(
    { length: words },
    (_, index) => WORDS[(seed * 7 + index * ((seed % 5) + 1)) % WORDS.length],
  ).join(" ");

/** Milliseconds of this thread's processor time: other processes do not count. */
function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Processor time of each turn of the event loop while `work` goes on, and of each transaction, rising. */
async function measured(store: SqliteStore, work: (store: SqliteStore) => Promise<void>) {
  const turns: number[] = [];
  const transactions: number[] = [];
  let going = true;
  let last = threadMs();
  const turn = (): void => {
    const now = threadMs();
    turns.push(now - last);
    last = now;
    if (going) setImmediate(turn);
  };
  setImmediate(turn);
  const watched = Object.create(store, {
    transaction: {
      async value(run: Parameters<SqliteStore["transaction"]>[0]) {
        const start = threadMs();
        const result = await store.transaction(run);
        transactions.push(threadMs() - start);
        return result;
      },
    },
  }) as SqliteStore;
  await work(watched);
  going = false;
  const sorted = (values: number[]) => values.sort((a, b) => a - b);
  return { turns: sorted(turns), transactions: sorted(transactions) };
}

it("reading many papers leaves the process free: turns and transactions are short", async () => {
  const folder = await mkdtemp(join(tmpdir(), "concord-turns-"));
  await using server = await ReplayServer.start();
  const fetch = createSafeFetch({
    clock: new JumpingClock(),
    reroute: { "https://rss.arxiv.org": server.origin },
  });
  const store = openSqliteStore(join(folder, "store.sqlite"));
  try {
    const path = join(folder, "papers.jsonl");
    const lines = Array.from({ length: 1500 }, (_, index) =>
      JSON.stringify({
        id: `2405.${String(index).padStart(5, "0")}`,
        title: `Paper ${index}: ${text(index, 8)}`,
        abstract: text(index, 200),
        authors: [`Ada Example ${index % 97}`, `Bo Müller ${index % 89}`, "Cy Old"],
        categories: ["cs.LG", "cs.CV"],
      }),
    );
    await writeFile(path, lines.join("\n"));
    const item = /<item>[\s\S]*?<\/item>/.exec(rss)?.[0] ?? "";
    const items = Array.from({ length: 1000 }, (_, index) =>
      item
        .replaceAll("2605.00001", `2605.${String(index).padStart(5, "0")}`)
        .replace("truly", text(index, 200)),
    );
    server.on(
      "/rss/cs.LG",
      body(rss.replace(/<item>[\s\S]*<\/item>/, items.join("\n")), {
        type: "application/rss+xml",
        gzip: true,
      }),
    );
    const sources: readonly IngestSource[] = [
      { kind: "file", path },
      { kind: "arxiv-rss", categories: ["cs.LG"] },
    ];
    const { turns, transactions } = await measured(store, async (watched) => {
      for (const source of sources) {
        const report = await ingest(source, watched, { fetch });
        expect([report.error, report.inserted]).toEqual([null, source.kind === "file" ? 1500 : 1000]);
      }
    });
    const at = (values: number[], share: number) => values[Math.floor(values.length * share)] ?? 0;
    expect(transactions.length).toBeGreaterThan(20);
    expect(at(transactions, 0.95)).toBeLessThan(50);
    // The last hundredth leaves room for what is compiled and collected in between.
    expect(at(turns, 0.99)).toBeLessThan(50);
  } finally {
    await store.close();
    await fetch.close();
    await rm(folder, { recursive: true, force: true });
  }
});
