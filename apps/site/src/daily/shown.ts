import type { Store, StoredPaper } from "@concord/feed";
import type { Catalogue } from "../catalogue.ts";
import type { Viewer } from "../site-env.ts";
import type { ShownPaper } from "./card.ts";

/** The papers with the viewer's votes and bookmarks, and on request why they trend. */
export async function shownPapers(
  { store, catalogue }: { readonly store: Store; readonly catalogue: Catalogue },
  viewer: Viewer | null,
  papers: readonly StoredPaper[],
  options: { readonly why?: boolean } = {},
): Promise<ShownPaper[]> {
  const ids = papers.map(({ id }) => id);
  const none = new Set<string>();
  const [voted, bookmarked, why] = await Promise.all([
    viewer ? store.activity.voted(viewer.id, ids) : none,
    viewer ? store.activity.bookmarked(viewer.id, ids) : none,
    options.why ? store.activity.why(ids) : null,
  ]);
  return papers.map((paper) => ({
    paper,
    voted: voted.has(paper.id),
    bookmarked: bookmarked.has(paper.id),
    venue: paper.slug === undefined ? undefined : catalogue.card(paper.slug)?.venue,
    why: why?.get(paper.id),
  }));
}
