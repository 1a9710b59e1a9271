import type { Millis, Page, PageRequest } from "./common.ts";

export interface Comment {
  readonly id: string;
  readonly paperId: string;
  /** The comment that this one answers; answers are one level deep. */
  readonly parentId: string | null;
  /** null: the author's account is gone. */
  readonly accountId: string | null;
  /** Markdown as written; "" once removed. 1 to 65,536 characters. */
  readonly text: string;
  readonly createdAt: Millis;
  readonly editedAt: Millis | null;
  readonly edits: number;
  /** `removed` by its author, `hidden` by moderation. Both stay as place-holders for their answers. */
  readonly state: "visible" | "removed" | "hidden";
}

export interface CommentVersion {
  readonly text: string;
  readonly writtenAt: Millis;
}

export interface Report {
  readonly id: string;
  readonly commentId: string;
  readonly reporterId: string | null;
  /** 1 to 1000 characters. */
  readonly reason: string;
  readonly createdAt: Millis;
  readonly state: "open" | "upheld" | "dismissed";
}

export interface ModerationEntry {
  readonly id: string;
  readonly at: Millis;
  /** null: the moderator's account is gone. */
  readonly moderatorId: string | null;
  /** e.g. "hide-comment", "suspend-account". */
  readonly action: string;
  /** What it was done to: "comment:ID", "account:ID", "paper:ID". */
  readonly subject: string;
  readonly reason: string;
}

/** Comments with their history, reports of them, and what moderators did. */
export interface Comments {
  /**
   * Adds a comment, counts it, and once for a person and paper notes the trending event.
   * @throws StoreError `not-found` for paper, account or parent, `invalid` for the text or a parent elsewhere
   */
  add(
    comment: Pick<Comment, "paperId" | "parentId" | "text"> & { readonly accountId: string },
  ): Promise<Comment>;
  get(id: string): Promise<Comment | null>;
  /** All comments of a paper, place-holders too, oldest first. */
  ofPaper(paperId: string, page?: PageRequest): Promise<Page<Comment>>;
  /** A person's visible comments, newest first. */
  ofAccount(accountId: string, page?: PageRequest): Promise<Page<Comment>>;
  /** Newest visible ones of the whole site. */
  latest(page?: PageRequest): Promise<Page<Comment>>;

  /** Keeps the text before as a version. @throws StoreError `not-found`; `conflict` unless visible */
  edit(id: string, text: string): Promise<Comment>;
  /** Earlier texts, oldest first; without those of removed comments, whose texts are erased. */
  history(id: string): Promise<CommentVersion[]>;
  /** The author's own removal: erases the text and its versions for good. Idempotent. */
  remove(id: string): Promise<boolean>;

  /** One open report for a person and comment; a second one is the same. */
  report(report: {
    readonly commentId: string;
    readonly reporterId: string;
    readonly reason: string;
  }): Promise<Report>;
  /** Oldest first. */
  reports(page?: PageRequest & { readonly state?: Report["state"] }): Promise<Page<Report>>;

  /** Hides or shows a comment, settles its open reports, and writes the log: atomic. */
  moderate(decision: {
    readonly commentId: string;
    readonly moderatorId: string;
    readonly hide: boolean;
    readonly reason: string;
  }): Promise<Comment>;
  /** Writes what was done elsewhere (suspensions, removed papers) to the log. */
  log(entry: Omit<ModerationEntry, "id" | "at">): Promise<ModerationEntry>;
  /** Newest first. */
  moderationLog(page?: PageRequest): Promise<Page<ModerationEntry>>;
}
