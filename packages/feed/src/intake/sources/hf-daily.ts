import { parseHfDaily } from "../formats/hf-daily.ts";
import { fetchDocument } from "./document.ts";
import {
  addDays,
  type IngestSource,
  lazily,
  type ReadContext,
  SourceError,
  type SourceReader,
  utcDay,
} from "./source.ts";

const ENDPOINT = "https://huggingface.co/api/daily_papers";
const PAGE = 100;
/** More papers than ever stood in one day: a server that never says "no more" is not followed further. */
const MAX_PAGES = 50;
/** How far back the first reading goes, and how far a break is made up for, in days. */
const MAX_DAYS = 31;

/** Daily Papers by day. Without `from`, from the last day that was read, which may have grown since. */
export function hfDaily(source: Extract<IngestSource, { kind: "hf-daily" }>): SourceReader {
  const { from, to } = source;
  if (from !== undefined && to !== undefined && to < from) {
    throw new SourceError(`Expected a range of days, got ${from} to ${to}.`);
  }
  return {
    key: from === undefined ? "hf-daily" : `hf-daily:${from}:${to ?? ""}`,
    async *read(state, context) {
      const today = utcDay(context.now());
      const last = to ?? today;
      const reached = typeof state.cursor === "string" ? state.cursor : null;
      const earliest = addDays(today, -MAX_DAYS);
      let day = reached ?? from ?? today;
      if (from === undefined && day < earliest) day = earliest;
      for (; day <= last; day = addDays(day, 1)) {
        for (let page = 0; page < MAX_PAGES; page++) {
          const { entries, items } = await pageOf(context, day, page);
          const over = entries < PAGE;
          yield {
            items: lazily(items),
            after: over ? { cursor: day === last && from !== undefined ? null : day } : {},
          };
          if (over) break;
        }
      }
    },
  };
}

async function pageOf(
  context: ReadContext,
  day: string,
  page: number,
): Promise<ReturnType<typeof parseHfDaily>> {
  const parameters = new URLSearchParams({ date: day, limit: String(PAGE), p: String(page) });
  const url = `${ENDPOINT}?${parameters}`;
  const fetched = await fetchDocument(context, url, { accept: ["application/json"] }, (text) =>
    parseHfDaily(text, day),
  );
  return fetched?.value ?? { entries: 0, items: [] };
}
