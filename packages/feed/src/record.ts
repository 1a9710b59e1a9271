import { arxivAbsUrl, arxivPdfUrl, type PaperCard } from "@concord/papers";
import { z } from "zod";

const httpsUrl = z.url({ protocol: /^https$/ }).max(2000);
const line = (limit: number) => z.string().trim().min(1).max(limit);

/** arXiv identifier without version: "2504.12717", or the older "math/0611800". */
const arxivId = z
  .string()
  .regex(/^(?:\d{4}\.\d{4,5}|[a-z][a-z-]*\/\d{7})$/, "expected an arXiv id without version");

/**
 * One item of the feed: what a list, a search result, a digest or a feed reader shows of a paper.
 * The limits bound what one hostile source can make the store hold.
 */
export const paperRecord = z
  .strictObject({
    id: arxivId,
    /** Folder in the catalogue, for papers that Concord implements. */
    slug: z
      .string()
      .regex(/^[a-z0-9-]+$/)
      .max(64)
      .exactOptional(),
    title: line(1000),
    summary: line(20_000),
    /** Names in the paper's order, as far as known; may be shorter than `authorCount`. */
    authors: z.array(line(300)).max(10_000),
    authorCount: z.int().min(1),
    /** First submission, YYYY-MM-DD in UTC. */
    published: z.iso.date(),
    links: z.strictObject({ abstract: httpsUrl, pdf: httpsUrl, code: httpsUrl.exactOptional() }),
    topics: z.array(z.string().regex(/^[a-z0-9-]{1,64}$/)).max(100),
    /** Whether the paper's experiment can be run here. */
    runnable: z.boolean(),
  })
  .refine((record) => record.authors.length <= record.authorCount, {
    path: ["authors"],
    message: "more names than authorCount",
  });

export type PaperRecord = z.infer<typeof paperRecord>;

/** The feed item of a paper of the catalogue. */
export function fromCard(card: PaperCard, options: { readonly runnable: boolean }): PaperRecord {
  return paperRecord.parse({
    id: card.arxivId,
    slug: card.slug,
    title: card.title,
    summary: card.summary,
    authors: card.authors,
    authorCount: card.authorCount,
    published: card.published,
    links: {
      abstract: arxivAbsUrl(card),
      pdf: arxivPdfUrl(card),
      ...(card.code && { code: card.code.url }),
    },
    topics: card.topics,
    runnable: options.runnable,
  });
}
