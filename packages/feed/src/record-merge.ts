import { CATALOGUE_SOURCE, isLocalId, type PaperRecord } from "./record.ts";

const MAX_SOURCES = 50;
const MAX_TOPICS = 100;

/** Whether `incoming` says less reliably what `known` says: it only fills gaps then. */
function onlyFills(known: PaperRecord, incoming: PaperRecord): boolean {
  if (isLocalId(incoming.id) && !isLocalId(known.id)) return true;
  const fromCatalogue =
    incoming.sources.length > 0 && incoming.sources.every((source) => source === CATALOGUE_SOURCE);
  if (fromCatalogue && known.sources.some((source) => source !== CATALOGUE_SOURCE)) return true;
  return known.version !== null && incoming.version !== null && incoming.version < known.version;
}

/**
 * What is known of a paper after another record of it came in.
 *
 * What `incoming` leaves open never erases what is known. An older version, a record without arXiv id, and a
 * catalogue card beside a source only fill gaps. The first announcement stays, a fuller list of authors stays,
 * versions, topics and sources add up. Merging the same record again changes nothing.
 *
 * @returns the record under `known.id`, or under `incoming.id` where `known` has only a local one
 */
export function mergeRecords(known: PaperRecord, incoming: PaperRecord): PaperRecord {
  const fills = onlyFills(known, incoming);
  const [first, second] = fills ? [known, incoming] : [incoming, known];
  const slug = known.slug ?? incoming.slug;
  const authors = first.authors.length >= second.authors.length ? first.authors : second.authors;
  const authorCount = first.authorCount ?? second.authorCount;
  const versions = new Map(
    [
      ...second.versions,
      ...first.versions.filter(
        ({ version, date }) => date !== null || !second.versions.some((known) => known.version === version),
      ),
    ].map((entry) => [entry.version, entry]),
  );
  return {
    ...first,
    id: isLocalId(known.id) && !isLocalId(incoming.id) ? incoming.id : known.id,
    ...(slug === undefined ? {} : { slug }),
    authors,
    authorCount: authorCount === null ? null : Math.max(authorCount, authors.length),
    published: first.published ?? second.published,
    updated: first.updated ?? second.updated,
    announced: earliest(known.announced, incoming.announced),
    version: first.version ?? second.version,
    versions: [...versions.values()].sort((a, b) => a.version - b.version),
    categories: first.categories.length > 0 ? first.categories : second.categories,
    primaryCategory: first.primaryCategory ?? second.primaryCategory,
    topics: [...new Set([...known.topics, ...incoming.topics])].slice(0, MAX_TOPICS),
    comment: first.comment ?? second.comment,
    journalRef: first.journalRef ?? second.journalRef,
    doi: first.doi ?? second.doi,
    licence: first.licence ?? second.licence,
    links: { ...second.links, ...first.links },
    withdrawn: isWithdrawn(known, incoming, fills),
    runnable: known.runnable || incoming.runnable,
    sources: [...new Set([...known.sources, ...incoming.sources])].sort().slice(0, MAX_SOURCES),
  };
}

/** Most sources do not say; only a newer version takes a withdrawal back. */
function isWithdrawn(known: PaperRecord, incoming: PaperRecord, fills: boolean): boolean {
  if (fills) return known.withdrawn;
  const newer = incoming.version !== null && known.version !== null && incoming.version > known.version;
  return newer ? incoming.withdrawn : known.withdrawn || incoming.withdrawn;
}

function earliest(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return a < b ? a : b;
}
