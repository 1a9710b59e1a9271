import { type ChildProcess, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { openSqliteStore } from "../../src/index.ts";
import { headerOf, SmtpSink } from "./sink.ts";
import { filledStore } from "./support.ts";

const script = fileURLToPath(new URL("./send-until-killed.ts", import.meta.url));

/** The child as one file: it starts in a fraction of the time. */
async function bundled(folder: string): Promise<string> {
  const outfile = join(folder, "send-until-killed.mjs");
  await build({
    ...{ entryPoints: [script], outfile, bundle: true, platform: "node", format: "esm", target: "node24" },
    conditions: ["source"],
    external: ["onnxruntime-node", "sharp"],
    logLevel: "error",
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
  });
  return outfile;
}

export interface CrashReport {
  readonly kills: number;
  readonly messages: number;
  readonly missed: number;
  /** Messages beyond the first of each reader. */
  readonly duplicates: number;
  /** Readers whose copies differ in Message-ID. */
  readonly differing: number;
  readonly seconds: number;
  readonly progress: Readonly<Record<string, number>>;
}

/** Small and repeatable: mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Sends to `readers` addresses through processes that are killed (kill -9) after random numbers of messages, until every
 * row is settled.
 *
 * @param options.workers  processes at once, of which one is killed each time
 */
export async function sendWithKills(
  file: string,
  options: {
    readonly readers: number;
    readonly kills: number;
    readonly connections: number;
    readonly workers?: number;
    readonly seed?: number;
  },
): Promise<CrashReport> {
  const { readers, kills, connections, workers = 1, seed = 1 } = options;
  const leaseMs = 1000;
  const [child] = await Promise.all([bundled(dirname(file)), filledStore(file, readers)]);
  const random = randomOf(seed);
  const sink = new SmtpSink();
  const url = await sink.listen();
  let killed = 0;
  let until = 0;
  let next: () => void = () => {};
  // The message on whose arrival the sender dies: between the server's having it and the sender's knowing, too.
  const aim = () => {
    const left = readers - sink.caught.length;
    until = sink.caught.length + 1 + Math.floor((random() * 2 * left) / (kills - killed + 1));
  };
  sink.onMessage = () => {
    if (sink.caught.length === until) next();
  };
  const begun = performance.now();
  const start = (): ChildProcess =>
    spawn(
      process.execPath,
      [
        ...["--disable-warning=ExperimentalWarning", child],
        ...[file, url, String(connections), String(leaseMs)],
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
  const ended = (child: ChildProcess) => new Promise<void>((resolve) => child.once("close", () => resolve()));
  const running = new Map<ChildProcess, Promise<void>>();
  const launch = () => {
    const child = start();
    running.set(
      child,
      ended(child).then(() => {
        running.delete(child);
      }),
    );
  };
  for (let worker = 0; worker < workers; worker++) launch();
  const store = openSqliteStore(file);
  const issue = (await store.outbox.issues()).items[0];
  const settled = async () => {
    const { queued, sending, unknown } = await store.outbox.progress(issue?.id ?? "");
    return queued + sending + unknown === 0;
  };
  while (killed < kills && !(await settled())) {
    const reached = new Promise<void>((resolve) => {
      next = resolve;
    });
    aim();
    await Promise.race([reached, ...running.values()]);
    const [victim] = running.keys();
    if (victim) {
      const gone = running.get(victim);
      // Some microseconds to some milliseconds later: any point between the answer and the settling.
      if (random() < 0.5) await sleep(random() * 6);
      victim.kill("SIGKILL");
      killed += 1;
      await gone;
    }
    while (running.size < workers) launch();
  }
  for (let rounds = 0; !(await settled()); rounds++) {
    if (rounds > 20) break;
    if (running.size === 0) launch();
    await Promise.race(running.values());
    // What the last killed process held is free when its lease ends.
    if (!(await settled())) await sleep(leaseMs);
  }
  await Promise.all(running.values());
  const progress = await store.outbox.progress(issue?.id ?? "");
  await store.close();
  await sink.close();

  const ids = new Map<string, Set<string | null>>();
  for (const { to, raw } of sink.caught) {
    const those = ids.get(to) ?? new Set();
    those.add(headerOf(raw, "Message-ID"));
    ids.set(to, those);
  }
  return {
    kills: killed,
    messages: sink.caught.length,
    missed: readers - ids.size,
    duplicates: sink.caught.length - ids.size,
    differing: [...ids.values()].filter((those) => those.size !== 1).length,
    seconds: Math.round(performance.now() - begun) / 1000,
    progress,
  };
}
