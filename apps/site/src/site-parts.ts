import type { Search, Store } from "@concord/feed";
import type { RunStore } from "@concord/papers";
import type { Catalogue } from "./catalogue.ts";
import type { SiteSettings } from "./config/settings.ts";
import type { Assets } from "./http/assets.ts";
import type { Log } from "./ops/log.ts";
import type { Metrics } from "./ops/metrics.ts";
import type { Html, Page } from "./pages/layout.ts";
import type { People } from "./people/service.ts";
import type { RunEvents } from "./runs/events.ts";
import type { Journals } from "./runs/journal.ts";
import type { RunQueue } from "./runs/queue.ts";
import type { RunIndex } from "./runs/run-index.ts";
import type { SiteContext } from "./site-env.ts";
import type { Digest } from "./subscribe/service.ts";

/** What the routes work with. */
export interface SiteParts {
  readonly assets: Assets;
  readonly catalogue: Catalogue;
  /** Papers, people, mail: everything but the runs. */
  readonly store: Store;
  readonly search: Search;
  /** Accounts, sessions, discussion. */
  readonly people: People;
  /** Readers of the digest, and what leads to them. */
  readonly digest: Digest;
  readonly runStore: RunStore;
  readonly index: RunIndex;
  readonly queue: RunQueue;
  readonly journals: Journals;
  readonly events: RunEvents;
  readonly settings: SiteSettings;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Where readers reach the site, without a slash at the end: for mails, feeds and whatever leaves the site. */
  readonly publicUrl: () => string;
}

/** Something that works in the background while the site runs. */
export interface Service {
  start(): void | Promise<void>;
  /** Returns when nothing of it runs any more. */
  stop(): Promise<void>;
}

/** Writes a page in its frame. */
export type Render = (context: SiteContext, page: Page) => Html;

/** More seeds than this are started from a terminal. */
export const MAX_SEEDS = 20;
