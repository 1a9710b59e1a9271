import type { AddressInfo } from "node:net";
import { RunStore } from "@concord/papers";
import { serve } from "@hono/node-server";
import { createApp } from "./app.ts";
import { builtInPapers, Catalogue, type PaperSource } from "./catalogue.ts";
import type { SiteSettings } from "./config/settings.ts";
import { buildAssets } from "./http/assets.ts";
import { RunEvents } from "./runs/events.ts";
import { Journals } from "./runs/journal.ts";
import { RunQueue } from "./runs/queue.ts";
import { RunIndex } from "./runs/run-index.ts";

export type { PaperSource } from "./catalogue.ts";
export { loadSettings, SettingsError, type SettingsSources } from "./config/load.ts";
export { type SiteSettings, siteSettings } from "./config/settings.ts";

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

/**
 * Starts the site and begins to work off the queue of runs.
 *
 * @throws Error when the port is taken or the catalogue is malformed
 */
export async function startSite(options: SiteOptions): Promise<Site> {
  const { settings } = options;
  const { host, port } = settings.server;
  const store = new RunStore(settings.data.runs);
  const index = new RunIndex(store);
  const queue = new RunQueue({ store, index, command: options.command });
  const events = new RunEvents({ store });
  const [assets, catalogue] = await Promise.all([
    buildAssets(),
    Catalogue.load(options.papers ?? builtInPapers),
  ]);
  const app = createApp({
    assets,
    catalogue,
    runStore: store,
    index,
    queue,
    events,
    journals: new Journals(),
    settings,
  });
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
  await queue.start();
  const name = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return {
    url: `http://${name}:${address.port}`,
    async close() {
      events.close();
      await queue.close();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        // Browsers keep idle connections open.
        if ("closeAllConnections" in server) server.closeAllConnections();
      });
    },
  };
}
