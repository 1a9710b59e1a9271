import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type OpenedSearch, openSearch, openSqliteStore, syncCatalogue } from "@concord/feed";
import { RunStore } from "@concord/papers";
import { serve } from "@hono/node-server";
import { createApp } from "./app.ts";
import { builtInPapers, Catalogue, catalogueEntries, type PaperSource } from "./catalogue.ts";
import type { SiteSettings } from "./config/settings.ts";
import { buildAssets } from "./http/assets.ts";
import { intakeService } from "./ops/intake.ts";
import { createLog } from "./ops/log.ts";
import { maintenance } from "./ops/maintenance.ts";
import { Metrics } from "./ops/metrics.ts";
import { createPeople, mailerOf, type People } from "./people/service.ts";
import { submissionService } from "./people/submit.ts";
import { RunEvents } from "./runs/events.ts";
import { Journals } from "./runs/journal.ts";
import { RunQueue } from "./runs/queue.ts";
import { RunIndex } from "./runs/run-index.ts";
import { encoderService, MODELS_FOLDER } from "./search/encoder-service.ts";
import type { Service, SiteParts } from "./site-parts.ts";
import { createDigest, digestService } from "./subscribe/service.ts";

export type { PaperSource } from "./catalogue.ts";
export * from "./config/index.ts";
export { digestMailer, digestTimes, sendingOf } from "./subscribe/service.ts";

/** Name of the store within the data folder. */
export const STORE_FILE = "concord.sqlite";

export interface SiteOptions {
  readonly settings: SiteSettings;
  /**
   * Program and first arguments of the command that executes a run in a process of its own. The site appends
   * `run --resume ID --runs FOLDER --json`.
   */
  readonly command: readonly string[];
  /** Where papers come from. Default: the catalogue that Concord ships. */
  readonly papers?: PaperSource;
}

export interface Site {
  readonly url: string;
  /** Stops serving and executing. A run under way goes back into the queue and on from where it was. */
  close(): Promise<void>;
}

/** In so many turns of the event loop, and no longer than this, what has come is taken in before the server closes. */
const DRAIN = { turns: 100, ms: 1000 };
const SWEEP_MS = 50;
/** Requests under way may take this long after the site was asked to stop. */
const GRACE_MS = 5000;

/**
 * Starts the site and begins to work off the queue of runs.
 *
 * @throws Error when the port is taken, the catalogue is malformed or the store cannot be opened
 */
export async function startSite(options: SiteOptions): Promise<Site> {
  const { settings } = options;
  const { host, port } = settings.server;
  const log = createLog({ level: settings.log.level, output: process.stderr });
  const store = openSqliteStore(join(settings.data.folder, STORE_FILE));
  const started: Service[] = [];
  let search: OpenedSearch | undefined;
  const stopServices = async () => {
    for (const service of started.splice(0).reverse()) await service.stop();
  };
  const closeStore = async () => {
    await search?.close();
    await store.close();
  };
  try {
    const runStore = new RunStore(settings.data.runs);
    const index = new RunIndex(runStore);
    const queue = new RunQueue({ store: runStore, index, command: options.command });
    const events = new RunEvents({ store: runStore });
    const source = options.papers ?? builtInPapers;
    const [assets, catalogue] = await Promise.all([buildAssets(), Catalogue.load(source)]);
    await syncCatalogue(store, await catalogueEntries(source));
    let address = settings.server.publicUrl?.replace(/\/+$/, "") ?? `http://${host}:${port}`;
    const publicUrl = () => address;
    const people = await createPeople({ store, settings, log, publicUrl, mailer: mailerOf(settings) });
    search = openSearch({
      store,
      modelsFolder: join(settings.data.folder, MODELS_FOLDER),
      encoder: settings.search.encoder,
      log: (level, text) => log[level](text),
    });
    const parts: SiteParts = {
      assets,
      catalogue,
      store,
      search,
      people,
      digest: await createDigest({ store, people, settings, publicUrl }),
      runStore,
      index,
      queue,
      events,
      journals: new Journals(),
      settings,
      log,
      metrics: new Metrics(store),
      publicUrl,
    };
    const { server, url } = await listen(createApp(parts), host, port);
    if (settings.server.publicUrl === undefined) address = url;
    for (const service of [
      maintenance(store, log),
      intakeService(store, settings, log),
      queueService(queue, events),
      submissionService(parts),
      encoderService(parts, options.command),
      officeService(people),
      digestService(parts),
    ]) {
      await service.start();
      started.push(service);
    }
    return {
      url,
      async close() {
        await drain();
        const closed = new Promise<void>((resolve) => {
          server.close(() => resolve());
        });
        // What streams to browsers ends here; the queue hands runs under way back.
        await stopServices();
        const grace = setTimeout(() => {
          if ("closeAllConnections" in server) server.closeAllConnections();
        }, GRACE_MS);
        // Browsers and proxies keep connections open for their next request, which goes elsewhere now.
        const sweep = setInterval(() => {
          if ("closeIdleConnections" in server) server.closeIdleConnections();
        }, SWEEP_MS);
        await closed;
        clearInterval(sweep);
        clearTimeout(grace);
        // A request may come over a connection that was taken just before: it is answered from the store, too.
        await closeStore();
      },
    };
  } catch (error) {
    await stopServices();
    await closeStore();
    throw error;
  }
}

/** Takes in connections that the system has accepted for the server, and the requests on them: they would be cut off. */
async function drain(): Promise<void> {
  const end = performance.now() + DRAIN.ms;
  for (let turn = 0; turn < DRAIN.turns && performance.now() < end; turn++) await nextTurn();
}

async function listen(app: ReturnType<typeof createApp>, host: string, port: number) {
  const { server, address } = await new Promise<{ server: ReturnType<typeof serve>; address: AddressInfo }>(
    (resolve, reject) => {
      const listening = serve({ fetch: app.fetch, port, hostname: host }, (info) =>
        resolve({ server: listening, address: info }),
      );
      listening.once("error", (error: NodeJS.ErrnoException) => {
        const taken = error.code === "EADDRINUSE";
        reject(taken ? new Error(`Port ${port} of ${host} is taken by another program.`) : error);
      });
    },
  );
  const name = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return { server, url: `http://${name}:${address.port}` };
}

function officeService({ office }: People): Service {
  return { start() {}, stop: () => office.close() };
}

function queueService(queue: RunQueue, events: RunEvents): Service {
  return {
    start: () => queue.start(),
    async stop() {
      events.close();
      await queue.close();
    },
  };
}
