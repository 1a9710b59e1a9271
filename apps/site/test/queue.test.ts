import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createRun, type RunRecord, RunStore } from "@concord/papers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { queuePosition, RunQueue } from "../src/runs/queue.ts";
import { RunIndex } from "../src/runs/run-index.ts";
import { eventually, temporaryFolder } from "./support.ts";
import { toyExperiment } from "./toy-experiment.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let store: RunStore;
const open: RunQueue[] = [];
const problems: Error[] = [];

beforeEach(async () => {
  folder = await temporaryFolder();
  store = new RunStore(folder.path);
});
afterEach(async () => {
  for (const queue of open.splice(0)) await queue.close();
  await folder.remove();
  expect(problems.splice(0)).toEqual([]);
});

/**
 * A command that does what `body` says. It has `id`, `attempt` (1 for the first time that the run is executed),
 * `record`, `save(changes)`, `working(unit)`, which takes the run's lock and reports that unit as under way, and
 * `note(text)`, which adds a line to notes.txt.
 */
function command(body: string): readonly string[] {
  const script = `
    const fs = require("node:fs"), path = require("node:path");
    const [, verb, , id, , runs] = process.argv;
    const file = path.join(runs, id, "run.json");
    const record = JSON.parse(fs.readFileSync(file, "utf8"));
    const save = (changes) => {
      fs.writeFileSync(file + ".new", JSON.stringify(Object.assign(record, changes)));
      fs.renameSync(file + ".new", file);
    };
    const note = (text) => fs.appendFileSync(path.join(runs, "notes.txt"), text + "\\n");
    fs.appendFileSync(path.join(runs, id, "attempts"), "x");
    const attempt = fs.readFileSync(path.join(runs, id, "attempts")).length;
    const lock = new (require("node:sqlite").DatabaseSync)(path.join(runs, id, "lock"));
    const working = (unit) => lock.exec("BEGIN EXCLUSIVE") ?? save({ status: "running", units: record.units.map((u, i) => ({ ...u, status: i === unit ? "running" : i < unit ? "done" : "pending" })) });
    ${body}`;
  return [process.execPath, "--disable-warning=ExperimentalWarning", "-e", script, "--"];
}

async function startQueue(run: readonly string[], killAfterMs = 300): Promise<RunQueue> {
  const queue = new RunQueue({
    store,
    index: new RunIndex(store),
    command: run,
    pollMs: 30,
    killAfterMs,
    onProblem: (error) => problems.push(error),
  });
  open.push(queue);
  await queue.start();
  return queue;
}

const newRun = () => createRun(toyExperiment, store, { preset: "smoke" });
const reach = (run: RunRecord, status: RunRecord["status"]) =>
  eventually(async () => {
    const now = await store.read(run.id);
    return now.status === status && now;
  }, `run becomes ${status}`);
const notes = async () =>
  (await readFile(join(folder.path, "notes.txt"), "utf8").catch(() => "")).trim().split("\n");

describe("the queue", () => {
  it("executes runs one after another, oldest first", async () => {
    const runs = [await newRun(), await newRun(), await newRun()];
    await startQueue(
      command(`note("start " + id); setTimeout(() => { note("end " + id); save({ status: "done" }); }, 60);`),
    );
    for (const run of runs) await reach(run, "done");
    expect(await notes()).toEqual(runs.flatMap(({ id }) => [`start ${id}`, `end ${id}`]));
  });

  it("passes the run, the folder and --json to the command", async () => {
    const run = await newRun();
    await startQueue(command(`note(process.argv.slice(1).join(" ")); save({ status: "done" });`));
    await reach(run, "done");
    expect(await notes()).toEqual([`run --resume ${run.id} --runs ${store.folder} --json`]);
  });

  it("takes a run up again whose process died, and goes on after that", async () => {
    const run = await newRun();
    const next = await newRun();
    await startQueue(
      command(
        `if (attempt === 1 && id === ${JSON.stringify(run.id)}) { working(2); process.exit(3); } save({ status: "done" });`,
      ),
    );
    await reach(run, "done");
    await reach(next, "done");
    expect(await readFile(store.path(run.id, "attempts"), "utf8")).toBe("xx");
  });

  it("gives up on a run that dies twice in the same unit, and keeps its last words", async () => {
    const run = await newRun();
    await startQueue(command(`console.error("out of memory at step 7"); working(1); process.exit(3);`));
    const failed = await reach(run, "failed");
    expect(failed.error).toContain("The process ended with exit code 3");
    expect(failed.error).toContain(`twice in ${run.units[1]!.id}`);
    expect(failed.error).toContain("out of memory at step 7");
    expect(await readFile(store.path(run.id, "attempts"), "utf8")).toBe("xx");
  });

  it("does not give up while every death is in a later unit", async () => {
    const run = await newRun();
    await startQueue(
      command(
        `if (attempt <= 4) { working(attempt); process.kill(process.pid, "SIGKILL"); } save({ status: "done" });`,
      ),
    );
    await reach(run, "done");
    expect(await readFile(store.path(run.id, "attempts"), "utf8")).toBe("xxxxx");
  });

  it("leaves a run alone that its own process has ended", async () => {
    const run = await newRun();
    await startQueue(command(`save({ status: "failed", error: "the data are empty" }); process.exit(1);`));
    expect((await reach(run, "failed")).error).toBe("the data are empty");
  });

  it("says so when the command cannot be started", async () => {
    const run = await newRun();
    await startQueue([join(folder.path, "no-such-program")]);
    expect((await reach(run, "failed")).error).toContain("could not be started");
  });
});

