/**
 * Speed of the search as the site runs it, over many papers:
 *
 *   node --conditions=source packages/feed/bench/search-speed.ts [PAPERS] [--rounds N]
 *
 * Titles of 10 and abstracts of 64 words from a vocabulary of 20,000 with frequencies as in language (the word of rank r
 * is 1/r as frequent as the first) and words of a topic. Vectors are those of the papers' topics with noise, of the
 * width of the encoder; the encoder itself is a freshly made one of the same shape as Concord
 * trains, so that encoding a query costs what it costs. Queries are two to five words of a topic; each is asked once.
 *
 * Whole answers are timed: thread, ranking, fusion, reading the rows of a page of 24, marking. Where other programs use
 * the machine, the least median of several rounds says more than one round does.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { trainWordTokenizer } from "@concord/data";
import { RandomStream, randomKey } from "@concord/tensor";
import { writeEncoder, writeFigures } from "../src/encoder/folder.ts";
import { trainingDefaults } from "../src/encoder/index.ts";
import { sentenceEncoderInit } from "../src/encoder/model.ts";
import { stemTable } from "../src/encoder/stems.ts";
import { type OpenedSearch, openSearch, openSqliteStore, paperRecord } from "../src/index.ts";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "5" }, folder: { type: "string", default: tmpdir() } },
});
const total = Number(positionals[0] ?? 100_000);
const ROUNDS = Number(flags.rounds);
const QUERIES = 200;
const VOCABULARY = 20_000;
const TOPICS = 300;
const PER_CALL = 1000;
const NOISE = 1.2;

const random = new RandomStream(randomKey(7));
const syllables = "ba co di fu gra ke lo mi nu pra que ri so ta vu xe ya zo stra phi".split(" ");
const words = Array.from({ length: VOCABULARY }, (_, i) => {
  let [text, rest] = ["", i + 21];
  for (; rest > 0; rest = Math.floor(rest / syllables.length)) text += syllables[rest % syllables.length];
  return text;
});
const cumulative = new Float64Array(VOCABULARY);
let mass = 0;
for (let r = 0; r < VOCABULARY; r++) cumulative[r] = mass += 1 / (r + 1);
function zipf(): number {
  const at = random.uniform() * mass;
  let [low, high] = [0, VOCABULARY - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cumulative[middle] as number) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
const topicWords = Array.from({ length: TOPICS }, () =>
  Array.from({ length: 40 }, () => 200 + random.integer(VOCABULARY - 200)),
);
const word = (topic: number) =>
  words[random.chance(0.3) ? random.pick(topicWords[topic] as number[]) : zipf()] as string;
const text = (topic: number, length: number) => Array.from({ length }, () => word(topic)).join(" ");

const folder = mkdtempSync(join(flags.folder, "concord-search-speed-"));
const log = (line: string) => console.log(line);

async function fill(): Promise<{ readonly search: OpenedSearch; readonly close: () => Promise<void> }> {
  const path = join(folder, "store.sqlite");
  const store = openSqliteStore(path);
  const { width } = trainingDefaults;
  const version = "concord-20260101-000000";
  const models = join(folder, "models");
  const tokenizer = trainWordTokenizer([words.join(" ")], { maxVocabulary: trainingDefaults.maxVocabulary });
  const stems = stemTable(tokenizer);
  const shape = { stems: stems.count, width };
  const rarity = new Float32Array(stems.count).fill(1);
  await writeEncoder(join(models, version), {
    params: sentenceEncoderInit(randomKey(1), shape, rarity),
    shape,
    tokenizer,
    stems,
    name: version,
  });
  await writeFigures(join(models, version), {
    version,
    finishedAt: new Date().toISOString(),
    papers: 0,
    heldOut: 0,
    steps: 0,
    batchSize: 0,
    seconds: 0,
    loss: 0,
    mrr10: 0,
    recall10: 0,
    bm25Mrr10: 0,
  });
  const centres = Array.from({ length: TOPICS }, () =>
    Float32Array.from({ length: width }, () => random.normal()),
  );
  await store.vectors.create({ version, dimensions: width, format: "f16" });
  let [storing, putting] = [0, 0];
  for (let start = 0; start < total; start += PER_CALL) {
    const topics = Array.from({ length: Math.min(PER_CALL, total - start) }, () => random.integer(TOPICS));
    const papers = topics.map((topic, i) => {
      const number = start + i;
      const month = `${String(1 + (Math.floor(number / 9000) % 12)).padStart(2, "0")}`;
      return paperRecord.parse({
        id: `25${month}.${String(10_000 + (number % 9000) + 9000 * Math.floor(number / 108_000)).padStart(5, "0")}`,
        title: text(topic, 10),
        abstract: text(topic, 64),
        announced: `2025-${month}-${String(1 + (number % 28)).padStart(2, "0")}`,
        authors: [{ name: `${words[random.integer(2000)]} ${words[random.integer(2000)]}` }],
        categories: [`cs.${"ABCDEFGH"[number % 8]}A`],
        sources: ["bench"],
      });
    });
    const before = performance.now();
    await store.papers.upsert(papers);
    const between = performance.now();
    const ids = papers.map(({ id }) => id);
    const hashes = new Map(
      (await store.papers.getMany(ids.slice(0, 500)))
        .concat(await store.papers.getMany(ids.slice(500)))
        .map(({ id, textHash }) => [id, textHash]),
    );
    await store.vectors.put(
      version,
      ids.map((id, i) => {
        const centre = centres[topics[i] as number] as Float32Array;
        const vector = centre.map((value) => value + NOISE * random.normal());
        const length = Math.hypot(...vector);
        return { id, textHash: hashes.get(id) as string, vector: vector.map((value) => value / length) };
      }),
    );
    storing += between - before;
    putting += performance.now() - between;
    if ((start / PER_CALL) % 10 === 9) log(`${start + PER_CALL} papers`);
  }
  await store.vectors.activate(version);
  log(
    `papers in ${(storing / 1000).toFixed(0)} s, vectors in ${(putting / 1000).toFixed(0)} s, store ${(statSync(path).size / 2 ** 20).toFixed(0)} MB`,
  );
  const opening = performance.now();
  const search = openSearch({ store, modelsFolder: models, log: (_, line) => log(line), deadlineMs: 60_000 });
  const state = await search.state();
  log(`ready in ${((performance.now() - opening) / 1000).toFixed(1)} s: ${JSON.stringify(state)}`);
  return {
    search,
    async close() {
      await search.close();
      await store.close();
    },
  };
}

const quantile = (values: readonly number[], share: number) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))] as number;

const { search, close } = await fill();
const query = () => {
  const own = topicWords[random.integer(TOPICS)] as number[];
  return Array.from(
    { length: 2 + random.integer(4) },
    () => words[random.chance(0.15) ? zipf() : random.pick(own)],
  ).join(" ");
};
try {
  for (const mode of ["hybrid", "words", "meaning"] as const) {
    const rounds: number[][] = [];
    const parts: Record<string, number[]> = { encode: [], words: [], meaning: [], authors: [] };
    const delay = monitorEventLoopDelay({ resolution: 1 });
    for (let i = 0; i < 20; i++) await search.search({ query: query(), mode });
    delay.enable();
    for (let round = 0; round < ROUNDS; round++) {
      const times: number[] = [];
      for (let i = 0; i < QUERIES; i++) {
        const start = performance.now();
        await search.search({ query: query(), mode });
        times.push(performance.now() - start);
        for (const [name, ms] of Object.entries(search.lastParts() ?? {})) parts[name]?.push(ms);
      }
      rounds.push(times);
    }
    delay.disable();
    const medians = rounds.map((times) => quantile(times, 0.5));
    const p95 = rounds.map((times) => quantile(times, 0.95));
    const asked = Object.entries(parts).filter(([, times]) => times.length > 0);
    const each = asked.map(([name, times]) => `${name} ${quantile(times, 0.5).toFixed(1)}`);
    log(
      `${mode.padEnd(8)} p50 ${Math.min(...medians).toFixed(1)} (least of ${ROUNDS}; all ${medians.map((ms) => ms.toFixed(0)).join(" ")}), p95 ${Math.min(...p95).toFixed(1)} (all ${p95.map((ms) => ms.toFixed(0)).join(" ")}) ms; parts at the median: ${each.join(", ")}; caller's thread busy for at most ${(delay.max / 1e6).toFixed(0)} ms, 99 % ${(delay.percentile(99) / 1e6).toFixed(0)} ms`,
    );
  }
  const filtered: number[] = [];
  for (let i = 0; i < QUERIES; i++) {
    const start = performance.now();
    await search.search({ query: query(), filter: { from: "2025-03-01", to: "2025-04-30" } });
    filtered.push(performance.now() - start);
  }
  log(
    `hybrid within two months: p50 ${quantile(filtered, 0.5).toFixed(1)}, p95 ${quantile(filtered, 0.95).toFixed(1)} ms`,
  );
  log(`memory ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MB`);
} finally {
  await close();
  rmSync(folder, { recursive: true, force: true });
}
