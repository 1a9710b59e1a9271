import type { RunStore } from "@concord/papers";
import type { Catalogue } from "./catalogue.ts";
import type { Assets } from "./http/assets.ts";
import type { Html, Page } from "./pages/layout.ts";
import type { RunEvents } from "./runs/events.ts";
import type { Journals } from "./runs/journal.ts";
import type { RunQueue } from "./runs/queue.ts";
import type { RunIndex } from "./runs/run-index.ts";

/** What the routes work with. */
export interface SiteParts {
  readonly assets: Assets;
  readonly catalogue: Catalogue;
  readonly store: RunStore;
  readonly index: RunIndex;
  readonly queue: RunQueue;
  readonly journals: Journals;
  readonly events: RunEvents;
  /** The address that the server listens on, e.g. "127.0.0.1". */
  readonly host: string;
  /** Further host names that the server answers to, e.g. behind a reverse proxy. */
  readonly hosts: readonly string[];
}

/** Writes a page in its frame. */
export type Render = (page: Page) => Html;

/** More seeds than this are started from a terminal. */
export const MAX_SEEDS = 20;
