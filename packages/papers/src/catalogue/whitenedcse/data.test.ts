import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { trainWordTokenizer } from "@concord/data";
import { constant, evaluate, type NDArray, randomKey, symmetricEigen } from "@concord/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defaultConfig } from "./config.ts";
import { problemCounter, readSentences, readStsSet } from "./sts-files.ts";
import { generatedTask } from "./task.ts";
import { type TokenRows, withDefects, wordVectors } from "./word-vectors.ts";
import { sentenceWorld, type WorldConfig } from "./world.ts";

const world: WorldConfig = {
  ...(defaultConfig.data.world as WorldConfig),
  topics: 6,
  synonyms: 5,
  functionWords: 30,
  training: 400,
  development: 20,
  test: 40,
};

function cosine(table: NDArray, a: number, b: number): number {
  const width = table.shape[1] as number;
  const row = (i: number): number[] =>
    Array.from({ length: width }, (_, d) => Number(table.data[i * width + d]));
  const dot = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((sum, v, d) => sum + v * (y[d] as number), 0);
  const [x, y] = [row(a), row(b)];
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}

describe("the generated sentences", () => {
  it("depend on key and number alone, and appear in one set only", () => {
    const some = sentenceWorld(randomKey(1), world);
    const more = sentenceWorld(randomKey(1), { ...world, training: 500, test: 10 });
    expect(more.sentences.slice(0, 400)).toEqual(some.sentences);
    expect(some.test.slice(0, 10)).toEqual(more.test);
    expect(sentenceWorld(randomKey(2), world).sentences[0]).not.toBe(some.sentences[0]);
    const all = [
      ...some.sentences,
      ...some.development.flatMap(({ a, b }) => [a, b]),
      ...some.test.flatMap(({ a, b }) => [a, b]),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(some.sentences.every((sentence) => sentence.split(" ").length === world.length)).toBe(true);
  });

  it("have scores from apart to the same, that shared words follow", () => {
    const { test } = sentenceWorld(randomKey(3), { ...world, test: 300 });
    const gold = test.map((pair) => pair.gold);
    expect(Math.min(...gold)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...gold)).toBeLessThanOrEqual(1 + 1e-12);
    expect(gold.filter((value) => value > 0.8).length).toBeGreaterThan(60);
    expect(gold.filter((value) => value < 0.6).length).toBeGreaterThan(60);
    const shared = ({ a, b }: { readonly a: string; readonly b: string }): number => {
      const words = new Set(a.split(" "));
      return b.split(" ").filter((word) => words.has(word)).length;
    };
    const mean = (pairs: typeof test): number =>
      pairs.reduce((sum, pair) => sum + shared(pair), 0) / pairs.length;
    const sorted = test.toSorted((x, y) => x.gold - y.gold);
    expect(mean(sorted.slice(200))).toBeGreaterThan(mean(sorted.slice(0, 100)) + 0.5);
  });

  it("refuses settings that make no sentences", () => {
    expect(() => sentenceWorld(randomKey(0), { ...world, mixed: 7 })).toThrow("7 of 6 topics");
    expect(() => sentenceWorld(randomKey(0), { ...world, concentration: 0.5 })).toThrow(
      "integer >= 1, got 0.5",
    );
  });
});

