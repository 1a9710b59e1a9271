import { fork } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isRunId, makeRunId, UnknownRunError } from "./run-id.ts";
import { LogTail, RunLog } from "./run-log.ts";
import type { LogRecord } from "./run-record.ts";
import { BrokenRunError, type NewRun, RunBusyError, RunStore, withStatus } from "./run-store.ts";

const request: NewRun = {
  paper: "toy",
  preset: "smoke",
  seeds: [0],
  arms: ["method"],
  inputs: {},
  config: { steps: 3 },
  units: [{ id: "seed-0/method", seed: 0, arm: "method", status: "pending" }],
};

let folder: string;
let store: RunStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-store-"));
  store = new RunStore(folder);
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("run ids", () => {
  it("sort by time and are safe as folder names", () => {
    const early = makeRunId("swav", new Date("2026-09-01T10:15:00.123Z"));
    const late = makeRunId("alice", new Date("2026-09-01T10:15:00.124Z"));
    expect(early).toMatch(/^20260901-101500-123-swav-[0-9a-f]{6}$/);
    expect(early < late).toBe(true);
    expect(isRunId(early)).toBe(true);
  });

  it.each([
    "",
    ".",
    "..",
    "../20260901-101500-123-swav-123456",
    "20260901-101500-123-swav-123456/..",
    "20260901-101500-123-../x-123456",
    "20260901-101500-123-swav-123456\0",
    "20260901-101500-123-SwAV-123456",
    `20260901-101500-123-${"a".repeat(200)}-123456`,
  ])("from outside are checked: %j", async (id) => {
    expect(isRunId(id)).toBe(false);
    expect(() => store.path(id)).toThrow(UnknownRunError);
    await expect(store.read(id)).rejects.toThrow(UnknownRunError);
    await expect(store.delete(id)).rejects.toThrow(UnknownRunError);
  });
});

describe("RunStore", () => {
  it("is empty where there is no folder", async () => {
    expect(await new RunStore(join(folder, "none")).list()).toEqual([]);
  });

  it("lists newest first and queues oldest first", async () => {
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push((await store.create(request)).id);
    expect((await store.list()).map(({ id }) => id)).toEqual([...ids].reverse());
    expect((await store.queue()).map(({ id }) => id)).toEqual(ids);
  });

  it("keeps out of the queue what its creator executes at once", async () => {
    const { id } = await store.create(request, { hold: true });
    expect(await new RunStore(folder).queue()).toEqual([]);
    expect(() => new RunStore(folder).acquire(id)).toThrow(RunBusyError);
    store.acquire(id).release();
    expect(await store.queue()).toHaveLength(1);
  });

  it("tolerates broken folders, and says which", async () => {
    const { id } = await store.create(request);
    const broken = {
      "20260901-101500-123-swav-000001": null,
      "20260901-101500-123-swav-000002": "{",
      "20260901-101500-123-swav-000003": '{"version":2}',
      "20260901-101500-123-swav-000004": await readFile(store.path(id, "run.json"), "utf8"),
    };
    for (const [name, content] of Object.entries(broken)) {
      await mkdir(join(folder, name));
      if (content !== null) await writeFile(join(folder, name, "run.json"), content);
    }
    await mkdir(join(folder, "notes"));
    await writeFile(join(folder, "20260901-101500-123-swav-000005"), "a file");
    const found: string[] = [];
    const records = await store.list({ onBroken: (name) => found.push(name) });
    expect(records.map((record) => record.id)).toEqual([id]);
    expect(found.sort()).toEqual(Object.keys(broken));
    await expect(store.read("20260901-101500-123-swav-000002")).rejects.toThrow(BrokenRunError);
    await expect(store.read("20260901-101500-123-swav-000003")).rejects.toThrow("version");
    await expect(store.read("20260901-101500-123-swav-000004")).rejects.toThrow("belongs to run");
    await expect(store.read("20260901-101500-123-swav-000009")).rejects.toThrow(UnknownRunError);
  });

  it("never shows a reader half a record", async () => {
    const record = await store.create(request);
    const long = "x".repeat(200_000);
    let writing = true;
    const writer = (async () => {
      for (let i = 0; i < 30; i++) await store.write({ ...record, error: `${i}${long}` });
    })().finally(() => {
      writing = false;
    });
    let reads = 0;
    for (; writing; reads++) expect((await store.read(record.id)).id).toBe(record.id);
    await writer;
    expect(reads).toBeGreaterThan(5);
    expect(await readdir(store.path(record.id))).toEqual(["run.json"]);
  });

  it("knows a killed run by its lock, not by the number of its process", async () => {
    const { id } = await store.create(request);
    const running = withStatus(await store.read(id), "running");
    // The number belongs to a live process, as it does when the system has given it to another one.
    await store.write({ ...running, pid: process.pid });
    expect(store.isInterrupted(running)).toBe(true);

    const program = join(folder, "holder.mjs");
    await writeFile(
      program,
      `import { RunStore } from ${JSON.stringify(new URL("./run-store.ts", import.meta.url).href)};
       new RunStore(${JSON.stringify(folder)}).acquire(${JSON.stringify(id)});
       process.send("held");
       setInterval(() => {}, 1000);`,
    );
    const holder = fork(program, {
      execArgv: ["--conditions=source", "--disable-warning=ExperimentalWarning"],
    });
    try {
      await once(holder, "message");
      expect(store.isInterrupted(running)).toBe(false);
      expect(() => store.acquire(id)).toThrow(RunBusyError);
      await expect(store.delete(id)).rejects.toThrow(RunBusyError);
      await expect(store.requeue(id)).rejects.toThrow(RunBusyError);
    } finally {
      holder.kill("SIGKILL");
      await once(holder, "exit");
    }
    expect(store.isInterrupted(running)).toBe(true);
    expect((await store.requeue(id)).status).toBe("queued");
  });

  it("cancels, requeues and deletes", async () => {
    const { id } = await store.create(request);
    expect(await store.cancel(id)).toBe("cancelled");
    expect((await store.read(id)).status).toBe("cancelled");
    await expect(store.cancel(id)).rejects.toThrow("is cancelled and cannot become cancelled");
    expect((await store.requeue(id)).status).toBe("queued");
    const lock = store.acquire(id);
    expect(await store.cancel(id)).toBe("requested");
    expect(await store.isCancelRequested(id)).toBe(true);
    lock.release();
    await store.delete(id);
    expect(await store.list()).toEqual([]);
  });

  it("lets a run that is done change no more", async () => {
    const record = await store.create(request);
    await store.write(withStatus(withStatus(record, "running"), "done"));
    await expect(store.cancel(record.id)).rejects.toThrow("is done and cannot become cancelled");
    await expect(store.requeue(record.id)).rejects.toThrow("is done and cannot become queued");
  });
});

