import type { Store } from "@concord/feed";
import type { RunStore } from "@concord/papers";
import type { Catalogue } from "./catalogue.ts";
import type { SiteSettings } from "./config/settings.ts";
import type { Assets } from "./http/assets.ts";
import type { Html, Page } from "./pages/layout.ts";
import type { RunEvents } from "./runs/events.ts";
import type { Journals } from "./runs/journal.ts";
import type { RunQueue } from "./runs/queue.ts";
import type { RunIndex } from "./runs/run-index.ts";
import type { SiteContext } from "./site-env.ts";

/** What the routes work with. */
export interface SiteParts {
  readonly assets: Assets;
  readonly catalogue: Catalogue;
  /** Papers, people, mail: everything but the runs. */
  readonly store: Store;
  readonly runStore: RunStore;
  readonly index: RunIndex;
  readonly queue: RunQueue;
  readonly journals: Journals;
  readonly events: RunEvents;
  readonly settings: SiteSettings;
}

/** Writes a page in its frame. */
export type Render = (context: SiteContext, page: Page) => Html;

/** More seeds than this are started from a terminal. */
export const MAX_SEEDS = 20;
