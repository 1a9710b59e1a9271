import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fileGate, memoryGate, politenessRule } from "../../src/net/index.ts";
import { JumpingClock } from "./replay-server.ts";

const rule = { group: "arxiv.org", intervalMs: 3000 };
const options = { holdMs: 10_000, maxPauseMs: 60_000 };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-gate-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("politenessRule", () => {
  it.each([
    ["arxiv.org", "arxiv.org", 3000],
    ["export.arxiv.org", "arxiv.org", 3000],
    ["rss.arxiv.org", "arxiv.org", 3000],
    ["oaipmh.arxiv.org.", "arxiv.org", 3000],
    ["notarxiv.org", "notarxiv.org", 1000],
    ["arxiv.org.example.com", "arxiv.org.example.com", 1000],
    ["huggingface.co", "huggingface.co", 1000],
  ])("puts %s into %s", (hostname, group, intervalMs) => {
    expect(politenessRule(hostname)).toEqual({ group, intervalMs });
  });
});

describe.each([
  ["memory", (clock: JumpingClock) => memoryGate(clock)],
  ["file", (clock: JumpingClock) => fileGate(join(folder, `${Math.floor(clock.now())}.sqlite`), clock)],
] as const)("a gate in %s", (kind, open) => {
  const start = kind === "memory" ? 1e12 : 2e12;

  it("gives turns three seconds apart", async () => {
    const clock = new JumpingClock(start);
    const gate = open(clock);
    const times: number[] = [];
    for (let i = 0; i < 4; i++) {
      const turn = await gate.take(rule, options);
      times.push(clock.now() - start);
      turn.release();
    }
    expect(times).toEqual([0, 3000, 6000, 9000]);
  });

  it("gives the next turn when the one before has ended, or its holder counts as dead", async () => {
    const clock = new JumpingClock(start + 1e6);
    const gate = open(clock);
    await gate.take(rule, options);
    const next = await gate.take(rule, options);
    expect(clock.now() - start - 1e6).toBeGreaterThanOrEqual(options.holdMs);
    next.release();
    next.release();
  });

  it("rests for as long as a turn was released with", async () => {
    const clock = new JumpingClock(start + 2e6);
    const gate = open(clock);
    (await gate.take(rule, options)).release(20_000);
    await expect(gate.take(rule, { ...options, maxPauseMs: 19_000 })).rejects.toThrow("another 20 seconds");
    await gate.take({ group: "example.org", intervalMs: 1000 }, options);
    expect(clock.now()).toBe(start + 2e6);
    await gate.take(rule, options);
    expect(clock.now()).toBe(start + 2e6 + 20_000);
  });

  it("forgets marks from a clock that was set back by more than a day", async () => {
    const clock = new JumpingClock(start + 3e6);
    const gate = open(clock);
    (await gate.take(rule, options)).release();
    await clock.sleep(-3 * 86_400_000);
    const before = clock.now();
    await gate.take(rule, options);
    expect(clock.now()).toBe(before);
  });

  it("stops waiting when the signal says so", async () => {
    const gate = open(new JumpingClock(start + 4e6));
    const reason = new Error("enough");
    await expect(gate.take(rule, { ...options, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe("a gate's file", () => {
  it("keeps several processes apart, also when one is killed in its turn", async () => {
    const path = join(folder, "shared.sqlite");
    const child = fileURLToPath(new URL("gate-child.ts", import.meta.url));
    const start = (turns: number, dies: boolean) => {
      const process_ = spawn(
        process.execPath,
        [
          "--conditions=source",
          "--disable-warning=ExperimentalWarning",
          child,
          path,
          String(turns),
          String(dies),
        ],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      let text = "";
      process_.stdout.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      return new Promise<number[]>((resolve) => {
        process_.on("close", () => resolve(text.trim().split("\n").filter(Boolean).map(Number)));
      });
    };
    const times = (await Promise.all([start(5, false), start(5, false), start(1, true)]))
      .flat()
      .sort((a, b) => a - b);
    expect(times).toHaveLength(11);
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(60);
  });
});
