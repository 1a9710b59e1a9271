import { appendFile, rename, writeFile } from "node:fs/promises";
import { createRun, type RunRecord, RunStore } from "@concord/papers";
import { Hono } from "hono";
import { afterEach, beforeEach, expect, it } from "vitest";
import { RunEvents } from "../src/runs/events.ts";
import { temporaryFolder } from "./support.ts";
import { toyExperiment } from "./toy-experiment.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let store: RunStore;
let run: RunRecord;
let log: string;
let events: RunEvents;
let app: Hono;

beforeEach(async () => {
  folder = await temporaryFolder();
  store = new RunStore(folder.path);
  run = await createRun(toyExperiment, store, { preset: "smoke" });
  log = store.path(run.id, "log.jsonl");
  events = new RunEvents({ store, pollMs: 10, heartbeatMs: 60, maxConnections: 2 });
  app = new Hono().get("/events", (context) =>
    events.stream(
      context,
      run.id,
      context.req.header("last-event-id"),
      Number(context.req.query("seen") ?? 0),
    ),
  );
});
afterEach(async () => {
  events.close();
  await folder.remove();
});

const step = (step: number) =>
  `${JSON.stringify({ kind: "step", time: "", unit: "seed-0/a", phase: "p", step, values: { loss: step } })}\n`;
const state = `${JSON.stringify({ kind: "state", time: "", status: "running" })}\n`;

interface Event {
  readonly event: string;
  readonly data: string;
  readonly id?: string;
}

/** Reads a stream event by event; comments come as events named ":". */
function follow(headers: Record<string, string> = {}) {
  const stop = new AbortController();
  const answer = app.request("/events", { headers, signal: stop.signal });
  async function* read(): AsyncGenerator<Event> {
    const body = (await answer).body!.pipeThrough(new TextDecoderStream());
    let rest = "";
    for await (const text of body) {
      const parts = (rest + text).split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const fields = Object.fromEntries(part.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2)));
        yield part.startsWith(":") ? { event: ":", data: part } : { data: "", ...fields };
      }
    }
  }
  const events = read();
  return {
    /** The next event that is not one of these. */
    async next(...skipped: readonly string[]): Promise<Event | undefined> {
      for (;;) {
        const { value, done } = await events.next();
        if (done) return undefined;
        if (!skipped.includes(value.event)) return value;
      }
    },
    stop: () => events.return(undefined),
  };
}
const steps = (event: Event | undefined) =>
  (JSON.parse(event?.data ?? "[]") as { step: number }[]).map(({ step }) => step);

it("sends what is there in one batch, then what is added, and goes on from the last event id", async () => {
  await writeFile(log, step(1) + step(2) + state);
  const stream = follow();
  const first = await stream.next("state", ":");
  expect(first?.event).toBe("records");
  expect(steps(first)).toEqual([1, 2]);
  await appendFile(log, step(3));
  const second = await stream.next("state", ":");
  expect(steps(second)).toEqual([3]);
  await stream.stop();

  await appendFile(log, step(4));
  const again = follow({ "last-event-id": second!.id! });
  expect(steps(await again.next("state", ":"))).toEqual([4]);
  await again.stop();
});

it("says reset and starts over when the log was rewritten", async () => {
  await writeFile(log, step(1) + step(2));
  const stream = follow();
  expect(steps(await stream.next("state", ":"))).toEqual([1, 2]);
  await writeFile(`${log}.new`, step(1) + step(20) + step(21));
  await rename(`${log}.new`, log);
  expect((await stream.next("state", ":"))?.event).toBe("reset");
  expect(steps(await stream.next("state", ":"))).toEqual([1, 20, 21]);
  await stream.stop();
});

it("says when the record changes, and ends after everything was sent when the run is over", async () => {
  await writeFile(log, "");
  const stream = follow();
  await stream.next(":");
  await appendFile(log, step(1));
  await store.write({ ...run, status: "done" });
  const seen: string[] = [];
  for (let event = await stream.next(":"); event; event = await stream.next(":")) seen.push(event.event);
  expect(seen.at(-1)).toBe("end");
  expect(seen).toContain("records");
  expect(seen).toContain("state");
  expect(seen.indexOf("records")).toBeLessThan(seen.indexOf("end"));
});

it("ends when the run is deleted", async () => {
  const stream = follow();
  await stream.next(":");
  await store.cancel(run.id);
  await store.delete(run.id);
  let last: Event | undefined;
  for (let event = await stream.next(":"); event; event = await stream.next(":")) last = event;
  expect(last?.event).toBe("end");
});

it("gives a sign of life when nothing happens", async () => {
  const stream = follow();
  expect((await stream.next("state"))?.event).toBe(":");
  await stream.stop();
});

it("refuses more streams than it may keep open, and takes one again when another has ended", async () => {
  const first = follow();
  const second = follow();
  await Promise.all([first.next(), second.next()]);
  expect((await app.request("/events")).status).toBe(503);
  await first.stop();
  await expect
    .poll(async () => (await app.request("/events", { signal: AbortSignal.timeout(500) })).status)
    .toBe(200);
  await second.stop();
});
