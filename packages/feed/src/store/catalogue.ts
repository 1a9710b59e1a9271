import type { PaperCard } from "@concord/papers";
import { fromCard } from "../record.ts";
import type { Store } from "./ports.ts";

/** A card with whether its paper can be run here. */
export interface CatalogueEntry {
  readonly card: PaperCard;
  readonly runnable: boolean;
}

/**
 * Brings the catalogue's papers in and marks them, and no others, with slug, topics and whether they run here.
 * Idempotent: call it at every start. What a card says never replaces what arXiv said.
 *
 * @returns how many papers came in, and how many changed
 */
export async function syncCatalogue(
  store: Store,
  entries: readonly CatalogueEntry[],
): Promise<{ readonly inserted: number; readonly changed: number }> {
  return store.transaction(async ({ papers }) => {
    const records = entries.map(({ card, runnable }) => fromCard(card, { runnable }));
    // The marks are set below, all at once: a slug that moves to another paper must leave the old one first.
    const results = await papers.upsert(
      records.map(({ slug: _, ...record }) => ({ ...record, runnable: false })),
    );
    const marked = await papers.markCatalogue(
      entries.map(({ card, runnable }) => ({ id: card.arxivId, slug: card.slug, runnable })),
    );
    const count = (outcome: string) => results.filter((result) => result.outcome === outcome).length;
    return { inserted: count("inserted"), changed: Math.max(marked, count("updated")) };
  });
}
