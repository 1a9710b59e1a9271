import type { FindingId } from "@concord/align/findings";

/** Something wrong with embeddings that a paper's method is made for. */
export interface AddressedFinding {
  readonly finding: FindingId;
  /** How the method works against it: one sentence in plain words. */
  readonly because: string;
}

/** One row of a table that a paper published. */
export interface PublishedRow {
  readonly label: string;
  /** One value per column of the table; null where the paper gives none. */
  readonly values: readonly (number | string | null)[];
  /** The id of the experiment's arm that this row corresponds to, where there is one. */
  readonly arm?: string;
}

/** A table of results as the paper (or a named source) printed it. */
export interface PublishedTable {
  readonly caption: string;
  /** Where the figures were read, e.g. "Table 2" or "a published reading note". */
  readonly source: string;
  /** True when the figures were read in the paper itself, false when only a second source gives them. */
  readonly confirmed: boolean;
  /** Heads of the value columns; the row label has no head. */
  readonly columns: readonly string[];
  readonly rows: readonly PublishedRow[];
}

/** What a reader needs to know of a paper before running it. Light: importing a card loads no engine. */
export interface PaperCard {
  readonly slug: string;
  readonly title: string;
  /** e.g. "2504.12717" */
  readonly arxivId: string;
  /** First submission, YYYY-MM-DD. */
  readonly published: string;
  readonly authorCount: number;
  /** Family names (or full names) in the paper's order, where known. May be shorter than authorCount. */
  readonly authors: readonly string[];
  /** e.g. "CVPR 2025" */
  readonly venue?: string;
  /** Official code, where there is some. */
  readonly code?: { readonly url: string; readonly licence: string };
  /** What the paper does, in our own words: two or three sentences. */
  readonly summary: string;
  /** What one would use it for: one sentence, in the voice of a user's problem. */
  readonly useFor: string;
  /** Lower-case topics, e.g. "image-text", "3d-medical", "hashing", "domain-adaptation". */
  readonly topics: readonly string[];
  /** Modalities that it aligns, e.g. ["image", "text"]. */
  readonly modalities: readonly string[];
  /** What the method truly works against, its main aim first; see `advise`. */
  readonly addresses: readonly AddressedFinding[];
  readonly publishedResults: readonly PublishedTable[];
}