describe("word vectors", () => {
  it("are the leading directions of the information between neighbours, as loops find them", async () => {
    const { tokens, tokenizer } = generatedTask(randomKey(1), {
      ...world,
      topics: 3,
      synonyms: 2,
      functionWords: 6,
      training: 40,
    });
    const V = tokenizer.vocabularySize;
    const counts = Array.from({ length: V }, () => new Array<number>(V).fill(0));
    const [n, T] = tokens.ids.shape as [number, number];
    for (let s = 0; s < n; s++)
      for (let p = 0; p < T; p++)
        for (let q = 0; q < T; q++)
          if (p !== q && Math.abs(p - q) <= 3)
            (counts[Number(tokens.ids.data[s * T + p])] as number[])[Number(tokens.ids.data[s * T + q])]! +=
              1;
    const margin = counts.map((row) => row.reduce((a, b) => a + b, 0));
    const total = margin.reduce((a, b) => a + b, 0);
    const information = counts.flatMap((row, i) =>
      row.map((count, j) =>
        count > 0
          ? Math.max(0, Math.log((count * total) / ((margin[i] as number) * (margin[j] as number))))
          : 0,
      ),
    );
    const { values, vectors } = await evaluate(
      symmetricEigen(constant({ dtype: "float64", shape: [V, V], data: Float64Array.from(information) })),
    );
    const width = 5;
    const strongest = Array.from({ length: V }, (_, j) => j)
      .sort((a, b) => Math.abs(Number(values.data[b])) - Math.abs(Number(values.data[a])))
      .slice(0, width);
    const wanted = {
      dtype: "float64",
      shape: [V, width],
      data: Float64Array.from({ length: V * width }, (_, at) => {
        const j = strongest[at % width] as number;
        return (
          Number(vectors.data[Math.floor(at / width) * V + j]) * Math.sqrt(Math.abs(Number(values.data[j])))
        );
      }),
    } as const;
    const got = await wordVectors(tokens, { key: randomKey(5), vocabulary: V, width, window: 3 });
    for (let i = 2; i < V; i++) {
      expect(cosine(got, i, i)).toBeCloseTo(1, 5);
      for (let j = 2; j < i; j++) expect(cosine(got, i, j)).toBeCloseTo(cosine(wanted, i, j), 3);
    }
  });

  it("bring synonyms together, keep padding at 0, and take defects", async () => {
    const config = { ...world, training: 1500 };
    const { tokens, tokenizer, sentences } = generatedTask(randomKey(1), config);
    const vocabulary = tokenizer.vocabularySize;
    const vectors = await wordVectors(tokens, { key: randomKey(5), vocabulary, width: 12 });
    expect(Array.from(vectors.data.subarray(0, 12))).toEqual(new Array(12).fill(0));
    expect(sentences.length).toBe(1500);
    // Rare words are the topics' (a topic's word has 1/60 of the tokens): each has 4 synonyms among 29 others.
    const topical = Array.from({ length: vocabulary }, (_, i) => i).filter((i) => i > 1);
    const near = topical.filter(
      (i) => topical.filter((j) => j !== i && cosine(vectors, i, j) > 0.7).length >= 4,
    );
    expect(near.length).toBeGreaterThan(20);
    const spoilt = withDefects(vectors, randomKey(6), { cone: 5, nuisances: 0, nuisanceDeviation: 0 });
    expect(cosine(spoilt, 3, 20)).toBeGreaterThan(0.9);
    const noisy = withDefects(vectors, randomKey(6), { cone: 0, nuisances: 1, nuisanceDeviation: 0.5 });
    const moved = (word: number): number =>
      Math.hypot(
        ...Array.from(
          { length: 12 },
          (_, d) => (noisy.data[word * 12 + d] as number) - (vectors.data[word * 12 + d] as number),
        ),
      );
    const squares = topical.reduce((sum, word) => sum + moved(word) ** 2, 0) / topical.length;
    expect(Math.sqrt(squares)).toBeGreaterThan(0.3);
    expect(Math.sqrt(squares)).toBeLessThan(0.7);
  });

  it("says what it cannot do", async () => {
    const rows = trainWordTokenizer(["one two", "three"]).encodeBatch(["one two", "three"]) as TokenRows;
    const options = { key: randomKey(0), vocabulary: 5, width: 2 };
    await expect(wordVectors(rows, { ...options, width: 9 })).rejects.toThrow(
      "width must be an integer from 1 to 4",
    );
    const single = trainWordTokenizer(["one"]).encodeBatch(["one"]) as TokenRows;
    await expect(wordVectors(single, { ...options, vocabulary: 3 })).rejects.toThrow(
      "no words stand near each other",
    );
  });
});