describe("the log", () => {
  const point = (unit: string, step: number): LogRecord => ({
    kind: "step",
    time: "2026-09-01T10:15:00.000Z",
    unit,
    phase: "training",
    step,
    values: { loss: step / 2 },
  });
  const all = async (): Promise<ReadonlyMap<string, number>> => new Map();

  it("drops a torn last line, lines that are no records, and lines beyond a unit's limit", async () => {
    const path = join(folder, "log.jsonl");
    const lines = [point("seed-0/a", 1), point("seed-0/b", 1), point("seed-0/a", 2), point("seed-0/b", 2)];
    await writeFile(path, `${lines.map((line) => JSON.stringify(line)).join("\n")}\nnonsense\n{"kind":"st`);
    const log = await RunLog.open(path, async (counts) => {
      expect(Object.fromEntries(counts)).toEqual({ "seed-0/a": 2, "seed-0/b": 2 });
      return new Map([["seed-0/b", 1]]);
    });
    expect(log.append(point("seed-0/a", 2))).toBe(false);
    expect(log.append(point("seed-0/b", 2))).toBe(true);
    expect(log.linesOf("seed-0/b")).toBe(2);
    log.close();
    expect((await new LogTail(path).read()).records).toEqual(lines);
  });

  it("reaches the file by itself within a quarter of a second", async () => {
    const path = join(folder, "log.jsonl");
    const log = await RunLog.open(path, all);
    log.append(point("seed-0/a", 1));
    expect(await readFile(path, "utf8")).toBe("");
    await expect.poll(() => readFile(path, "utf8"), { timeout: 400, interval: 20 }).toContain('"step":1');
    log.close();
  });

  it("is followed line by line, never half a line, and from the start when it was rewritten", async () => {
    const path = join(folder, "log.jsonl");
    const tail = new LogTail(path);
    expect(await tail.read()).toEqual({ records: [], restarted: false });
    const [first, second, third] = [1, 2, 3].map((step) => point("seed-0/ä", step)) as [
      LogRecord,
      LogRecord,
      LogRecord,
    ];
    const bytes = Buffer.from(`${JSON.stringify(first)}\n${JSON.stringify(second)}\n`);
    // Cut inside every byte, also inside the two of "ä": nothing is lost and nothing comes twice.
    const seen: LogRecord[] = [];
    for (const byte of bytes) {
      await appendFile(path, Buffer.of(byte));
      seen.push(...(await tail.read()).records);
    }
    expect(seen).toEqual([first, second]);
    await appendFile(path, "nonsense\n");
    expect((await tail.read()).records).toEqual([]);

    const log = await RunLog.open(path, async () => new Map([["seed-0/ä", 1]]));
    log.append(third);
    log.close();
    expect(await tail.read()).toEqual({ records: [first, third], restarted: true });
  });
});
