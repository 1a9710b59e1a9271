import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRun, executeRun, type LogRecord, RunStore } from "../../src/harness/index.ts";
import { runOutcome } from "./run-outcome.ts";
import { toyExperiment } from "./toy-experiment.ts";

const module = new URL("./toy-module.ts", import.meta.url);
const toy = toyExperiment();
let folder: string;
let store: RunStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-parallel-"));
  store = new RunStore(folder);
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

type Request = Parameters<typeof createRun>[2];

async function serial(request: Request): Promise<unknown> {
  const { id } = await createRun(toy, store, request);
  await executeRun(toy, store, id);
  return runOutcome(store, id);
}

describe("units done at the same time", () => {
  it.each([
    ["fewer seeds than workers", { seeds: [3] }, 3],
    ["as many", { seeds: [0, 1] }, 2],
    ["more seeds", { seeds: [0, 1, 2] }, 2],
  ] as const)("have the outcome of units one after another: %s", async (_, request, workers) => {
    const expected = await serial(request);
    const { id } = await createRun(toy, store, request);
    const events: LogRecord[] = [];
    const record = await executeRun(toy, store, id, {
      parallel: { module, workers },
      onEvent: (event) => events.push(event),
    });
    expect(record.status).toBe("done");
    expect(record.environment.workers).toBe(String(workers));
    expect(await runOutcome(store, id)).toEqual(expected);
    const running = new Set<string>();
    let most = 0;
    for (const event of events) {
      if (event.kind !== "state" || event.unit === undefined) continue;
      if (event.unitStatus === "running") running.add(event.unit);
      else running.delete(event.unit);
      most = Math.max(most, running.size);
    }
    // Arms of a single seed may be done before another thread has prepared it.
    if (request.seeds.length > 1) expect(most).toBeGreaterThan(1);
    // Each thread begins with a seed of its own, and nobody prepares a seed that another is preparing.
    const begun = events.flatMap((event) =>
      event.kind === "state" && event.unitStatus !== undefined ? [[event.unit, event.unitStatus]] : [],
    );
    for (const seed of request.seeds) {
      const own = begun.filter(([unit]) => unit === `seed-${seed}/prepare`).map(([, status]) => status);
      expect(own.slice(0, 2)).toEqual(["running", "done"]);
      expect(own.filter((status) => status === "running")).toHaveLength(1);
    }
  });

  it("end when one fails, and go on later to the same outcome", async () => {
    const { id } = await createRun(toy, store, { seeds: [0, 666] });
    const failed = await executeRun(toy, store, id, { parallel: { module, workers: 2 } });
    expect(failed).toMatchObject({ status: "failed", error: "the disk is on fire" });
    expect(await readFile(store.path(id, "error.txt"), "utf8")).toContain("toy-module.ts");
    expect(failed.units.some(({ status }) => status === "running")).toBe(false);
    // Here the arm does not fail.
    expect((await executeRun(toy, store, id)).status).toBe("done");
    expect(await runOutcome(store, id)).toEqual(await serial({ seeds: [0, 666] }));
  });

  it("are cancelled together, and go on to the same outcome", async () => {
    const { id } = await createRun(toy, store, { seeds: [0, 1, 2] });
    const controller = new AbortController();
    const cancelled = await executeRun(toy, store, id, {
      parallel: { module },
      signal: controller.signal,
      onEvent: (event) => {
        if (event.kind === "step" && event.phase === "training") controller.abort();
      },
    });
    expect(cancelled.status).toBe("cancelled");
    const record = await executeRun(toy, store, id, { parallel: { module } });
    expect(record).toMatchObject({ status: "done", resumes: 1 });
    expect(record.environment).toEqual(cancelled.environment);
    expect(await runOutcome(store, id)).toEqual(await serial({ seeds: [0, 1, 2] }));
  });

  it("survive being killed again and again", async () => {
    const request = { preset: "paper", seeds: [0, 1] };
    const expected = await serial(request);
    const { id } = await createRun(toy, store, request);
    const program = fileURLToPath(new URL("./toy-main.ts", import.meta.url));
    let kills = 0;
    for (let finished = false; !finished; ) {
      const child = spawn(
        process.execPath,
        ["--conditions=source", "--disable-warning=ExperimentalWarning", program, folder, id, "2"],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      const ended = once(child, "exit");
      let units = 0;
      child.stdout.on("data", (dots: Buffer) => {
        units += dots.length;
      });
      // Later and later, so that each of them gets further.
      while (kills < 2 && units < 6 + 12 * kills && child.exitCode === null) await sleep(5);
      if (kills < 2 && child.exitCode === null && child.kill("SIGKILL")) kills++;
      const [code] = await ended;
      finished = code === 0;
      if (!finished) expect(child.signalCode).toBe("SIGKILL");
    }
    expect(kills).toBeGreaterThan(0);
    expect(await runOutcome(store, id)).toEqual(expected);
  });
});
