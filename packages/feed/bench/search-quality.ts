/**
 * How well papers are found again, on real records whose encoder never saw the papers looked for.
 *
 *   node --conditions=source packages/feed/bench/search-quality.ts [--data FOLDER] [--work FOLDER] [--steps N]
 *
 * FOLDER holds arXiv records as `*.jsonl.gz`. Of all records 1,000 are reported on and 1,000 others tune what is tuned
 * (the fusion); neither is trained on. Queries, each with one right answer:
 *
 *   title        the title, looked for among abstracts (titles are not indexed)
 *   excerpt      a sentence from the middle of the abstract, looked for among title and the rest of the abstract
 *   keyword-poor the title without its two rarest words, looked for among abstracts
 *
 * Ways: `bm25` is BM25 over every text as in textbooks, `stems` the same over the stems of words, `words` the store's own keyword search, `meaning` the encoder,
 * `rrf` reciprocal rank
 * fusion of these two and `hybrid` their fusion by scores, which the site answers with. All are given all abstracts of the data to search in.
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
import { openSqliteStore } from "../src/store/sqlite/store.ts";
import { stemOf } from "../src/store/stem.ts";

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

interface Item {
  readonly title: string;
  readonly abstract: string;
}

function records(folder: string): Item[] {
  const found = new Map<string, Item>();
  for (const name of readdirSync(folder)
    .filter((file) => file.endsWith(".jsonl.gz"))
    .sort()) {
    for (const line of gunzipSync(readFileSync(join(folder, name)))
      .toString("utf8")
      .split("\n")) {
      if (line === "") continue;
      const { title, abstract } = JSON.parse(line) as Item;
      if (typeof title === "string" && typeof abstract === "string" && title !== "" && abstract !== "")
        found.set(title.toLowerCase(), { title, abstract });
    }
  }
  return [...found.values()];
}

/** A sentence from the middle, and the abstract without it; null for abstracts of fewer than four sentences. */
function excerptOf(abstract: string): { readonly excerpt: string; readonly rest: string } | null {
  const sentences = abstract.split(/(?<=[.!?])\s+(?=[A-Z])/);
  if (sentences.length < 4) return null;
  const middle = Math.floor(sentences.length / 2);
  return {
    excerpt: (sentences[middle] as string).slice(0, 200),
    rest: sentences.filter((_, i) => i !== middle).join(" "),
  };
}

interface QuerySet {
  readonly name: string;
  readonly queries: readonly string[];
  /** Index of the right text. */
  readonly wanted: readonly number[];
  readonly texts: readonly string[];
}

