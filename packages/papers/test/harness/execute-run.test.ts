import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { RandomStream, randomKey } from "@concord/tensor";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createRun,
  embeddingMap,
  executeRun,
  type LogRecord,
  RunBusyError,
  RunStore,
  readRunFigures,
} from "../../src/harness/index.ts";
import { runOutcome } from "./run-outcome.ts";
import { toyExperiment } from "./toy-experiment.ts";

let folder: string;
let store: RunStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-runs-"));
  store = new RunStore(folder);
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function uninterrupted(preset = "default"): Promise<unknown> {
  const experiment = toyExperiment();
  const { id } = await createRun(experiment, store, { preset });
  await executeRun(experiment, store, id);
  return runOutcome(store, id);
}

describe("executeRun", () => {
  it("runs every unit in order and leaves record, curves, notes, files, embeddings and maps", async () => {
    const experiment = toyExperiment();
    const { id } = await createRun(experiment, store);
    const events: LogRecord[] = [];
    const record = await executeRun(experiment, store, id, { onEvent: (event) => events.push(event) });

    expect(record.status).toBe("done");
    expect(await store.read(id)).toEqual(record);
    expect(record.units.map((unit) => [unit.id, unit.status])).toEqual(
      [0, 1].flatMap((seed) =>
        ["prepare", "start", "slow", "fast"].map((arm) => [`seed-${seed}/${arm}`, "done"]),
      ),
    );
    expect(record.units.every(({ seconds }) => seconds !== undefined && seconds > 0)).toBe(true);
    expect(record.seconds).toBeGreaterThan(
      record.units.reduce((sum, unit) => sum + (unit.seconds ?? 0), 0) * 0.99,
    );
    expect(record.results).toHaveLength(6);
    expect(record.verdicts.map(({ claim, changes }) => [claim, changes.length])).toEqual([
      ["faster", 2],
      ["better-than-nothing", 2],
    ]);
    expect(record.environment.node).toBe(process.version);

    const lines = (await readFile(store.path(id, "log.jsonl"), "utf8")).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(events);
    const training = events.filter((event) => event.kind === "step" && event.phase === "training");
    expect(training.map((event) => event.kind === "step" && event.step)).toEqual([
      2, 4, 6, 2, 4, 6, 2, 4, 6, 2, 4, 6,
    ]);

    const arm = store.path(id, "units", "seed-1", "fast");
    expect(await readdir(join(arm, "embeddings"))).toEqual(["image.npy", "labels.json", "text.npy"]);
    expect((await readFile(join(arm, "files", "weights.txt"), "utf8")).split("\n")).toHaveLength(4);
    await expect(stat(join(arm, "saves"))).rejects.toThrow("ENOENT");
    const shown = await readRunFigures(store, record, 1);
    expect(shown.map((own) => [own.arm, own.figures.map((figure) => figure.id)])).toEqual(
      ["start", "slow", "fast"].map((name) => [name, ["weights", "row"]]),
    );

    const map = embeddingMap.parse(JSON.parse(await readFile(store.path(id, "maps", "seed-1.json"), "utf8")));
    expect(Object.keys(map.arms)).toEqual(["start", "slow", "fast"]);
    expect(map.arms.fast?.image).toHaveLength(5);
    expect(map.labels).toEqual(["a", "b", "c", "d", "e"]);
    expect(map.explained).toBeGreaterThan(0.5);
  });

  it("fails, naming the arm, when a figure cannot be drawn", async () => {
    const experiment = toyExperiment();
    const broken: typeof experiment = {
      ...experiment,
      async runArm(...request) {
        const result = await experiment.runArm(...request);
        const [figure] = result.figures ?? [];
        return { ...result, figures: [{ ...figure, id: "no path/" } as never] };
      },
    };
    const { id } = await createRun(broken, store, { preset: "smoke" });
    const record = await executeRun(broken, store, id);
    expect(record.status).toBe("failed");
    expect(record.error).toBe(
      "seed-0/start: figure 'no path/', id: expected letters, digits and single dashes",
    );
  });

  it("leaves a run that is done alone", async () => {
    const experiment = toyExperiment();
    const { id } = await createRun(experiment, store, { preset: "smoke" });
    const first = await executeRun(experiment, store, id);
    expect(await executeRun(experiment, store, id)).toEqual(first);
  });

  it("is refused while another executes the run, and for the run of another paper", async () => {
    const experiment = toyExperiment();
    const { id } = await createRun(experiment, store, { preset: "smoke" });
    const running = executeRun(experiment, store, id);
    await expect(executeRun(experiment, store, id)).rejects.toThrow(RunBusyError);
    expect((await running).status).toBe("done");
    await expect(executeRun({ ...experiment, slug: "other" }, store, id)).rejects.toThrow("belongs to 'toy'");
  });

  it("goes on after a failure at every point, with the outcome of a run without one", async () => {
    const expected = await uninterrupted("smoke");
    let points = 0;
    const counting = toyExperiment({ onPoint: () => void points++ });
    const { id: counted } = await createRun(counting, store, { preset: "smoke" });
    await executeRun(counting, store, counted);
    expect(points).toBeGreaterThan(25);

    for (let failing = 1; failing <= points; failing++) {
      let point = 0;
      let where = "";
      const experiment = toyExperiment({
        onPoint(name) {
          where = name;
          if (++point === failing) throw new Error("the disk is on fire");
        },
      });
      const { id } = await createRun(experiment, store, { preset: "smoke" });
      const failed = await executeRun(experiment, store, id);
      expect(failed).toMatchObject({ status: "failed", error: "the disk is on fire" });
      expect(failed.units.some(({ status }) => status === "running")).toBe(false);
      expect(await readFile(store.path(id, "error.txt"), "utf8")).toContain("at ");
      const resumed = await executeRun(toyExperiment(), store, id);
      expect(resumed.resumes).toBe(1);
      expect(resumed.error).toBeUndefined();
      expect(await runOutcome(store, id), where).toEqual(expected);
    }
  });

  it("goes on from the files that a kill at any moment leaves", async () => {
    const expected = await uninterrupted("smoke");
    const copies = new RunStore(await mkdtemp(join(folder, "copies-")));
    const taken: string[] = [];
    const { id } = await createRun(toyExperiment(), store, { preset: "smoke" });
    // What is on the disk at a moment is what a kill at that moment leaves.
    const snapshot = async (): Promise<void> => {
      const copy = id.replace(/[0-9a-f]{6}$/, taken.length.toString(16).padStart(6, "0"));
      for (let attempt = 1; ; attempt++) {
        try {
          await cp(store.path(id), copies.path(copy), {
            recursive: true,
            filter: (path) => !path.endsWith("lock"),
          });
          break;
        } catch (error) {
          // A temporary file can get its final name while the folder is copied, which takes more than a moment.
          if (attempt === 5 || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
          await rm(copies.path(copy), { recursive: true, force: true });
        }
      }
      const record = JSON.parse(await readFile(copies.path(copy, "run.json"), "utf8"));
      await writeFile(copies.path(copy, "run.json"), JSON.stringify({ ...record, id: copy }));
      taken.push(copy);
    };
    await executeRun(toyExperiment({ onPoint: snapshot }), store, id);
    expect(taken.length).toBeGreaterThan(25);
    for (const copy of taken) {
      expect(copies.isInterrupted(await copies.read(copy))).toBe(true);
      expect((await executeRun(toyExperiment(), copies, copy)).status).toBe("done");
      expect(await runOutcome(copies, copy), copy).toEqual(expected);
    }
  });

  it("goes on from truncated files: log, checkpoints, memos, left-over temporary files", async () => {
    const expected = await uninterrupted("smoke");
    for (let keep = 0; keep < 1; keep += 0.07) {
      const experiment = toyExperiment({
        onPoint(point) {
          if (point === "seed-0/fast training batch 3") throw new Error("halt");
        },
      });
      const { id } = await createRun(experiment, store, { preset: "smoke" });
      expect((await executeRun(experiment, store, id)).error).toBe("halt");

      const saves = store.path(id, "units", "seed-0", "fast", "saves");
      const memos = store.path(id, "units", "seed-0", "prepare", "saves");
      const damaged = [
        ...(await readdir(saves)).map((name) => join(saves, name)),
        ...(await readdir(memos)).map((name) => join(memos, name)),
      ];
      expect(damaged).toHaveLength(4);
      // Truncates one of them, in turn, and writes half a line to the log.
      const victim = damaged[Math.round(keep * 100) % damaged.length] as string;
      await truncate(victim, Math.floor((await stat(victim)).size * keep));
      await writeFile(store.path(id, "log.jsonl"), '{"kind":"step","unit":"seed-0/fast","ph', { flag: "a" });
      await writeFile(`${victim}.123-abc.tmp`, "half");

      const record = await executeRun(toyExperiment(), store, id);
      expect(record.status).toBe("done");
      expect(await runOutcome(store, id), `${victim} ${keep}`).toEqual(expected);
    }
  });

  it("repeats what a log that lost its end no longer shows of the unit at work", async () => {
    const expected = await uninterrupted("smoke");
    for (const lost of [1, 20, 200, 500]) {
      const experiment = toyExperiment({
        onPoint(point) {
          if (point === "seed-0/fast training batch 3") throw new Error("halt");
        },
      });
      const { id } = await createRun(experiment, store, { preset: "smoke" });
      await executeRun(experiment, store, id);
      const log = store.path(id, "log.jsonl");
      await truncate(log, (await stat(log)).size - lost);
      await executeRun(toyExperiment(), store, id);
      expect(await runOutcome(store, id), `${lost} bytes lost`).toEqual(expected);
    }
  });

  it("survives being killed again and again", async () => {
    const expected = await uninterrupted("paper");
    const { id } = await createRun(toyExperiment(), store, { preset: "paper" });
    const program = fileURLToPath(new URL("./toy-main.ts", import.meta.url));
    const seed = Date.now();
    const random = new RandomStream(randomKey(seed));
    let kills = 0;
    let attempts = 0;
    for (let finished = false; !finished; ) {
      const child = spawn(
        process.execPath,
        ["--conditions=source", "--disable-warning=ExperimentalWarning", program, folder, id],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      attempts++;
      const ended = once(child, "exit");
      await Promise.race([once(child.stdout, "data"), ended]);
      if (kills < 8) {
        await Promise.race([sleep(random.uniform(0, 250)), ended]);
        if (child.exitCode === null && child.kill("SIGKILL")) kills++;
      }
      const [code] = await ended;
      finished = code === 0;
      if (!finished) expect(store.isInterrupted(await store.read(id))).toBe(true);
    }
    expect(kills).toBeGreaterThan(2);
    expect((await store.read(id)).resumes).toBe(attempts - 1);
    expect(await runOutcome(store, id), `kill times from seed ${seed}`).toEqual(expected);
  });

  it("cancels by signal, keeps a checkpoint, and goes on from there", async () => {
    const expected = await uninterrupted();
    const controller = new AbortController();
    const experiment = toyExperiment({
      checkpointEverySeconds: 1000,
      onPoint(point) {
        if (point === "seed-0/slow training batch 3") controller.abort();
      },
    });
    const { id } = await createRun(experiment, store);
    const cancelled = await executeRun(experiment, store, id, { signal: controller.signal });
    expect(cancelled.status).toBe("cancelled");
    expect(cancelled.error).toBeUndefined();
    expect(cancelled.units.filter(({ status }) => status === "done")).toHaveLength(2);
    const asked: string[] = [];
    const again = toyExperiment({ onPoint: (point) => void asked.push(point) });
    expect((await executeRun(again, store, id)).status).toBe("done");
    expect(asked).not.toContain("seed-0/slow training batch 1");
    expect(asked).toContain("seed-0/slow training batch 4");
    expect(await runOutcome(store, id)).toEqual(expected);
  });

  it("cancels at the request of another process", async () => {
    const { id } = await createRun(toyExperiment(), store);
    const running = executeRun(toyExperiment({ stepMilliseconds: 50 }), store, id);
    await sleep(100);
    expect(await new RunStore(folder).cancel(id)).toBe("requested");
    expect((await running).status).toBe("cancelled");
    expect((await executeRun(toyExperiment(), store, id)).status).toBe("done");
  });

  it.each([
    ["a missing metric", { metrics: { error: 1 } }, "metric 'norm' must be a finite number, got undefined"],
    ["NaN", { metrics: { error: Number.NaN, norm: 1 } }, "metric 'error' must be a finite number, got NaN"],
    ["an undeclared metric", { metrics: { error: 1, norm: 1, luck: 7 } }, "metric 'luck' is not declared"],
    [
      "labels of another number",
      {
        metrics: { error: 1, norm: 1 },
        embeddings: { image: { dtype: "float32", shape: [2, 1], data: new Float32Array(2) } },
        embeddingLabels: ["one"],
      },
      "2 rows for 1 labels",
    ],
    [
      "an embedding set whose name leaves the folder",
      {
        metrics: { error: 1, norm: 1 },
        embeddings: { "../x": { dtype: "float32", shape: [1, 1], data: new Float32Array(1) } },
      },
      "name of an embedding set",
    ],
  ] as const)("fails an arm that gives %s", async (_, result, message) => {
    const experiment = { ...toyExperiment(), runArm: async () => result };
    const { id } = await createRun(experiment, store, { preset: "smoke" });
    const record = await executeRun(experiment, store, id);
    expect(record.status).toBe("failed");
    expect(record.error).toContain(message);
    expect(record.results).toEqual([]);
  });

  it("judges only the claims whose arms ran, and says so", async () => {
    const experiment = toyExperiment();
    const { id } = await createRun(experiment, store, { arms: ["fast", "slow"], seeds: [7, 3] });
    const events: LogRecord[] = [];
    const record = await executeRun(experiment, store, id, { onEvent: (event) => events.push(event) });
    expect(record.seeds).toEqual([7, 3]);
    expect(record.arms).toEqual(["slow", "fast"]);
    expect(record.verdicts.map(({ claim }) => claim)).toEqual(["faster"]);
    expect(events).toContainEqual(
      expect.objectContaining({ message: "Claim 'better-than-nothing' was not tested: left out: start." }),
    );
  });

  it("says when embeddings of different width cannot share a map", async () => {
    const toy = toyExperiment();
    const experiment: typeof toy = {
      ...toy,
      runArm: async (arm) => ({
        metrics: { error: 1, norm: 1 },
        embeddings: {
          image: { dtype: "float32", shape: [1, arm.length], data: new Float32Array(arm.length) },
        },
      }),
    };
    const { id } = await createRun(experiment, store, { preset: "smoke" });
    const events: LogRecord[] = [];
    const record = await executeRun(experiment, store, id, { onEvent: (event) => events.push(event) });
    expect(record.status).toBe("done");
    expect(events).toContainEqual(
      expect.objectContaining({
        level: "warning",
        message: "No embedding map of seed 0: embeddings of 5, 4 dimensions cannot share a map.",
      }),
    );
  });
});
