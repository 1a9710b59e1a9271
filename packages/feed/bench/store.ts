/**
 * Speed of the embedded store on generated papers:
 *
 *   node --conditions=source packages/feed/bench/store.ts [PAPERS] [FOLDER]
 *
 * Titles of 10 and abstracts of 64 words from a vocabulary of 20,000 with frequencies as in language (word r is 1/r as
 * frequent as the first), six authors of 60,000, 40 categories, 300 days.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backupStore, openSqliteStore, type PaperRecord, paperRecord } from "../src/index.ts";
import { measureTurns } from "./turns.ts";

const [count = "100000", parent = tmpdir()] = process.argv.slice(2);
const total = Number(count);
const QUERIES = 200;
const PER_CALL = 1000;

/** Mulberry32: the same papers in every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = generator(7);
const below = (limit: number) => Math.floor(random() * limit);
const syllables = [
  "ba",
  "co",
  "di",
  "fu",
  "gra",
  "ke",
  "lo",
  "mi",
  "nu",
  "per",
  "qua",
  "ri",
  "sto",
  "ta",
  "ve",
  "xi",
];
const nameOf = (n: number) =>
  [n & 15, (n >> 4) & 15, (n >> 8) & 15, (n >> 12) & 15].map((part) => syllables[part]).join("");
const VOCABULARY = 20_000;
/** Rank r with probability proportional to 1/r. */
const word = () => nameOf(Math.floor(VOCABULARY ** random()) * 3);
const words = (n: number) => Array.from({ length: n }, word).join(" ");

function record(n: number): PaperRecord {
  const month = 2001 + Math.floor(n / 100_000);
  return paperRecord.parse({
    id: `${month}.${String(n % 100_000).padStart(5, "0")}`,
    title: words(10),
    abstract: words(64),
    authors: Array.from({ length: 6 }, () => ({ name: `${nameOf(below(250))} ${nameOf(below(60_000))}` })),
    announced: new Date(Date.UTC(2026, 0, 1 + (n % 300))).toISOString().slice(0, 10),
    categories: [`cs.C${below(40)}`],
    ...(n % 5 === 0 && { links: { code: "https://example.org/code" } }),
    sources: ["generated"],
  });
}

const ms = (value: number) => value.toFixed(2).padStart(8);

async function measure(name: string, times: number, work: () => Promise<unknown>): Promise<void> {
  for (let n = 0; n < 5; n++) await work();
  const cpu = process.cpuUsage();
  const taken: number[] = [];
  for (let n = 0; n < times; n++) {
    const start = performance.now();
    await work();
    taken.push(performance.now() - start);
  }
  const { user, system } = process.cpuUsage(cpu);
  taken.sort((a, b) => a - b);
  const at = (share: number) => taken[Math.min(taken.length - 1, Math.floor(share * taken.length))] as number;
  console.log(
    `${name.padEnd(34)} p50 ${ms(at(0.5))}  p95 ${ms(at(0.95))}  max ${ms(at(1))} ms  cpu ${ms((user + system) / 1000 / times)} ms`,
  );
}

const folder = mkdtempSync(join(parent, "concord-bench-"));
const file = join(folder, "store.db");
const store = openSqliteStore(file);
const rss = () => `${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`;
console.log(`${total} papers, Node ${process.version}, RSS at start ${rss()}`);

let [inserted, generated] = [0, 0];
let peak = 0;
const cpuAtStart = process.cpuUsage();
let generatingCpu = 0;
const turns = { p99: 0, longest: 0 };
for (let start = 0; start < total; start += PER_CALL) {
  const began = performance.now();
  const cpu = process.cpuUsage();
  const records = Array.from({ length: Math.min(PER_CALL, total - start) }, (_, n) => record(start + n));
  const spent = process.cpuUsage(cpu);
  generatingCpu += (spent.user + spent.system) / 1e6;
  const ready = performance.now();
  const { turns: now } = await measureTurns(() => store.papers.upsert(records));
  for (const name of ["p99", "longest"] as const) turns[name] = Math.max(turns[name], now[name]);
  generated += ready - began;
  inserted += performance.now() - ready;
  peak = Math.max(peak, process.memoryUsage().rss);
  if (process.stderr.isTTY) process.stderr.write(`\r${start + records.length}`);
}
const cpu = process.cpuUsage(cpuAtStart);
console.log(
  `insert: ${(inserted / 1000).toFixed(1)} s (${Math.round(total / (inserted / 1000))}/s), CPU ${((cpu.user + cpu.system) / 1e6 - generatingCpu).toFixed(1)} s; generating took ${(generated / 1000).toFixed(1)} s`,
);
console.log(
  `processor time of a turn of the event loop while inserting: p99 ${ms(turns.p99)} ms, longest ${ms(turns.longest)} ms; peak RSS ${(peak / 2 ** 20).toFixed(0)} MiB`,
);
const again = performance.now();
await store.papers.upsert(Array.from({ length: PER_CALL }, (_, n) => record(total + n)));
console.log(`one more day of ${PER_CALL}: ${((performance.now() - again) / 1000).toFixed(2)} s`);

const { ms: tidied } = await store.maintain();
console.log(
  `maintain: ${(tidied / 1000).toFixed(2)} s; file ${(statSync(file).size / 2 ** 20).toFixed(0)} MiB, RSS ${rss()}`,
);

const ada = (await store.people.create({ name: "ada" })).id;
for (let n = 0; n < 500; n++)
  await store.activity.vote(
    record(0).id.replace(/\d{5}$/, String(below(Math.min(total, 100_000))).padStart(5, "0")),
    { accountId: ada },
    true,
  );

await measure("first page, newest", QUERIES, () => store.papers.list({}));
await measure("first page, trending", QUERIES, () => store.papers.list({ order: "trending" }));
await measure("first page of a category", QUERIES, () =>
  store.papers.list({ filter: { category: `cs.C${below(40)}` } }),
);
await measure("first page, has code", QUERIES, () => store.papers.list({ filter: { hasCode: true } }));
await measure("a day by votes", QUERIES, () => {
  const day = new Date(Date.UTC(2026, 0, 1 + below(300))).toISOString().slice(0, 10);
  return store.papers.list({ order: "top", filter: { from: day, to: day } });
});
await measure("period (month)", QUERIES, () => store.papers.period("month", { at: "2026-05-10" }));
const { items } = await store.papers.list({ limit: 200 });
await measure("one paper", QUERIES, () => store.papers.get(items[below(200)]?.id ?? ""));
await measure("words, AND of 2", QUERIES, () => store.text.search(words(2), { mode: "all" }));
await measure("words, AND of 3", QUERIES, () => store.text.search(words(3), { mode: "all" }));
await measure("words, OR of 3", QUERIES, () => store.text.search(words(3), { mode: "any" }));
await measure("words, auto of 3", QUERIES, () => store.text.search(words(3)));
await measure("words, auto of 3, one category", QUERIES, () =>
  store.text.search(words(3), { filter: { category: `cs.C${below(40)}` } }),
);
await measure("author, misspelt", QUERIES, () =>
  store.text.authors(`${nameOf(below(250))} ${nameOf(below(60_000)).replace("a", "e")}`),
);
await measure("a vote", QUERIES, () =>
  store.activity.vote(items[below(200)]?.id ?? "", { accountId: ada }, random() < 0.5),
);
const copying = performance.now();
await backupStore(file, join(folder, "copy.db"));
console.log(`backup with checks: ${((performance.now() - copying) / 1000).toFixed(2)} s; RSS ${rss()}`);
await store.close();
rmSync(folder, { recursive: true });
