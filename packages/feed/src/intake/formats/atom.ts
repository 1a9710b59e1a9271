import type { Author } from "../../record.ts";
import { categoryList, dayOfMoment, linksOf, parseArxivId, saysWithdrawn } from "./arxiv-text.ts";
import { FormatError, type Item, paperItem, rejected } from "./item.ts";
import { listingItem } from "./listing.ts";
import {
  attributeOf,
  childOf,
  childrenOf,
  lineOf,
  parsedSlices,
  parseElement,
  sliceXml,
  type XmlElement,
  type XmlSlice,
} from "./xml.ts";

/** An Atom answer of arXiv: of the query interface, or a listing. */
export interface AtomFeed {
  /** Of a query: how many entries match it in all; null in listings. It may change between pages. */
  readonly totalResults: number | null;
  /** What the service says instead of entries, e.g. "incorrect id format for abc". */
  readonly errors: readonly string[];
  /** How many entries the document holds. */
  readonly entries: number;
  /** One item for each entry that is no error; parsed as they are taken. */
  readonly items: Iterable<Item>;
}

const ERROR_ID = "/api/errors#";

/**
 * Reads Atom of arXiv's query interface, in the shape of its manual and in the one that it has had since 2025, and of
 * its daily listings. Elements may come in any order. An entry whose id contains `/api/errors#` is an error, whatever
 * the HTTP status was.
 *
 * @throws FormatError when the document is no Atom feed, or not whole
 * @source arXiv API User's Manual, section 3.3; arXiv Atom specifications
 */
export function parseAtom(text: string): AtomFeed {
  const { root, shell, slices } = sliceXml(text, ["entry"]);
  if (root !== "feed") throw new FormatError(`expected an Atom feed, got <${root}>`, "line 1");
  const total = lineOf(shell, "totalResults") ?? "";
  const suspects = slices.filter(({ xml }) => xml.includes(ERROR_ID));
  const failures = new Map<XmlSlice, string>();
  for (const slice of suspects) {
    const entry = parseElement(slice.xml, `line ${slice.line}`);
    const id = lineOf(entry, "id");
    if (id?.includes(ERROR_ID)) failures.set(slice, lineOf(entry, "summary") ?? id);
  }
  return {
    totalResults: /^\d{1,12}$/.test(total) ? Number(total) : null,
    errors: [...failures.values()],
    entries: slices.length,
    items: parsedSlices(
      "entry",
      slices.filter((slice) => !failures.has(slice)),
      entryItem,
    ),
  };
}

function entryItem(entry: XmlElement, position: string, sample: string): Item {
  const id = lineOf(entry, "id") ?? "";
  const announceType = lineOf(entry, "announce_type");
  if (announceType !== null || id.startsWith("oai:")) {
    return listingItem(
      {
        identifier: id,
        title: lineOf(entry, "title"),
        description: lineOf(entry, "summary"),
        announceType,
        creators: [
          ...childrenOf(entry, "creator"),
          ...childrenOf(entry, "author").flatMap((author) => childrenOf(author, "name")),
        ],
        categories: childrenOf(entry, "category").map((category) => attributeOf(category, "term")),
        day: dayOfMoment(lineOf(entry, "published")),
        entry,
      },
      position,
      sample,
    );
  }
  return queryItem(entry, id, position, sample);
}

function queryItem(entry: XmlElement, idText: string, position: string, sample: string): Item {
  const parsed = parseArxivId(idText);
  if (parsed === null) {
    return rejected(
      position,
      idText || null,
      `id: expected an arXiv identifier (got ${JSON.stringify(idText)})`,
      sample,
    );
  }
  const { id, version } = parsed;
  const published = dayOfMoment(lineOf(entry, "published"));
  const updated = dayOfMoment(lineOf(entry, "updated"));
  const abstract = lineOf(entry, "summary") ?? "";
  const comment = lineOf(entry, "comment");
  const categories = categoryList(childrenOf(entry, "category").map((term) => attributeOf(term, "term")));
  const primary = attributeOf(childOf(entry, "primary_category"), "term") || categories[0] || null;
  return paperItem(
    position,
    {
      id,
      title: lineOf(entry, "title") ?? "",
      abstract,
      authors: childrenOf(entry, "author").flatMap(authorOf),
      published,
      updated,
      version,
      versions: version === null ? [] : versionsOf(version, published, updated),
      categories,
      primaryCategory: primary,
      comment,
      journalRef: lineOf(entry, "journal_ref"),
      doi: lineOf(entry, "doi"),
      links: linksOf(id, comment, abstract),
      withdrawn: saysWithdrawn(comment, abstract),
      sources: ["arxiv-query"],
    },
    sample,
  );
}

function authorOf(author: XmlElement): Author[] {
  const name = lineOf(author, "name");
  const affiliation = lineOf(author, "affiliation");
  if (name === null) return [];
  return [affiliation === null ? { name } : { name, affiliation }];
}

/** What a newest version and two dates tell of all versions. */
function versionsOf(version: number, published: string | null, updated: string | null) {
  const newest = { version, date: version === 1 ? published : updated };
  return version === 1 ? [newest] : [{ version: 1, date: published }, newest];
}
