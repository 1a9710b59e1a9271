import { execFile } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { endWorker } from "../../src/runtime/workers.ts";
import { trainings } from "../browser/trainings.ts";

const place = (name: string) => new URL(name, import.meta.url);

describe("in worker threads", () => {
  test("two trainings at once give the losses of the main thread", async () => {
    const expected = await trainings.twoTowers(undefined);
    const ends = [0, 1].map(async () => {
      const worker = new Worker(place("training-worker.ts"), {
        workerData: "once",
        execArgv: ["--conditions=source"],
      });
      const [[losses], [code]] = await Promise.all([once(worker, "message"), once(worker, "exit")]);
      return { losses, code };
    });
    const wanted = { losses: expected, code: 0 };
    expect(await Promise.all(ends)).toEqual([wanted, wanted]);
  });

  test("endWorker wants a worker of startWorker", async () => {
    const worker = new Worker("", { eval: true });
    await expect(endWorker(worker)).rejects.toThrow("expected a worker that startWorker started");
    await worker.terminate();
  });

  test.each([
    ["flags of V8", ["--max-semi-space-size=8"], ["--max-semi-space-size=8"]],
    ["--input-type", ["--input-type=module"], []],
  ])("threadFlags passes on the flags of the process: %s", async (_, given, passed) => {
    const program = `
      const { startWorker, threadFlags } = await import(${JSON.stringify(new URL("../../src/runtime/workers.ts", import.meta.url).href)});
      const say = "require('node:worker_threads').parentPort.postMessage(process.execArgv)";
      startWorker(say, { eval: true, execArgv: threadFlags() }).on("message", (flags) => console.log(JSON.stringify(flags)));
    `;
    const own = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
    const { stdout } = await promisify(execFile)(process.execPath, [...own, ...given, "-e", program]);
    expect(JSON.parse(stdout)).toEqual(expect.arrayContaining([...own, ...passed]));
    expect(stdout).not.toContain("--input-type");
  });

  test("a thread may be ended in the middle of a step; the process lives on", async () => {
    const [expected, { stdout }] = await Promise.all([
      trainings.smallCnn(undefined),
      promisify(execFile)(process.execPath, [
        "--conditions=source",
        "--disable-warning=ExperimentalWarning",
        fileURLToPath(place("terminate.ts")),
      ]),
    ]);
    expect(JSON.parse(stdout)).toBe(expected.at(-1));
  });
});
