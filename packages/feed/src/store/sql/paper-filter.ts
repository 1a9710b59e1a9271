import { type RawBuilder, sql } from "kysely";
import { isDay } from "../../calendar.ts";
import { type PaperFilter, StoreError } from "../ports.ts";
import { authorKey } from "./paper-rows.ts";

/**
 * A filter as conditions on `papers as p`, and the list of terms that leads to few papers in the order of days.
 *
 * With a category or topic, `from` is the list of that term: sorted by day and id, it gives a page without looking at
 * other papers.
 */
export interface FilterParts {
  /** What stands behind FROM; the papers are `p`. */
  readonly from: RawBuilder<unknown>;
  readonly where: RawBuilder<unknown>;
  /** The columns that hold day and id in the order of an index. */
  readonly day: RawBuilder<unknown>;
  readonly id: RawBuilder<unknown>;
}

const MAX_TERM = 300;

function checkDay(name: "from" | "to", day: string): string {
  if (!isDay(day))
    throw new StoreError(
      "invalid",
      `${name}: expected a day YYYY-MM-DD, got ${JSON.stringify(day.slice(0, 40))}.`,
    );
  return day;
}

function checkTerm(name: string, value: string): string {
  if (value.length > MAX_TERM)
    throw new StoreError("invalid", `${name}: expected at most ${MAX_TERM} characters.`);
  return value;
}

/** Whether a filter leaves anything out. */
export function isNarrowing(filter: PaperFilter = {}): boolean {
  return Object.values(filter).some((value) => value !== undefined);
}

/**
 * The SQL of a filter; every value is a bound parameter.
 * @param options.lead  false: `from` is `papers as p` whatever the filter, for questions about one paper
 */
export function filterParts(
  filter: PaperFilter = {},
  { lead = true }: { readonly lead?: boolean } = {},
): FilterParts {
  const conditions: RawBuilder<unknown>[] = [];
  const terms: { kind: "c" | "t"; value: string }[] = [];
  if (filter.topic !== undefined) terms.push({ kind: "t", value: checkTerm("topic", filter.topic) });
  if (filter.category !== undefined) terms.push({ kind: "c", value: checkTerm("category", filter.category) });
  const leading = lead ? terms.shift() : undefined;
  const day = leading ? sql`lead.day` : sql`p.day`;
  const id = leading ? sql`lead.id` : sql`p.id`;
  if (leading) conditions.push(sql`lead.kind = ${leading.kind} and lead.value = ${leading.value}`);
  for (const { kind, value } of terms) {
    conditions.push(
      sql`exists (select 1 from paper_terms as other where other.kind = ${kind} and other.value = ${value} and other.day = p.day and other.id = p.id)`,
    );
  }
  if (filter.from !== undefined) conditions.push(sql`${day} >= ${checkDay("from", filter.from)}`);
  if (filter.to !== undefined) conditions.push(sql`${day} <= ${checkDay("to", filter.to)} and ${day} > ''`);
  if (filter.author !== undefined) {
    const key = authorKey(checkTerm("author", filter.author));
    conditions.push(
      sql`p.num in (select pa.num from paper_authors as pa join authors as a on a.num = pa.author where a.key = ${key})`,
    );
  }
  // Literals, not parameters: the partial indexes are found by them.
  if (filter.hasCode !== undefined)
    conditions.push(filter.hasCode ? sql`p.has_code = 1` : sql`p.has_code = 0`);
  if (filter.runnable !== undefined)
    conditions.push(filter.runnable ? sql`p.runnable = 1` : sql`p.runnable = 0`);
  if (filter.hasEvents !== undefined)
    conditions.push(filter.hasEvents ? sql`p.trend > -1e9` : sql`p.trend = -1e9`);
  return {
    from: leading ? sql`paper_terms as lead join papers as p on p.num = lead.num` : sql`papers as p`,
    where: conditions.length === 0 ? sql`1 = 1` : sql.join(conditions, sql` and `),
    day,
    id,
  };
}
