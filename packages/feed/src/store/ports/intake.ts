import type { Json, Millis, Page, PageRequest } from "./common.ts";

/** Where the reading of a source stands. */
export interface SourceState {
  /** e.g. "arxiv-rss:cs.LG". */
  readonly source: string;
  /** The source's own: resumption token, last day, offset. */
  readonly cursor: Json;
  readonly etag: string | null;
  readonly lastModified: string | null;
  /** When it was last read to the end without error. */
  readonly succeededAt: Millis | null;
  readonly attemptedAt: Millis | null;
  readonly lastError: string | null;
  /** Not before this time again: Retry-After, back-off. */
  readonly notBefore: Millis | null;
}

/** A record that was refused, and why. */
export interface Rejection {
  readonly id: string;
  readonly source: string;
  /** What the source calls it: an id, a line number. */
  readonly ref: string;
  /** e.g. "title: expected text". At most 1000 characters. */
  readonly reason: string;
  /** The beginning of what came, at most 2000 characters. */
  readonly sample: string;
  readonly at: Millis;
}

/** State of the readers of sources. */
export interface Intake {
  /** A source that was never read has null everywhere. */
  state(source: string): Promise<SourceState>;
  states(): Promise<SourceState[]>;
  /** Changes the fields given and keeps the others. Use it in one transaction with `upsert` to resume exactly. */
  save(source: string, change: Partial<Omit<SourceState, "source">>): Promise<SourceState>;

  /** Notes refused records; one row for each source and ref, the newest reason wins. The newest 10,000 are kept. */
  reject(rejections: readonly Omit<Rejection, "id" | "at">[]): Promise<void>;
  /** Forgets a rejection, when the record came in after all. */
  accept(source: string, refs: readonly string[]): Promise<void>;
  /** Newest first. */
  rejections(page?: PageRequest & { readonly source?: string }): Promise<Page<Rejection>>;
}
