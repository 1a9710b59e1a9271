import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tokenCorpus, viewBatches } from "../src/encoder/corpus.ts";
import { encoderVersions, newVersion } from "../src/encoder/folder.ts";
import {
  EncoderBusyError,
  EncoderFolderError,
  encodedText,
  indexNewPapers,
  openTextEncoder,
  retrainEncoder,
  trainEncoder,
} from "../src/encoder/index.ts";
import { clearlyWorse } from "../src/encoder/judge.ts";
import { placesByProduct, qualityOf } from "../src/encoder/retrieval.ts";
import { stemTable } from "../src/encoder/stems.ts";
import { IN_MEMORY, openSqliteStore } from "../src/index.ts";
import { smallTraining, synonymWorld } from "./synonym-world.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-encoder-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("what is trained on", () => {
  it("views are a function of the step alone, padded, and mostly without the excerpt in the anchor", async () => {
    const { trainWordTokenizer } = await import("@concord/data");
    const papers = synonymWorld(80);
    const tokenizer = trainWordTokenizer(papers.map(({ title, abstract }) => `${title} ${abstract}`));
    const stems = stemTable(tokenizer);
    const corpus = tokenCorpus(papers, tokenizer, stems);
    const options = {
      key: [1, 2] as const,
      batchSize: 16,
      padId: tokenizer.padId,
      lengths: { anchor: 24, title: 8, excerpt: 4 },
    };
    const [one, other] = [viewBatches(corpus, options), viewBatches(corpus, options)];
    one.at(0);
    const [a, b] = [one.at(7), other.at(7)];
    expect(a).toEqual(b);
    expect(a.anchor.ids.shape).toEqual([16, 24]);
    for (const view of [a.anchor, a.title, a.excerpt]) {
      view.mask.data.forEach((on, i) => {
        if (on === 0) expect(view.ids.data[i]).toBe(tokenizer.padId);
      });
    }
    // ln((N + 1) / (n + ½)): a word of every paper counts for little, one of no paper for most.
    const the = stems.of[tokenizer.tokenId("abs0x") as number] as number;
    const having = papers.filter(({ abstract }) => / abs0x /.test(` ${abstract} `)).length;
    expect(corpus.rarity[the]).toBeCloseTo(Math.log(81 / (having + 0.5)), 5);
  });

  it("places and their quality", () => {
    // Queries (1, 0) and (0, 1); items (1, 0), (0.5, 0.5), (1, 0): the first query's item ties with the third.
    const places = placesByProduct(
      Float32Array.of(1, 0, 0, 1),
      Float32Array.of(1, 0, 0.5, 0.5, 1, 0),
      2,
      [0, 1],
    );
    expect(places).toEqual([2, 1]);
    expect(qualityOf([1, 2, 11, Number.POSITIVE_INFINITY])).toEqual({
      queries: 4,
      mrr10: 0.375,
      recall10: 0.5,
    });
  });

  it("the gate refuses what is clearly worse, and nothing else", () => {
    const good = Array.from({ length: 100 }, (_, i) => 1 + (i % 3));
    expect(clearlyWorse(good, good)).toBe(false);
    expect(
      clearlyWorse(
        good.map((place) => place + 4),
        good,
      ),
    ).toBe(true);
    expect(
      clearlyWorse(
        good,
        good.map((place) => place + 4),
      ),
    ).toBe(false);
    // One query of a hundred that got worse says nothing.
    expect(clearlyWorse([...good.slice(1), 9], good.slice())).toBe(false);
  });
});