describe("files", () => {
  let folder: string;
  const at = (name: string): string => join(folder, name);
  const lenient = () => problemCounter(false);
  const stsb = (score: string, a: string, b: string, genre = "news"): string =>
    `main-${genre}\tfile\t2012\t1\t${score}\t${a}\t${b}`;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "whitenedcse-"));
    await writeFile(at("lines.txt"), "A first one.\r\n\n  A second one. \nA third one.\n");
    await writeFile(
      at("copies.csv"),
      'sent0,sent1,sent2\n"One, two.","One, two.","One, two."\nThree.,Three.,Three.\n,,\n',
    );
    await writeFile(at("headless.csv"), "A first one.,A first one too.\nA second one.,A second one too.\n");
    await writeFile(at("named.tsv.gz"), gzipSync("source\ttext\nx\tHello there.\ny\tIt's \"quoted.\n"));
    await writeFile(
      at("sts-test.csv"),
      [
        stsb("5.000", 'He said "no', "He refused."),
        stsb("0", "A", "B", "captions"),
        stsb("x", "C", "D"),
        stsb("2.5", "E", "F"),
        "",
        "too\tfew",
      ].join("\n"),
    );
    await writeFile(
      at("sick.tsv"),
      "pair_ID\tsentence_A\tsentence_B\trelatedness_score\n1\tA dog runs.\tA cat sits.\t1.5\n2\tA\tB\t4\n3\tC\tD\t\n4\tE\tF\t3\n",
    );
    await writeFile(
      at("SICK.txt"),
      '\ufeffpair_ID\tsentence_A\tsentence_B\tentailment_label\trelatedness_score\r\n1\tA "dog\tB\tNEUTRAL\t4.5\r\n2\tC\tD\r\n3\tE\tF\tNEUTRAL\t3\r\n4\tG\tH\tNEUTRAL\t1\r\n',
    );
    await writeFile(
      at("pairs.jsonl"),
      [
        '{"task":"x","a":"one","b":"two","score":1}',
        '{"task":"x","a":"three","b":"four","score":2}',
        '{"task":"y","a":"five","b":"six","score":2.5}',
        '{"task":"x","a":"seven","b":"","score":1}',
        '{"task":"x","a":"nine","b":"ten","score":4}',
      ].join("\n"),
    );
    await mkdir(at("STS12"));
    await writeFile(join(at("STS12"), "STS.input.one.txt"), "a\tb\nc\td\ne\tf\ng\th\n");
    await writeFile(join(at("STS12"), "STS.gs.one.txt"), "1\n\n4.5\n2\n");
    await writeFile(join(at("STS12"), "STS.input.two.txt"), "i\tj\nk\tl\nm\tn\n");
    await writeFile(join(at("STS12"), "STS.gs.two.txt"), "0\n1\n2\n");
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("of sentences: lines, copies in columns, named columns", async () => {
    const { onProblem, problems } = lenient();
    expect(await readSentences(at("lines.txt"), { onProblem })).toEqual([
      "A first one.",
      "A second one.",
      "A third one.",
    ]);
    expect(await readSentences(at("copies.csv"), { onProblem })).toEqual(["One, two.", "Three."]);
    expect(await readSentences(at("named.tsv.gz"), { onProblem })).toEqual([
      "Hello there.",
      "It's \"quoted.",
    ]);
    expect(await readSentences(at("named.tsv.gz"), { onProblem, column: "source", most: 1 })).toEqual(["x"]);
    expect(problems).toEqual({
      count: 2,
      countByReason: { "there is no sentence": 2 },
      records: [
        { file: at("lines.txt"), line: 2, reason: "there is no sentence", value: "" },
        { file: at("copies.csv"), line: 4, reason: "there is no sentence", value: "" },
      ],
    });
    const guessed: string[] = [];
    const onGuess = (column: string): void => void guessed.push(column);
    expect(await readSentences(at("headless.csv"), { onProblem, onGuess })).toEqual(["A second one."]);
    await readSentences(at("copies.csv"), { onProblem, onGuess });
    await readSentences(at("named.tsv.gz"), { onProblem, onGuess, column: "source" });
    expect(guessed).toEqual(["A first one."]);
  });

  it("of pairs: the STS benchmark, SICK, tables and SentEval's folders", async () => {
    const { onProblem, problems } = lenient();
    const benchmark = await readStsSet(at("sts-test.csv"), { onProblem });
    expect(benchmark.pairs).toEqual([
      { a: 'He said "no', b: "He refused.", gold: 5 },
      { a: "A", b: "B", gold: 0 },
      { a: "E", b: "F", gold: 2.5 },
    ]);
    expect(benchmark.close).toBe(4);
    expect((await readStsSet(at("sick.tsv"), { onProblem })).pairs.map(({ gold }) => gold)).toEqual([
      1.5, 4, 3,
    ]);
    expect((await readStsSet(at("SICK.txt"), { onProblem })).pairs).toEqual([
      { a: 'A "dog', b: "B", gold: 4.5 },
      { a: "E", b: "F", gold: 3 },
      { a: "G", b: "H", gold: 1 },
    ]);
    expect((await readStsSet(at("pairs.jsonl"), { onProblem })).pairs).toHaveLength(4);
    const folder = await readStsSet(at("STS12"), { onProblem });
    expect(folder.pairs.map(({ a }) => a).join("")).toBe("aegikm");
    expect(folder.subsets).toEqual([
      { name: "one", rows: [0, 1, 2] },
      { name: "two", rows: [3, 4, 5] },
    ]);
    expect(problems.records.map(({ line, reason }) => `${line}: ${reason}`)).toEqual([
      "3: the score is no number",
      "6: row has 2 columns, expected at least 7",
      "4: the score is no number",
      "3: row has 3 columns, the heading 5",
      "4: one of the two sentences is missing",
    ]);
  });

  it("that cannot be used say why", async () => {
    const { onProblem } = lenient();
    const strict = problemCounter(true);
    await writeFile(at("unscored.csv"), "a,b\n1,2\n");
    await writeFile(at("two.csv"), "a,b,score\nx,y,1\nx,z,2\n");
    await writeFile(at("empty.txt"), "\n\n");
    await expect(readStsSet(at("nowhere.csv"), { onProblem })).rejects.toThrow("nowhere.csv cannot be read");
    await expect(readStsSet(at("unscored.csv"), { onProblem })).rejects.toThrow(
      "no column score, relatedness_score",
    );
    await expect(readStsSet(at("two.csv"), { onProblem })).rejects.toThrow(
      "two.csv has 2 pairs that can be used",
    );
    await writeFile(at("flat.csv"), "a,b,score\nx,y,3\nx,z,3\ny,z,3\n");
    await expect(readStsSet(at("flat.csv"), { onProblem })).rejects.toThrow(
      "all 3 pairs have the score 3; a correlation needs different ones",
    );
    await writeFile(at("nan.csv"), "a,b,score\nx,y,nan\nx,z,nan\ny,z,3\n");
    await expect(readStsSet(at("nan.csv"), { onProblem })).rejects.toThrow(
      /has 1 pairs .* Skipped: .*nan\.csv:2: the score is no number \(value "nan"\)/,
    );
    await expect(readStsSet(at("lines.txt"), { onProblem })).rejects.toThrow(
      'begins with a heading, such as SICK\'s; the first line is "A first one."',
    );
    await expect(readStsSet(at("lines.doc"), { onProblem })).rejects.toThrow("lines.doc cannot be read");
    await writeFile(at("pairs.xlsx"), "PK");
    await expect(readStsSet(at("pairs.xlsx"), { onProblem })).rejects.toThrow("scored pairs come from");
    await expect(readStsSet(folder, { onProblem })).rejects.toThrow("the layout of SentEval");
    await expect(readStsSet(at("sts-test.csv"), strict)).rejects.toThrow(
      "sts-test.csv:3: the score is no number",
    );
    await expect(readSentences(at("empty.txt"), { onProblem })).rejects.toThrow("holds no sentence");
    await expect(readSentences(at("a.doc"), { onProblem })).rejects.toThrow("one a line");
    await expect(readSentences(at("two.csv"), { onProblem, column: "c" })).rejects.toThrow(
      'no column "c"; it has a, b, score',
    );
    await expect(readSentences(at("lines.txt"), { onProblem, column: "text" })).rejects.toThrow(
      'has one sentence a line and no column "text"',
    );
    await writeFile(join(at("STS12"), "STS.gs.two.txt"), "0\n");
    await expect(readStsSet(at("STS12"), { onProblem })).rejects.toThrow(
      "has 3 lines, but its file of scores has 1",
    );
  });

  it("of real text beside the repository are read as they are", async (test) => {
    const real = (name: string): string =>
      new URL(`../../../../../../shared/data/text/${name}`, import.meta.url).pathname;
    if (!existsSync(real("sts-en.jsonl.gz"))) {
      test.skip("no ../shared/data/text beside the repository");
      return;
    }
    const { onProblem, problems } = lenient();
    const set = await readStsSet(real("sts-en.jsonl.gz"), { onProblem });
    expect(set.pairs.length).toBe(3375);
    expect(set.subsets.map(({ name }) => name)).toEqual(["sts2013", "sts2014", "sts2015"]);
    expect(await readSentences(real("sentences-en.tsv.gz"), { onProblem, most: 100 })).toHaveLength(100);
    expect(problems.count).toBe(0);
  });
});
