import { categoryList, linksOf, parseArxivId, saysWithdrawn, splitAuthors } from "./arxiv-text.ts";
import { type Item, paperItem, rejected } from "./item.ts";
import { lineOf, textOf, type XmlElement } from "./xml.ts";

/** What an entry of a daily listing holds, in RSS and in Atom. */
export interface Announcement {
  /** `oai:arXiv.org:2505.01234v1`, or the address of the abstract. */
  readonly identifier: string;
  readonly title: string | null;
  /** `arXiv:2505.01234v1 Announce Type: new Abstract: ...` */
  readonly description: string | null;
  readonly announceType: string | null;
  /** Elements with names; one may hold several, separated by commas. */
  readonly creators: readonly XmlElement[];
  readonly categories: readonly string[];
  /** Day of the announcement. */
  readonly day: string | null;
  /** The element, for what both formats call the same. */
  readonly entry: XmlElement;
}

const PREFIX = /^arXiv:\s*(\S+)\s+Announce Type:\s*([\w-]+)\s*(?:Abstract:\s*)?/i;
/** What arXiv announces; a replacement was announced before, when it was new. */
const FIRST_TIME: Readonly<Record<string, boolean>> = {
  new: true,
  cross: true,
  replace: false,
  "replace-cross": false,
};

/**
 * A listing's entry as a paper. The announcement's day becomes that of the paper when it is new or cross-listed; a
 * replacement only brings the new version.
 */
export function listingItem(announcement: Announcement, position: string, sample: string): Item {
  const { title, entry } = announcement;
  const description = announcement.description ?? "";
  const prefix = PREFIX.exec(description);
  const identifier = announcement.identifier || (prefix?.[1] ?? "");
  const parsed = parseArxivId(identifier);
  if (parsed === null) {
    const reason = `id: expected an arXiv identifier (got ${JSON.stringify(identifier)})`;
    return rejected(position, identifier || null, reason, sample);
  }
  const { id } = parsed;
  const version = parsed.version ?? parseArxivId(prefix?.[1] ?? "")?.version ?? null;
  const announceType = (announcement.announceType ?? prefix?.[2] ?? "").toLowerCase();
  if (!Object.hasOwn(FIRST_TIME, announceType)) {
    const expected = Object.keys(FIRST_TIME).join(", ");
    return rejected(
      position,
      id,
      `announce type: expected ${expected} (got ${JSON.stringify(announceType)})`,
      sample,
    );
  }
  const abstract = description.slice(prefix?.[0].length ?? 0).replace(/^Abstract:\s*/i, "");
  const categories = categoryList(announcement.categories);
  return paperItem(
    position,
    {
      id,
      title: title ?? "",
      abstract,
      authors: announcement.creators.flatMap((creator) => splitAuthors(textOf(creator))),
      announced: FIRST_TIME[announceType] === true ? announcement.day : null,
      version,
      versions: version === null ? [] : [{ version, date: null }],
      categories,
      primaryCategory: categories[0] ?? null,
      journalRef: lineOf(entry, "journal_reference"),
      doi: lineOf(entry, "DOI"),
      licence: lineOf(entry, "rights"),
      links: linksOf(id, abstract),
      withdrawn: saysWithdrawn(null, abstract),
      sources: ["arxiv-rss"],
    },
    sample,
  );
}