describe("cancelling", () => {
  const deaf = `process.on("SIGTERM", () => note("SIGTERM")); working(1); note("at work"); setInterval(() => {}, 1000);`;

  it("tells the process first and kills it when it does not stop", async () => {
    const run = await newRun();
    const queue = await startQueue(command(deaf));
    await eventually(async () => (await notes()).includes("at work"), "the run is at work");
    await queue.cancel(run.id);
    await reach(run, "cancelled");
    expect(await notes()).toEqual(["at work", "SIGTERM"]);
  });

  it("takes a waiting run out of the queue", async () => {
    const run = await newRun();
    const next = await newRun();
    const queue = await startQueue(command(`note(id); setTimeout(() => save({ status: "done" }), 200);`));
    await queue.cancel(next.id);
    await reach(run, "done");
    expect((await store.read(next.id)).status).toBe("cancelled");
    expect(await notes()).toEqual([run.id]);
  });

  it("can be taken back: the run is queued again", async () => {
    const run = await newRun();
    const queue = await startQueue(command(`if (attempt === 1) { ${deaf} } else save({ status: "done" });`));
    await eventually(async () => (await notes()).includes("at work"), "the run is at work");
    await queue.cancel(run.id);
    await reach(run, "cancelled");
    await queue.resume(run.id);
    await reach(run, "done");
  });
});

describe("servers that come and go", () => {
  it("a closed server leaves its run queued, and that does not count as a death", async () => {
    const run = await newRun();
    for (let round = 1; round <= 3; round++) {
      const queue = await startQueue(command(`working(1); note("at work"); setInterval(() => {}, 1000);`));
      await eventually(
        async () => (await notes()).length === round && (await notes())[0] !== "",
        "the run is at work",
      );
      await queue.close();
      expect((await store.read(run.id)).status).toBe("queued");
    }
    await startQueue(command(`save({ status: "done" });`));
    await reach(run, "done");
  });

  it("a run whose server and process are both gone is taken up again", async () => {
    const run = await newRun();
    await store.write({ ...run, status: "running", pid: 999_999_999 });
    await startQueue(command(`save({ status: "done" });`));
    await reach(run, "done");
  });

  it("waits while another process executes a run of the folder", async () => {
    const foreign = await newRun();
    const run = await newRun();
    const lock = store.acquire(foreign.id);
    await store.write({ ...foreign, status: "running" });
    await startQueue(command(`note(id); save({ status: "done" });`));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await store.read(run.id)).status).toBe("queued");
    await store.write({ ...foreign, status: "done" });
    lock.release();
    await reach(run, "done");
    expect(await notes()).toEqual([run.id]);
  });

  it("of two servers on one folder only one executes; the other takes over when that one closes", async () => {
    const first = await startQueue(command(`note("first"); save({ status: "done" });`));
    const second = await startQueue(command(`note("second"); save({ status: "done" });`));
    expect([first.executes, second.executes]).toEqual([true, false]);
    const runs = [await newRun(), await newRun(), await newRun()];
    for (const run of runs) await reach(run, "done");
    expect(await notes()).toEqual(["first", "first", "first"]);
    await first.close();
    await reach(await newRun(), "done");
    expect((await notes()).at(-1)).toBe("second");
    expect(second.executes).toBe(true);
  });
});

it("queuePosition counts the waiting runs that are older", async () => {
  const [first, second, third] = [await newRun(), await newRun(), await newRun()];
  await store.write({ ...first, status: "running" });
  const records = await store.list();
  expect([first, second, third].map(({ id }) => queuePosition(records, id))).toEqual([null, 1, 2]);
});