describe("training", () => {
  it("finds abstracts by titles with other words, where BM25 cannot, in a store, and swaps itself in", async () => {
    const start = performance.now();
    const models = join(folder, "models");
    const store = openSqliteStore(IN_MEMORY);
    const papers = synonymWorld(300);
    await store.papers.upsert(papers);
    const phases = new Set<string>();
    const result = await retrainEncoder({
      store,
      modelsFolder: models,
      settings: smallTraining,
      threads: 1,
      onProgress: ({ phase }) => phases.add(phase),
    });
    expect(performance.now() - start).toBeLessThan(60_000);
    expect(phases).toEqual(new Set(["tokens", "training", "judging", "encoding"]));
    // 60 held-out papers: chance is MRR@10 of 0.05, and so is BM25, as no word is shared but fillers.
    expect(result.figures.heldOut).toBe(60);
    expect(result.figures.bm25Mrr10).toBeLessThan(0.15);
    expect(result.figures.mrr10).toBeGreaterThan(0.5);
    expect(result).toMatchObject({ activated: true, before: null, encoded: 300 });
    expect((await store.vectors.active())?.version).toBe(result.version);
    expect(await encoderVersions(models)).toEqual([result.version]);
    expect(existsSync(join(models, "training.safetensors"))).toBe(false);

    // The written model gives unit vectors that do not depend on the texts beside them.
    await using encoder = await openTextEncoder(join(models, result.version), { threads: 1 });
    const texts = papers.slice(0, 5).map(encodedText);
    const together = await encoder.encode([...texts, "tit1x"]);
    const alone = await encoder.encode([texts[2] as string]);
    let [squares, apart] = [0, 0];
    alone.forEach((value, d) => {
      squares += value ** 2;
      apart = Math.max(apart, Math.abs(value - (together[2 * encoder.width + d] as number)));
    });
    expect(squares).toBeCloseTo(1, 4);
    expect(apart).toBeLessThan(1e-5);
    const stored = (await store.vectors.get(result.version, [papers[2]?.id as string])).get(
      papers[2]?.id as string,
    );
    // f16 keeps 11 bits.
    stored?.forEach((value, d) => expect(Math.abs(value - (alone[d] as number))).toBeLessThan(1e-3));

    // New papers alone are encoded; a changed text again.
    await store.papers.upsert(synonymWorld(303).slice(300));
    const more = await indexNewPapers({ store, modelsFolder: models, threads: 1 });
    expect(more).toMatchObject({ version: result.version, encoded: 3 });
    expect((await indexNewPapers({ store, modelsFolder: models, threads: 1 }))?.encoded).toBe(0);

    // A training that learns nothing is clearly worse: what is in use stays.
    const worse = await retrainEncoder({
      store,
      modelsFolder: models,
      settings: { ...smallTraining, steps: 1, learningRate: 1e-6 },
      threads: 1,
      now: () => new Date("2030-01-01T00:00:00Z"),
    });
    expect(worse.activated).toBe(false);
    expect(worse.before).toBeGreaterThan(0.5);
    expect((await store.vectors.active())?.version).toBe(result.version);
    expect(await encoderVersions(models)).toEqual([result.version]);
    await store.close();
  }, 90_000);

  it("goes on where it was killed, to the same bits", async () => {
    const checkpoints = join(folder, "killed");
    await mkdir(checkpoints, { recursive: true });
    const settings = { ...smallTraining, steps: 30 };
    const papers = synonymWorld(120);
    const whole = await trainEncoder(papers, { settings });
    const child = spawn(
      process.execPath,
      [
        "--conditions=source",
        "--disable-warning=ExperimentalWarning",
        join(import.meta.dirname, "train-until-killed.ts"),
        checkpoints,
        JSON.stringify(settings),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    child.stdout.setEncoding("utf8");
    for await (const line of child.stdout) if (String(line).includes("step 12")) break;
    child.kill("SIGKILL");
    await once(child, "exit");
    const resumed = await trainEncoder(papers, { settings, checkpoints });
    expect(resumed.resumedAt).toBeGreaterThanOrEqual(11);
    expect(resumed.resumedAt).toBeLessThan(30);
    expect(resumed.params.words.table.data).toEqual(whole.params.words.table.data);
    expect(resumed.params.importance.data).toEqual(whole.params.importance.data);
    // Of other papers, a checkpoint is of no use.
    const other = await trainEncoder(synonymWorld(120, { seed: 9 }), {
      settings: { ...settings, steps: 2 },
      checkpoints,
    });
    expect(other.resumedAt).toBe(0);
  }, 60_000);

  it("stops when it is told to, and keeps what it has", async () => {
    const checkpoints = join(folder, "stopped");
    const stop = new AbortController();
    const settings = { ...smallTraining, steps: 40 };
    const papers = synonymWorld(120);
    const run = trainEncoder(papers, {
      settings,
      checkpoints,
      signal: stop.signal,
      onProgress: ({ phase, step }) => {
        if (phase === "training" && step >= 1) stop.abort(new Error("enough"));
      },
    });
    await expect(run).rejects.toThrow("enough");
    expect((await trainEncoder(papers, { settings, checkpoints })).resumedAt).toBeGreaterThan(0);
  }, 60_000);

  it("says what is missing", async () => {
    await expect(trainEncoder(synonymWorld(10))).rejects.toThrow(/at least 64 papers; there are 10/);
    await expect(openTextEncoder(folder)).rejects.toThrow(EncoderFolderError);
    await expect(openTextEncoder(folder)).rejects.toThrow(/tokenizer.json/);
    await mkdir(join(folder, "broken"), { recursive: true });
    await writeFile(join(folder, "broken", "tokenizer.json"), "{}");
    await expect(openTextEncoder(join(folder, "broken"))).rejects.toThrow(/no sentence encoder/);
    expect(newVersion(new Date("2026-11-20T12:34:56.789Z"))).toBe("concord-20261120-123456");
  });

  it("lets one process at a time work on a folder", async () => {
    const models = join(folder, "busy");
    const store = openSqliteStore(IN_MEMORY);
    await store.papers.upsert(synonymWorld(80));
    let second: Promise<unknown> | undefined;
    await retrainEncoder({
      store,
      modelsFolder: models,
      settings: { ...smallTraining, steps: 2 },
      threads: 1,
      onProgress: () => {
        second ??= indexNewPapers({ store, modelsFolder: models }).catch((error: unknown) => error);
      },
    });
    expect(await second).toBeInstanceOf(EncoderBusyError);
    const [version] = await encoderVersions(models);
    const config = JSON.parse(await readFile(join(models, version as string, "config.json"), "utf8"));
    expect(config).toMatchObject({ hidden_size: 48 });
    await store.close();
  }, 30_000);
});
