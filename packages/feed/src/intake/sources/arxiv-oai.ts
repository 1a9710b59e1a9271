import type { Json } from "../../store/ports.ts";
import { dayOfMoment } from "../formats/arxiv-text.ts";
import { FormatError } from "../formats/item.ts";
import { isObject } from "../formats/json.ts";
import { type OaiPage, parseOai } from "../formats/oai.ts";
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

const BASE = "https://oaipmh.arxiv.org/oai";
const SET = /^[a-z][a-z-]*(?::[a-z-]+(?::[A-Za-z-]+)?)?$/;
/** How far back the first harvest goes, in days. */
const FIRST_DAYS = 7;
/** Tokens expire at midnight: a harvest that takes longer starts again, so often. */
const MAX_RESTARTS = 3;

/** Where a harvest stands; kept in the store. */
interface Harvest {
  /** First day of the harvest under way, or of the next one. */
  readonly from: string;
  /** Of the next page; null between harvests. */
  readonly token: string | null;
  /** The server's day when the harvest under way began: from there on the next one. */
  readonly began: string | null;
}

/**
 * The metadata that changed since the last harvest, page after page. The next harvest starts at the day of the server's
 * clock at which this one began, so nothing that changes meanwhile is missed.
 */
export function arxivOai(source: Extract<IngestSource, { kind: "arxiv-oai" }>): SourceReader {
  const { set, to, prefix = "arXivRaw" } = source;
  if (set !== undefined && !SET.test(set)) {
    throw new SourceError(`Expected a set such as cs or cs:cs:LG, got ${JSON.stringify(set)}.`);
  }
  // Where the next harvest starts says nothing of the days after this one's last.
  if (to !== undefined && source.from === undefined) {
    throw new SourceError(`A harvest up to ${to} needs its first day, too.`);
  }
  if (to !== undefined && source.from !== undefined && to < source.from) {
    throw new SourceError(`Expected a range of days, got ${source.from} to ${to}.`);
  }
  const bounded = to === undefined ? "" : `:${source.from}:${to}`;
  return {
    key: `arxiv-oai:${set ?? "all"}${bounded}`,
    async *read(state, context) {
      let harvest = harvestOf(state.cursor, source.from) ?? {
        from: source.from ?? addDays(utcDay(context.now()), -FIRST_DAYS),
        token: null,
        began: null,
      };
      const followed = new Set<string>();
      for (let restarts = 0; ; ) {
        const parameters: Record<string, string> =
          harvest.token === null
            ? {
                metadataPrefix: prefix,
                from: harvest.from,
                ...(set === undefined ? {} : { set }),
                ...(to === undefined ? {} : { until: to }),
              }
            : { resumptionToken: harvest.token };
        const page = await pageOf(context, parameters);
        if (page.errors.some(({ code }) => code === "badResumptionToken") && harvest.token !== null) {
          if (++restarts > MAX_RESTARTS)
            throw new SourceError("arXiv's resumption tokens expire faster than they are used.");
          context.note(`the resumption token expired; the harvest starts again from ${harvest.from}`);
          followed.clear();
          harvest = { ...harvest, token: null, began: null };
          continue;
        }
        const [error] = page.errors;
        if (error !== undefined && error.code !== "noRecordsMatch") {
          throw new SourceError(
            `arXiv says: ${error.code}${error.message === "" ? "" : `, ${error.message}`}`,
          );
        }
        if (harvest.token !== null) followed.add(harvest.token);
        if (page.resumptionToken !== null && followed.has(page.resumptionToken)) {
          throw new FormatError(`the resumption token leads in a circle (${page.resumptionToken})`, BASE);
        }
        const began = harvest.began ?? dayOfMoment(page.responseDate) ?? utcDay(context.now());
        const over = page.resumptionToken === null;
        harvest = over
          ? { from: began, token: null, began: null }
          : { from: harvest.from, token: page.resumptionToken, began };
        yield { items: lazily(page.items), after: { cursor: harvest satisfies Harvest as unknown as Json } };
        if (over) return;
      }
    },
  };
}

async function pageOf(context: ReadContext, parameters: Readonly<Record<string, string>>): Promise<OaiPage> {
  const url = `${BASE}?${new URLSearchParams({ verb: "ListRecords", ...parameters })}`;
  const fetched = await fetchDocument(context, url, { accept: ["text/xml", "application/xml"] }, parseOai);
  if (fetched === null) throw new FormatError("status 304 without having been asked for", url);
  return fetched.value;
}

/** The harvest to go on with; null when another first day is asked for than the one under way has. */
function harvestOf(cursor: Json, from: string | undefined): Harvest | null {
  if (!isObject(cursor) || typeof cursor.from !== "string") return null;
  const token = typeof cursor.token === "string" ? cursor.token : null;
  if (from !== undefined && (token === null || cursor.from !== from)) return null;
  return { from: cursor.from, token, began: typeof cursor.began === "string" ? cursor.began : null };
}
