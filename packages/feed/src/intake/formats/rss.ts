import { dayOfMoment } from "./arxiv-text.ts";
import { FormatError, type Item } from "./item.ts";
import { listingItem } from "./listing.ts";
import { childOf, childrenOf, lineOf, parsedSlices, sliceXml, textOf } from "./xml.ts";

/** One day's listing. */
export interface RssListing {
  /** Day of the announcement as YYYY-MM-DD; null when the channel does not say. */
  readonly day: string | null;
  /** 0 on days without announcement: Saturdays, Sundays, some holidays. */
  readonly entries: number;
  /** One item for each entry; parsed as they are taken. */
  readonly items: Iterable<Item>;
}

/**
 * Reads arXiv's daily listing in RSS 2.0.
 *
 * @throws FormatError when the document is no RSS, or not whole
 * @source arXiv RSS specifications
 */
export function parseRss(text: string): RssListing {
  const { root, shell, slices } = sliceXml(text, ["item"]);
  const channel = childOf(shell, "channel");
  if (root !== "rss" || channel === undefined) {
    throw new FormatError(`expected an RSS channel, got <${root}>`, "line 1");
  }
  const day = dayOfMoment(lineOf(channel, "pubDate")) ?? dayOfMoment(lineOf(channel, "lastBuildDate"));
  return {
    day,
    entries: slices.length,
    items: parsedSlices("item", slices, (item, position, sample) =>
      listingItem(
        {
          identifier: lineOf(item, "guid") ?? lineOf(item, "link") ?? "",
          title: lineOf(item, "title"),
          description: lineOf(item, "description"),
          announceType: lineOf(item, "announce_type"),
          creators: childrenOf(item, "creator"),
          categories: childrenOf(item, "category").map(textOf),
          day: dayOfMoment(lineOf(item, "pubDate")) ?? day,
          entry: item,
        },
        position,
        sample,
      ),
    ),
  };
}

const NOT_ELEMENTS: readonly (readonly [start: string, end: string])[] = [
  ["<!--", "-->"],
  ["<?", "?>"],
  ["<!", ">"],
];

/** What the root element of an XML document is called, for telling formats apart; null when there is none. */
export function rootName(text: string): string | null {
  for (let at = text.indexOf("<"); at !== -1; at = text.indexOf("<", at)) {
    const other = NOT_ELEMENTS.find(([start]) => text.startsWith(start, at));
    if (other === undefined) return /^<(?:[\w.-]+:)?([\w.-]+)/.exec(text.slice(at, at + 200))?.[1] ?? null;
    at = text.indexOf(other[1], at + other[0].length);
    if (at === -1) return null;
  }
  return null;
}
