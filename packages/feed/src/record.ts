import { createHash } from "node:crypto";
import { arxivAbsUrl, arxivPdfUrl, type PaperCard } from "@concord/papers";
import { z } from "zod";

/** Source name of records that come from the catalogue. */
export const CATALOGUE_SOURCE = "catalogue";

/** A text may be this many times its limit before it is cleaned; longer ones are refused unread. */
const RAW_FACTOR = 4;

const PLAIN = /^[!-~]+(?: [!-~]+)*$/;

/**
 * Text as the store keeps it: NFC, one line, single blanks, nothing that XML 1.0 forbids, no control
 * characters and none that reorder or hide text (bidirectional overrides, zero-width space, byte-order mark).
 */
export function cleanText(text: string): string {
  // What most texts are: printable ASCII with single blanks. Checking is much cheaper than normalising.
  if (PLAIN.test(text)) return text;
  return (
    text
      .toWellFormed()
      .replace(/[\u200b\u202a-\u202e\u2066-\u2069\ufeff\ufffd\ufffe\uffff]/g, "")
      // White space first: the controls among it separate words, the others do not.
      .replace(/\s+/g, " ")
      .replace(/\p{Cc}/gu, "")
      // Composed last: what was taken out may have stood between a letter and its accent.
      .normalize("NFC")
      .replace(/ {2,}/g, " ")
      .trim()
  );
}

/** One cleaned line of 1 to `limit` UTF-16 units. */
const line = (limit: number) =>
  z
    .string()
    .max(limit * RAW_FACTOR)
    .transform(cleanText)
    .pipe(z.string().min(1, "expected text").max(limit));

const url = z.url({ protocol: /^https?$/ }).max(2000);
const day = z.iso
  .date()
  .refine((date) => date >= "1900-01-01" && date < "2200-01-01", "expected 1900 to 2199");

const ARXIV_ID = /^(?:\d{4}\.\d{4,5}|[a-z][a-z-]*\/\d{7})$/;
const LOCAL_ID = /^local:[0-9a-f]{12}$/;

/** Bare arXiv id ("2504.12717", "math/0611800"), or `local:` + 12 hex digits of the normalised title. */
export const paperId = z
  .string()
  .refine(
    (id) => ARXIV_ID.test(id) || LOCAL_ID.test(id),
    "expected an arXiv id without version, or a local id",
  );

/** Whether the id was made from a title because the paper's arXiv id is unknown. */
export function isLocalId(id: string): boolean {
  return LOCAL_ID.test(id);
}

/** Words of a title without case, accents and punctuation: what makes two titles the same. */
export function normaliseTitle(title: string): string {
  const plain = title.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  return (plain.match(/[\p{L}\p{N}]+/gu) ?? [title.trim()]).join(" ");
}

/** The id of a paper that has no arXiv id: the same for every spelling of its title. */
export function localId(title: string): string {
  return `local:${createHash("sha256").update(normaliseTitle(title)).digest("hex").slice(0, 12)}`;
}

const author = z.strictObject({ name: line(300), affiliation: line(500).exactOptional() });
const version = z.strictObject({ version: z.int().min(1).max(10_000), date: day.nullable() });
const topic = z.string().regex(/^[a-z0-9-]{1,64}$/, "expected a topic such as image-text");

/**
 * A paper as the store keeps it. What a source does not say is null, [] or absent; parsing fills that in, cleans
 * every text and bounds every list, so that one hostile source cannot make the store hold much.
 */
export const paperRecord = z
  .strictObject({
    id: paperId,
    /** Folder in the catalogue, for papers that Concord implements. */
    slug: z
      .string()
      .regex(/^[a-z0-9-]+$/)
      .max(64)
      .exactOptional(),
    title: line(1000),
    /** The paper's own abstract; for catalogue papers whose abstract has not come in yet, our summary. */
    abstract: line(20_000),
    /** Names in the paper's order, as far as known; may be shorter than `authorCount`. */
    authors: z.array(author).max(10_000).default([]),
    /** null: unknown. Where only names are known, their number. */
    authorCount: z.int().min(1).max(100_000).nullable().default(null),
    /** UTC day of version 1; null: unknown. */
    published: day.nullable().default(null),
    /** UTC day of the newest version; null: unknown. */
    updated: day.nullable().default(null),
    /** UTC day under which a source listed it first; null: none did, and lists use `published`. */
    announced: day.nullable().default(null),
    /** Newest version; null: unknown. */
    version: z.int().min(1).max(10_000).nullable().default(null),
    versions: z.array(version).max(1000).default([]),
    /** Terms of arXiv first; ACM and MSC classes may follow. */
    categories: z.array(line(100)).max(100).default([]),
    primaryCategory: line(100).nullable().default(null),
    topics: z.array(topic).max(100).default([]),
    comment: line(2000).nullable().default(null),
    journalRef: line(1000).nullable().default(null),
    doi: line(300).nullable().default(null),
    /** Address or name of the licence. */
    licence: line(300).nullable().default(null),
    links: z
      .strictObject({
        abstract: url.exactOptional(),
        pdf: url.exactOptional(),
        code: url.exactOptional(),
        project: url.exactOptional(),
      })
      .default({}),
    withdrawn: z.boolean().default(false),
    /** Whether the paper's experiment can be run here. */
    runnable: z.boolean().default(false),
    /** Which sources contributed, e.g. "arxiv-rss"; sorted. */
    sources: z
      .array(z.string().regex(/^[a-z0-9-]{1,64}$/, "expected a source such as arxiv-rss"))
      .max(50)
      .default([])
      .transform((names) => [...new Set(names)].sort()),
  })
  .transform((record) =>
    record.authorCount === null && record.authors.length > 0
      ? { ...record, authorCount: record.authors.length }
      : record,
  )
  .refine((record) => record.authors.length <= (record.authorCount ?? Number.POSITIVE_INFINITY), {
    path: ["authors"],
    message: "more names than authorCount",
  });

export type PaperRecord = z.infer<typeof paperRecord>;

/** What a source says of a paper: everything but id, title and abstract may be left out. */
export type PaperRecordInput = z.input<typeof paperRecord>;

/** A name with the affiliation that the paper gives, where it is known. */
export type Author = PaperRecord["authors"][number];

/** The day (YYYY-MM-DD, UTC) under which lists show the paper; null: unknown. */
export function dayOf(record: Pick<PaperRecord, "announced" | "published">): string | null {
  return record.announced ?? record.published;
}

/** The record of a paper of the catalogue. */
export function fromCard(card: PaperCard, options: { readonly runnable: boolean }): PaperRecord {
  return paperRecord.parse({
    id: card.arxivId,
    slug: card.slug,
    title: card.title,
    abstract: card.summary,
    authors: card.authors.map((name) => ({ name })),
    authorCount: card.authorCount,
    published: card.published,
    links: {
      abstract: arxivAbsUrl(card),
      pdf: arxivPdfUrl(card),
      ...(card.code && { code: card.code.url }),
    },
    topics: [...card.topics],
    runnable: options.runnable,
    sources: [CATALOGUE_SOURCE],
  });
}
