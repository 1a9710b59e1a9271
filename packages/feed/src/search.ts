import type { PaperRecord } from "./record.ts";

/** Longest query that `searchRecords` accepts, in characters. */
export const MAX_QUERY_LENGTH = 200;

/**
 * Plain keyword search over title, abstract, authors and topics.
 *
 * A record matches when it contains every word of the query, whatever the case and the accents. The last
 * word may be the beginning of a longer one, so that a list can be searched while the user types.
 *
 * @param query  at most MAX_QUERY_LENGTH characters; a query without words matches every record
 * @returns the matching records in their order
 * @throws RangeError when the query is too long
 */
export function searchRecords(records: readonly PaperRecord[], query: string): PaperRecord[] {
  if (query.length > MAX_QUERY_LENGTH) {
    throw new RangeError(`A query may have ${MAX_QUERY_LENGTH} characters; this one has ${query.length}.`);
  }
  const words = wordsOf(query);
  const last = words.pop();
  if (last === undefined) return [...records];
  return records.filter((record) => {
    const text = [
      record.title,
      record.abstract,
      ...record.authors.map(({ name }) => name),
      ...record.topics,
    ].join(" ");
    const found = wordsOf(text);
    return words.every((word) => found.includes(word)) && found.some((word) => word.startsWith(last));
  });
}

/** Lower-case words without accents; everything but letters and digits separates words. */
function wordsOf(text: string): string[] {
  const plain = text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  return plain.match(/[\p{L}\p{N}]+/gu) ?? [];
}
