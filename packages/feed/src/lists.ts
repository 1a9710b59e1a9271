import { dayOf, type PaperRecord } from "./record.ts";

/** The papers of one day. */
export interface Day {
  /** YYYY-MM-DD in UTC. */
  readonly day: string;
  readonly records: readonly PaperRecord[];
}

/** What a list may be narrowed to; a criterion that is absent excludes nothing. */
export interface RecordFilter {
  readonly topic?: string | undefined;
  /** Year of the day under which it is listed, e.g. 2025. */
  readonly year?: number | undefined;
}

/** A sorted copy: newest first, undated last, papers of one day by falling id, so that the order is always the same. */
export function newestFirst(records: readonly PaperRecord[]): PaperRecord[] {
  return [...records].sort((a, b) => compare(dayOf(b) ?? "", dayOf(a) ?? "") || compare(b.id, a.id));
}

/** Dated papers by day, newest day first; within a day in the order of `newestFirst`. */
export function groupByDay(records: readonly PaperRecord[]): Day[] {
  const days = Map.groupBy(newestFirst(records), dayOf);
  return Array.from(days, ([day, ofDay]) => (day === null ? [] : [{ day, records: ofDay }])).flat();
}

/** The records that meet every criterion given, in their order. */
export function filterRecords(records: readonly PaperRecord[], filter: RecordFilter): PaperRecord[] {
  const { topic, year } = filter;
  return records.filter(
    (record) =>
      (topic === undefined || record.topics.includes(topic)) &&
      (year === undefined || Number(dayOf(record)?.slice(0, 4)) === year),
  );
}

/** By code unit: dates and ids are ASCII, and the order must not depend on the machine's language. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
