/**
 * How well papers are found again, on real records whose encoder never saw the papers looked for.
 *
 *   node --conditions=source packages/feed/bench/search-quality.ts [--data FOLDER] [--work FOLDER] [--steps N] [--tune]
 *
 * FOLDER holds arXiv records as `*.jsonl.gz`. Of all records 1,000 are reported on and 1,000 others tune what is tuned
 * (--tune shows them); neither is trained on. `query-sets.ts` says what is asked.
 *
 * Ways: `bm25` is BM25 over every text as in textbooks, `stems` the same over the stems of words, `words` what the site
 * does with words (the store's index, and the wording of the query), `meaning` the encoder, `ranks` reciprocal rank
 * fusion of these two and `hybrid` their fusion by scores, which the site answers with. All search all texts.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { createExactIndex } from "@concord/align";
import { foldIn, permutation, RandomStream, randomKey } from "@concord/tensor";
import { Bm25, wordsOf } from "../src/encoder/bm25.ts";
import { writeEncoder } from "../src/encoder/folder.ts";
import { openTextEncoder, type TextEncoder, trainEncoder } from "../src/encoder/index.ts";
import { qualityOf } from "../src/encoder/retrieval.ts";
import { type PaperRecord, paperRecord } from "../src/record.ts";
import { FUSION_DEPTH, fuseRanks, fuseScores, MEANING_WEIGHT, type ScoredId } from "../src/search/fusion.ts";
import { rankByWords } from "../src/search/word-ranking.ts";
import { readingPorts } from "../src/store/sqlite/reading.ts";
import { openSqliteStore } from "../src/store/sqlite/store.ts";
import { stemOf } from "../src/store/stem.ts";
import { collections, type Item, type QuerySet } from "./query-sets.ts";

const { values: flags } = parseArgs({
  options: {
    data: { type: "string", default: join(import.meta.dirname, "../../../../shared/data/papers") },
    work: { type: "string" },
    steps: { type: "string" },
    tune: { type: "boolean", default: false },
  },
});

const REPORTED = 1000;
const TUNED = 1000;
const RESAMPLES = 2000;
const key = randomKey(2026);

function records(folder: string): Item[] {
  const found = new Map<string, Item>();
  for (const name of readdirSync(folder)
    .filter((file) => file.endsWith(".jsonl.gz"))
    .sort()) {
    for (const line of gunzipSync(readFileSync(join(folder, name)))
      .toString("utf8")
      .split("\n")) {
      if (line === "") continue;
      const { title, abstract, authors } = JSON.parse(line) as Item;
      if (typeof title === "string" && typeof abstract === "string" && title !== "" && abstract !== "")
        found.set(title.toLowerCase(), { title, abstract, authors });
    }
  }
  return [...found.values()];
}

type Ranking = readonly ScoredId[];

async function meaningRanks(
  encoder: TextEncoder,
  vectors: Float32Array,
  queries: readonly string[],
): Promise<Ranking[]> {
  const { width } = encoder;
  await using index = createExactIndex(
    { dtype: "float32", shape: [vectors.length / width, width], data: vectors },
    { metric: "dot" },
  );
  const data = await encoder.encode(queries);
  const { indices, scores, k } = await index.search(
    { dtype: "float32", shape: [queries.length, width], data },
    { k: FUSION_DEPTH },
  );
  return queries.map((_, q) =>
    Array.from(indices.subarray(q * k, (q + 1) * k), (row, i) => ({
      id: String(row),
      score: scores[q * k + i] as number,
    })),
  );
}

/** The site's ranking by words over texts as abstracts, under titles without words of theirs. */
async function openWordSearch(texts: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), "concord-quality-"));
  const path = join(folder, "store.sqlite");
  const idOf = (i: number) =>
    `${String(1000 + Math.floor(i / 90_000)).padStart(4, "0")}.${String(i % 90_000).padStart(5, "0")}`;
  const rows: PaperRecord[] = texts.map((abstract, i) =>
    paperRecord.parse({ id: idOf(i), title: `Zz${i}`, abstract, sources: ["bench"] }),
  );
  const places = new Map(rows.map(({ id }, i) => [id, String(i)]));
  const store = openSqliteStore(path);
  for (let start = 0; start < rows.length; start += 500)
    await store.papers.upsert(rows.slice(start, start + 500));
  await store.close();
  const ports = readingPorts(path);
  return {
    async search(query: string): Promise<Ranking> {
      const { hits } = await rankByWords(ports, query.slice(0, 200));
      return hits.map(({ id, score }) => ({ id: places.get(id) as string, score }));
    },
    async [Symbol.asyncDispose]() {
      await ports.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const stems = (text: string): string => wordsOf(text).map(stemOf).join(" ");

/** Place of the first right text of each query. */
const placesOf = (ranks: readonly Ranking[], { wanted, without }: QuerySet) =>
  ranks.map((list, q) => {
    const right = new Set(wanted[q]?.map(String));
    const left = list.filter(({ id }) => id !== String(without?.[q]));
    const place = left.findIndex(({ id }) => right.has(id));
    return place < 0 ? Number.POSITIVE_INFINITY : place + 1;
  });

const gain = (place: number) => (place <= 10 ? 1 / place : 0);

/** 95 % interval of a mean by resampling queries. */
function interval(values: readonly number[]): string {
  const random = new RandomStream(foldIn(key, 99));
  const means = Array.from({ length: RESAMPLES }, () => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[random.integer(values.length)] as number;
    return sum / values.length;
  }).sort((a, b) => a - b);
  const [low, high] = [0.025, 0.975].map((share) => show(means[Math.floor(share * RESAMPLES)] as number));
  return `[${low}, ${high}]`;
}

const show = (value: number) => value.toFixed(3);

async function encoderOf(training: readonly Item[], work: string): Promise<TextEncoder> {
  const model = join(work, "model");
  if (existsSync(join(model, "config.json"))) return openTextEncoder(model);
  let last = 0;
  const trained = await trainEncoder(
    training.map((item, i) => ({ ...item, id: String(i) })),
    {
      checkpoints: work,
      settings: flags.steps === undefined ? {} : { steps: Number(flags.steps) },
      onProgress: ({ phase, step, steps, loss, computeSeconds, dataSeconds }) => {
        if (step - last < 25 && step !== steps) return;
        last = step;
        console.log(
          `${phase} ${step}/${steps} loss ${loss?.toFixed(3) ?? "-"} data ${dataSeconds.toFixed(0)} s, compute ${computeSeconds.toFixed(0)} s`,
        );
      },
    },
  );
  console.log(`trained in ${trained.seconds.toFixed(0)} s (from step ${trained.resumedAt})`);
  await writeEncoder(model, { ...trained, name: "search-quality" });
  return openTextEncoder(model);
}

type Way = "bm25" | "stems" | "words" | "meaning";
type Ways = Readonly<Record<Way, readonly Ranking[]>>;

const hybrid = ({ words, meaning }: Ways, weight = MEANING_WEIGHT, by = words) =>
  by.map((hits, q) => fuseScores(hits, meaning[q] ?? [], weight));

const byRanks = ({ words, meaning }: Ways, weight = 1) =>
  words.map((hits, q) =>
    fuseRanks(
      hits.map(({ id }) => id),
      (meaning[q] ?? []).map(({ id }) => id),
      { words: 1, meaning: weight },
    ),
  );

function tune(set: QuerySet, ways: Ways): void {
  const line = (list: readonly Ranking[]) => show(qualityOf(placesOf(list, set)).mrr10);
  for (const weight of [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1]) {
    console.log(
      `  ${weight}: hybrid ${line(hybrid(ways, weight))}; over stems ${line(hybrid(ways, weight, ways.stems))}; ranks ${line(byRanks(ways, weight))}`,
    );
  }
}

function report(set: QuerySet, ways: Ways): void {
  const all = { ...ways, ranks: byRanks(ways), hybrid: hybrid(ways) };
  const places = Object.entries(all).map(([name, list]) => [name, placesOf(list, set)] as const);
  const references = places.filter(([name]) => name === "bm25" || name === "stems" || name === "words");
  for (const [name, own] of places) {
    const { mrr10, recall10 } = qualityOf(own);
    const less = references.map(([reference, other]) => {
      const differences = own.map((place, q) => gain(place) - gain(other[q] as number));
      return `${reference} ${interval(differences)}`;
    });
    console.log(
      `  ${name.padEnd(8)} MRR@10 ${show(mrr10)} ${interval(own.map(gain))}  R@10 ${show(recall10)}  MRR@10 less that of ${less.join(", ")}`,
    );
  }
}

async function main(): Promise<void> {
  if (!existsSync(flags.data)) {
    console.log(`Skipped: there are no records in ${flags.data}; --data names another folder.`);
    return;
  }
  const work = flags.work ?? mkdtempSync(join(tmpdir(), "concord-search-quality-"));
  await mkdir(work, { recursive: true });
  const all = records(flags.data);
  const items = [...permutation(key, all.length)].map((i) => all[i] as Item);
  const from = flags.tune ? REPORTED : 0;
  const asked = Array.from({ length: flags.tune ? TUNED : REPORTED }, (_, i) => from + i);
  const training = items.slice(REPORTED + TUNED);
  console.log(
    `${items.length} records; ${training.length} for training, ${TUNED} for tuning, ${REPORTED} reported`,
  );
  await using encoder = await encoderOf(training, work);
  const words = new Bm25(items.map(({ abstract }) => abstract));
  for (const { texts, sets } of collections(items, asked, words)) {
    const bm25 = new Bm25(texts);
    const stemmed = new Bm25(texts.map(stems));
    const byBm25 = (index: Bm25, query: string): Ranking =>
      index.search(query, FUSION_DEPTH).map(({ doc, score }) => ({ id: String(doc), score }));
    const vectors = await encoder.encode(texts);
    await using wordSearch = await openWordSearch(texts);
    for (const set of sets) {
      const start = performance.now();
      const byWords: Ranking[] = [];
      for (const query of set.queries) byWords.push(await wordSearch.search(query));
      const ways: Ways = {
        bm25: set.queries.map((query) => byBm25(bm25, query)),
        stems: set.queries.map((query) => byBm25(stemmed, stems(query))),
        words: byWords,
        meaning: await meaningRanks(encoder, vectors, set.queries),
      };
      console.log(
        `\n${set.name}: ${set.queries.length} queries among ${texts.length} (${((performance.now() - start) / 1000).toFixed(0)} s)`,
      );
      if (flags.tune) tune(set, ways);
      report(set, ways);
    }
  }
}

await main();