function querySets(items: readonly Item[], asked: readonly number[], words: Bm25): QuerySet[] {
  const abstracts = items.map(({ abstract }) => abstract);
  const poor = (title: string): string => {
    const own = [...new Set(wordsOf(title))].sort((a, b) => words.frequency(a) - words.frequency(b));
    const dropped = new Set(own.slice(0, Math.min(2, Math.max(0, own.length - 3))));
    return wordsOf(title)
      .filter((word) => !dropped.has(word))
      .join(" ");
  };
  const excerpts = asked.flatMap((i) => {
    const cut = excerptOf(abstracts[i] as string);
    return cut ? [{ i, ...cut }] : [];
  });
  const rests = items.map(({ title, abstract }) => `${title}. ${abstract}`);
  for (const { i, rest } of excerpts) rests[i] = `${items[i]?.title}. ${rest}`;
  const titles = asked.map((i) => items[i]?.title as string);
  return [
    { name: "title", queries: titles, wanted: asked, texts: abstracts },
    {
      name: "excerpt",
      queries: excerpts.map(({ excerpt }) => excerpt),
      wanted: excerpts.map(({ i }) => i),
      texts: rests,
    },
    { name: "keyword-poor", queries: titles.map(poor), wanted: asked, texts: abstracts },
  ];
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

/** The store's keyword search over texts as abstracts, under titles without words of theirs. */
async function storeRanks(texts: readonly string[], queries: readonly string[]): Promise<Ranking[]> {
  const folder = mkdtempSync(join(tmpdir(), "concord-quality-"));
  const store = openSqliteStore(join(folder, "store.sqlite"));
  try {
    const idOf = (i: number) =>
      `${String(1000 + Math.floor(i / 90_000)).padStart(4, "0")}.${String(i % 90_000).padStart(5, "0")}`;
    const rows: PaperRecord[] = texts.map((abstract, i) =>
      paperRecord.parse({ id: idOf(i), title: `Zz${i}`, abstract, sources: ["bench"] }),
    );
    for (let start = 0; start < rows.length; start += 500)
      await store.papers.upsert(rows.slice(start, start + 500));
    const places = new Map(rows.map(({ id }, i) => [id, String(i)]));
    const ranks: Ranking[] = [];
    for (const query of queries) {
      const { hits } = await store.text.search(query.slice(0, 200));
      ranks.push(hits.map(({ id, score }) => ({ id: places.get(id) as string, score })));
    }
    return ranks;
  } finally {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const stems = (text: string): string => wordsOf(text).map(stemOf).join(" ");

const placesOf = (ranks: readonly Ranking[], wanted: readonly number[]) =>
  ranks.map((ids, q) => {
    const place = ids.findIndex(({ id }) => id === String(wanted[q]));
    return place < 0 ? Number.POSITIVE_INFINITY : place + 1;
  });

const gain = (place: number) => (place <= 10 ? 1 / place : 0);

/** 95 % interval of a mean by resampling queries. */
function interval(values: readonly number[]): readonly [number, number] {
  const random = new RandomStream(foldIn(key, 99));
  const means = Array.from({ length: RESAMPLES }, () => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[random.integer(values.length)] as number;
    return sum / values.length;
  }).sort((a, b) => a - b);
  return [means[Math.floor(0.025 * RESAMPLES)] as number, means[Math.floor(0.975 * RESAMPLES)] as number];
}

const show = (value: number) => value.toFixed(3);

async function main(): Promise<void> {
  if (!existsSync(flags.data)) {
    console.log(`Skipped: there are no records in ${flags.data}; --data names another folder.`);
    return;
  }
  const work = flags.work ?? mkdtempSync(join(tmpdir(), "concord-search-quality-"));
  await mkdir(work, { recursive: true });
  const all = records(flags.data);
  const order = permutation(key, all.length);
  const items = [...order].map((i) => all[i] as Item);
  const asked = Array.from({ length: REPORTED }, (_, i) => i);
  const tuning = Array.from({ length: TUNED }, (_, i) => REPORTED + i);
  const training = items.slice(REPORTED + TUNED).map((item, i) => ({ ...item, id: String(i) }));
  console.log(
    `${items.length} records; ${training.length} for training, ${TUNED} for tuning, ${REPORTED} reported`,
  );
  const model = join(work, "model");
  if (!existsSync(join(model, "config.json"))) {
    let last = 0;
    const trained = await trainEncoder(training, {
      checkpoints: work,
      settings: flags.steps === undefined ? {} : { steps: Number(flags.steps) },
      onProgress: ({ phase, step, steps, loss, computeSeconds, dataSeconds }) => {
        if (step - last < 25 && step !== steps) return;
        last = step;
        console.log(
          `${phase} ${step}/${steps} loss ${loss?.toFixed(3) ?? "-"} data ${dataSeconds.toFixed(0)} s, compute ${computeSeconds.toFixed(0)} s`,
        );
      },
    });
    console.log(`trained in ${trained.seconds.toFixed(0)} s (from step ${trained.resumedAt})`);
    await writeEncoder(model, { ...trained, name: "search-quality" });
  }
  await using encoder = await openTextEncoder(model);
  let vectors = new Float32Array();
  let encodedTexts: readonly string[] = [];
  const vectorsOf = async (texts: readonly string[]) => {
    // Most texts of one set are those of the one before.
    const changed = texts.flatMap((text, i) => (text === encodedTexts[i] ? [] : [i]));
    const fresh = await encoder.encode(changed.map((i) => texts[i] as string));
    if (encodedTexts.length === 0) vectors = new Float32Array(texts.length * encoder.width);
    changed.forEach((i, at) => {
      vectors.set(fresh.subarray(at * encoder.width, (at + 1) * encoder.width), i * encoder.width);
    });
    encodedTexts = texts;
    return vectors;
  };
  const words = new Bm25(items.map(({ abstract }) => abstract));
  for (const set of querySets(items, flags.tune ? tuning : asked, words)) {
    const bm25 = new Bm25(set.texts);
    const start = performance.now();
    const stemmed = new Bm25(set.texts.map(stems));
    const byBm25 = (index: Bm25, query: string): Ranking =>
      index.search(query, FUSION_DEPTH).map(({ doc, score }) => ({ id: String(doc), score }));
    const ranks = {
      bm25: set.queries.map((query) => byBm25(bm25, query)),
      stems: set.queries.map((query) => byBm25(stemmed, stems(query))),
      words: await storeRanks(set.texts, set.queries),
      meaning: await meaningRanks(encoder, await vectorsOf(set.texts), set.queries),
    };
    console.log(
      `\n${set.name}: ${set.queries.length} queries among ${set.texts.length} (${((performance.now() - start) / 1000).toFixed(0)} s)`,
    );
    const fused = (weight: number, by: readonly Ranking[] = ranks.words) =>
      by.map((hits, q) => fuseScores(hits, ranks.meaning[q] ?? [], weight));
    const reciprocal = (meaning: number) =>
      ranks.words.map((hits, q) =>
        fuseRanks(
          hits.map(({ id }) => id),
          (ranks.meaning[q] ?? []).map(({ id }) => id),
          { words: 1, meaning },
        ),
      );
    if (flags.tune) {
      const line = (name: string, list: readonly Ranking[]) => {
        const { mrr10, recall10 } = qualityOf(placesOf(list, set.wanted));
        return `${name} ${show(mrr10)} ${show(recall10)}`;
      };
      for (const weight of [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2])
        console.log(
          `  ${weight}: ${line("scores", fused(weight))}; ${line("ranks", reciprocal(weight))}; ${line("scores over bm25", fused(weight, ranks.bm25))}`,
        );
    }
    const reference = placesOf(ranks.bm25, set.wanted);
    for (const [name, list] of Object.entries({
      ...ranks,
      rrf: reciprocal(1),
      hybrid: fused(MEANING_WEIGHT),
    })) {
      const places = placesOf(list, set.wanted);
      const { mrr10, recall10 } = qualityOf(places);
      const [low, high] = interval(places.map(gain));
      const [from, to] = interval(places.map((place, q) => gain(place) - gain(reference[q] as number)));
      const [rFrom, rTo] = interval(
        places.map((place, q) => Number(place <= 10) - Number((reference[q] as number) <= 10)),
      );
      console.log(
        `  ${name.padEnd(8)} MRR@10 ${show(mrr10)} [${show(low)}, ${show(high)}]  R@10 ${show(recall10)}  against bm25: MRR [${show(from)}, ${show(to)}], R [${show(rFrom)}, ${show(rTo)}]`,
      );
    }
  }
}

await main();
