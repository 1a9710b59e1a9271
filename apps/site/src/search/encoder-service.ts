import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import { type LeasedJob, outsideVersion, readFigures, type Store } from "@concord/feed";
import type { SiteSettings } from "../config/settings.ts";
import type { Log } from "../ops/log.ts";
import type { Service } from "../site-parts.ts";

/** Name of the folder of encoders within the data folder. */
export const MODELS_FOLDER = "search-models";

const QUEUE = "search";
const FIRST_MS = 20_000;
const LOOK_EVERY_MS = 120_000;
const LEASE_MS = 5 * 60_000;
const RENEW_EVERY_MS = 60_000;
const RETRY_MS = 3_600_000;
/** Fewer papers teach little that words do not tell. */
const LEAST_TO_TRAIN = 500;
const GROWTH = 1.5;
const KEPT_OUTPUT = 2000;

export type EncoderWork = "train-encoder" | "index-papers";

/**
 * What the encoder needs: to be trained (there is none, or papers have grown by half since), or papers that came in to
 * be encoded; null when everything is as it should be.
 */
export async function encoderWork(
  store: Store,
  modelsFolder: string,
  { search }: Pick<SiteSettings, "search">,
): Promise<EncoderWork | null> {
  const [active, papers] = await Promise.all([store.vectors.active(), store.papers.count()]);
  if (search.encoder !== undefined) {
    const ready = active?.version === outsideVersion(search.encoder);
    const missing = ready ? await store.vectors.missing(active.version, { limit: 1 }) : [];
    return papers > 0 && (!ready || missing.length > 0) ? "index-papers" : null;
  }
  if (active === null) return search.train && papers >= LEAST_TO_TRAIN ? "train-encoder" : null;
  const figures = await readFigures(resolve(modelsFolder, active.version));
  const then = figures === null ? 0 : figures.papers + figures.heldOut;
  if (search.train && papers >= LEAST_TO_TRAIN && papers >= GROWTH * then) return "train-encoder";
  if (figures === null) return null;
  const missing = await store.vectors.missing(active.version, { limit: 1 });
  return missing.length > 0 ? "index-papers" : null;
}

/** Keeps the search by meaning in step with the papers: `concord index` in a process of its own, one at a time. */
export function encoderService(
  { store, settings, log }: { readonly store: Store; readonly settings: SiteSettings; readonly log: Log },
  command: readonly string[],
): Service {
  const folder = resolve(settings.data.folder);
  const models = resolve(folder, MODELS_FOLDER);
  let timer: NodeJS.Timeout | undefined;
  let child: ChildProcess | null = null;
  let running: Promise<void> = Promise.resolve();
  let stopped = false;

  const run = async (job: LeasedJob): Promise<void> => {
    const [program = process.execPath, ...first] = command;
    const args = [...first, "index", "--data", folder, "--json"];
    if (job.key === "train-encoder") args.push("--train");
    const env: NodeJS.ProcessEnv = { ...process.env };
    if (settings.search.encoder !== undefined) env.CONCORD_SEARCH_ENCODER = resolve(settings.search.encoder);
    const indexing = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"], env });
    child = indexing;
    let output = "";
    indexing.stderr.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-KEPT_OUTPUT);
    });
    const renewing = setInterval(() => {
      store.jobs.renew(job, LEASE_MS).catch((err: unknown) => log.warn({ err }, "a lease was not renewed"));
    }, RENEW_EVERY_MS);
    const start = performance.now();
    const code = await new Promise<number>((done) => {
      indexing.once("error", (error) => {
        output += error.message;
        done(-1);
      });
      indexing.once("close", (exit) => done(exit ?? -1));
    });
    clearInterval(renewing);
    child = null;
    const seconds = Math.round((performance.now() - start) / 1000);
    if (code === 0) {
      await store.jobs.done(job);
      log.info({ work: job.key, seconds }, "search by meaning is up to date");
    } else if (stopped) await store.jobs.failed(job, "the server stopped", Date.now());
    else {
      await store.jobs.failed(job, output.trim().slice(-500) || `code ${code}`, Date.now() + RETRY_MS);
      log.warn({ work: job.key, code, output: output.trim() }, "the encoder's process failed");
    }
  };

  const look = async (): Promise<void> => {
    try {
      const work = await encoderWork(store, models, settings);
      if (work !== null) await store.jobs.add({ queue: QUEUE, key: work });
      const job = stopped ? null : await store.jobs.lease([QUEUE], LEASE_MS);
      if (job) await run(job);
    } catch (err) {
      log.warn({ err }, "the encoder could not be looked after");
    }
  };
  const schedule = (delay: number) => {
    if (stopped) return;
    timer = setTimeout(() => {
      running = look().then(() => schedule(LOOK_EVERY_MS));
    }, delay);
    timer.unref();
  };
  return {
    start: () => schedule(FIRST_MS),
    async stop() {
      stopped = true;
      clearTimeout(timer);
      // It keeps a checkpoint and goes on at the next start.
      child?.kill("SIGTERM");
      await running;
    },
  };
}
