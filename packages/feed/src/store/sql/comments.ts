import type { Selectable } from "kysely";
import { z } from "zod";
import {
  type Comment,
  type Comments,
  type CommentVersion,
  type ModerationEntry,
  type Page,
  type PageRequest,
  type Report,
  StoreError,
} from "../ports.ts";
import { requireAccount } from "./accounts.ts";
import type { Db, Gate } from "./gate.ts";
import { findNum, requireNum } from "./papers.ts";
import type { Tables } from "./tables.ts";
import { noteEvent } from "./trend.ts";
import { check, cutPage, newId, text, timePage } from "./values.ts";

const MAX_TEXT = 65_536;
const commentText = text(MAX_TEXT).refine((value) => value.trim() !== "", "expected text");
const newComment = z.strictObject({
  paperId: text(64),
  parentId: text(64).nullable(),
  text: commentText,
  accountId: text(64),
});
const newReport = z.strictObject({ commentId: text(64), reporterId: text(64), reason: text(1000) });
const decisionShape = z.strictObject({
  commentId: text(64),
  moderatorId: text(64),
  hide: z.boolean(),
  reason: text(1000, 0),
});
const newEntry = z.strictObject({
  moderatorId: text(64).nullable(),
  action: text(64),
  subject: text(200),
  reason: text(1000, 0),
});

type CommentRow = Selectable<Tables["comments"]> & { paper: string };

const toComment = (row: CommentRow): Comment => ({
  id: row.id,
  paperId: row.paper,
  parentId: row.parent,
  accountId: row.account,
  text: row.text,
  createdAt: row.created_at,
  editedAt: row.edited_at,
  edits: row.edits,
  state: row.state,
});

const toReport = (row: Selectable<Tables["reports"]>): Report => ({
  id: row.id,
  commentId: row.comment,
  reporterId: row.reporter,
  reason: row.reason,
  createdAt: row.created_at,
  state: row.state,
});

const toEntry = (row: Selectable<Tables["moderation"]>): ModerationEntry => ({
  id: row.id,
  at: row.at,
  moderatorId: row.moderator,
  action: row.action,
  subject: row.subject,
  reason: row.reason,
});

const withPaper = (db: Db) =>
  db
    .selectFrom("comments as c")
    .innerJoin("papers as p", "p.num", "c.num")
    .selectAll("c")
    .select("p.id as paper");

async function requireComment(db: Db, id: string): Promise<CommentRow> {
  const row = await withPaper(db).where("c.id", "=", id).executeTakeFirst();
  if (!row) throw new StoreError("not-found", "There is no such comment.");
  return row;
}

/** Changes a comment's state and the paper's number of visible comments with it. */
async function setState(db: Db, row: CommentRow, state: Comment["state"]): Promise<void> {
  if (row.state === state) return;
  await db.updateTable("comments").set({ state }).where("id", "=", row.id).execute();
  const change = Number(state === "visible") - Number(row.state === "visible");
  if (change === 0) return;
  await db
    .updateTable("papers")
    .set((eb) => ({ comments: eb("comments", "+", change) }))
    .where("num", "=", row.num)
    .execute();
}

export class SqlComments implements Comments {
  readonly #gate: Gate;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  async add(
    comment: Pick<Comment, "paperId" | "parentId" | "text"> & { readonly accountId: string },
  ): Promise<Comment> {
    const wanted = check(newComment, comment, "comment");
    return this.#gate.write(async (db) => {
      const num = await requireNum(db, wanted.paperId);
      await requireAccount(db, wanted.accountId);
      const parent = wanted.parentId === null ? null : await requireComment(db, wanted.parentId);
      if (parent && parent.num !== num)
        throw new StoreError("invalid", "parentId: a comment on another paper.");
      // An answer to an answer joins the thread.
      const parentId = parent === null ? null : (parent.parent ?? parent.id);
      const now = this.#gate.now();
      const id = newId();
      await db
        .insertInto("comments")
        .values({
          id,
          num,
          parent: parentId,
          account: wanted.accountId,
          text: wanted.text,
          created_at: now,
          edited_at: null,
          state: "visible",
        })
        .execute();
      await db
        .updateTable("papers")
        .set((eb) => ({ comments: eb("comments", "+", 1) }))
        .where("num", "=", num)
        .execute();
      await noteEvent(db, num, "comment", { accountId: wanted.accountId }, now);
      return toComment(await requireComment(db, id));
    });
  }

  async get(id: string): Promise<Comment | null> {
    return this.#gate.read(async (db) => {
      const row = await withPaper(db).where("c.id", "=", id).executeTakeFirst();
      return row ? toComment(row) : null;
    });
  }

  async ofPaper(paperId: string, page: PageRequest = {}): Promise<Page<Comment>> {
    const { limit, after } = timePage("comments", page);
    return this.#gate.read(async (db) => {
      const num = await findNum(db, paperId);
      const rows = await withPaper(db)
        .where("c.num", "=", num ?? -1)
        .$if(after !== null, (query) =>
          query.where(({ eb, refTuple, tuple }) =>
            eb(refTuple("c.created_at", "c.id"), ">", tuple(...(after as [number, string]))),
          ),
        )
        .orderBy("c.created_at")
        .orderBy("c.id")
        .limit(limit + 1)
        .execute();
      return cutPage("comments", rows, limit, (row) => [row.created_at, row.id], toComment);
    });
  }

  async ofAccount(accountId: string, page: PageRequest = {}): Promise<Page<Comment>> {
    return this.#newest("account-comments", accountId, page);
  }

  async latest(page: PageRequest = {}): Promise<Page<Comment>> {
    return this.#newest("latest-comments", null, page);
  }

  async #newest(list: string, accountId: string | null, page: PageRequest): Promise<Page<Comment>> {
    const { limit, after } = timePage(list, page);
    return this.#gate.read(async (db) => {
      const rows = await withPaper(db)
        .where("c.state", "=", "visible")
        .$if(accountId !== null, (query) => query.where("c.account", "=", accountId))
        .$if(after !== null, (query) =>
          query.where(({ eb, refTuple, tuple }) =>
            eb(refTuple("c.created_at", "c.id"), "<", tuple(...(after as [number, string]))),
          ),
        )
        .orderBy("c.created_at", "desc")
        .orderBy("c.id", "desc")
        .limit(limit + 1)
        .execute();
      return cutPage(list, rows, limit, (row) => [row.created_at, row.id], toComment);
    });
  }

  async edit(id: string, newText: string): Promise<Comment> {
    const wanted = check(commentText, newText, "text");
    return this.#gate.write(async (db) => {
      const row = await requireComment(db, id);
      if (row.state !== "visible")
        throw new StoreError("conflict", `A ${row.state} comment cannot be edited.`);
      if (row.text === wanted) return toComment(row);
      await db
        .insertInto("comment_versions")
        .values({
          comment: id,
          version: row.edits,
          text: row.text,
          written_at: row.edited_at ?? row.created_at,
        })
        .execute();
      await db
        .updateTable("comments")
        .set({ text: wanted, edited_at: this.#gate.now(), edits: row.edits + 1 })
        .where("id", "=", id)
        .execute();
      return toComment(await requireComment(db, id));
    });
  }

  async history(id: string): Promise<CommentVersion[]> {
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("comment_versions")
        .selectAll()
        .where("comment", "=", id)
        .orderBy("version")
        .execute();
      return rows.map((row) => ({ text: row.text, writtenAt: row.written_at }));
    });
  }

  async remove(id: string): Promise<boolean> {
    return this.#gate.write(async (db) => {
      const row = await withPaper(db).where("c.id", "=", id).executeTakeFirst();
      if (!row) return false;
      await setState(db, row, "removed");
      await db.updateTable("comments").set({ text: "" }).where("id", "=", id).execute();
      await db.deleteFrom("comment_versions").where("comment", "=", id).execute();
      return row.state !== "removed";
    });
  }

  async report(report: {
    readonly commentId: string;
    readonly reporterId: string;
    readonly reason: string;
  }): Promise<Report> {
    const wanted = check(newReport, report, "report");
    return this.#gate.write(async (db) => {
      await requireComment(db, wanted.commentId);
      await requireAccount(db, wanted.reporterId);
      const known = await db
        .selectFrom("reports")
        .selectAll()
        .where("comment", "=", wanted.commentId)
        .where("reporter", "=", wanted.reporterId)
        .where("state", "=", "open")
        .executeTakeFirst();
      if (known) return toReport(known);
      const row = {
        id: newId(),
        comment: wanted.commentId,
        reporter: wanted.reporterId,
        reason: wanted.reason,
        created_at: this.#gate.now(),
        state: "open" as const,
      };
      await db.insertInto("reports").values(row).execute();
      return toReport(row);
    });
  }

  async reports(page: PageRequest & { readonly state?: Report["state"] } = {}): Promise<Page<Report>> {
    const { limit, after } = timePage("reports", page);
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("reports")
        .selectAll()
        .$if(page.state !== undefined, (query) => query.where("state", "=", page.state as Report["state"]))
        .$if(after !== null, (query) =>
          query.where(({ eb, refTuple, tuple }) =>
            eb(refTuple("created_at", "id"), ">", tuple(...(after as [number, string]))),
          ),
        )
        .orderBy("created_at")
        .orderBy("id")
        .limit(limit + 1)
        .execute();
      return cutPage("reports", rows, limit, (row) => [row.created_at, row.id], toReport);
    });
  }

  async moderate(decision: {
    readonly commentId: string;
    readonly moderatorId: string;
    readonly hide: boolean;
    readonly reason: string;
  }): Promise<Comment> {
    const { commentId, moderatorId, hide, reason } = check(decisionShape, decision, "decision");
    return this.#gate.write(async (db) => {
      await requireAccount(db, moderatorId);
      const row = await requireComment(db, commentId);
      if (row.state === "removed") throw new StoreError("conflict", "Its author removed this comment.");
      await setState(db, row, hide ? "hidden" : "visible");
      await db
        .updateTable("reports")
        .set({ state: hide ? "upheld" : "dismissed" })
        .where("comment", "=", commentId)
        .where("state", "=", "open")
        .execute();
      await this.#write(db, {
        moderatorId,
        action: hide ? "hide-comment" : "show-comment",
        subject: `comment:${commentId}`,
        reason,
      });
      return toComment(await requireComment(db, commentId));
    });
  }

  async #write(db: Db, entry: Omit<ModerationEntry, "id" | "at">): Promise<ModerationEntry> {
    const row = {
      id: newId(),
      at: this.#gate.now(),
      moderator: entry.moderatorId,
      action: entry.action,
      subject: entry.subject,
      reason: entry.reason,
    };
    await db.insertInto("moderation").values(row).execute();
    return toEntry(row);
  }

  async log(entry: Omit<ModerationEntry, "id" | "at">): Promise<ModerationEntry> {
    const wanted = check(newEntry, entry, "entry");
    return this.#gate.write(async (db) => {
      if (wanted.moderatorId !== null) await requireAccount(db, wanted.moderatorId);
      return this.#write(db, wanted);
    });
  }

  async moderationLog(page: PageRequest = {}): Promise<Page<ModerationEntry>> {
    const { limit, after } = timePage("moderation", page);
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("moderation")
        .selectAll()
        .$if(after !== null, (query) =>
          query.where(({ eb, refTuple, tuple }) =>
            eb(refTuple("at", "id"), "<", tuple(...(after as [number, string]))),
          ),
        )
        .orderBy("at", "desc")
        .orderBy("id", "desc")
        .limit(limit + 1)
        .execute();
      return cutPage("moderation", rows, limit, (row) => [row.at, row.id], toEntry);
    });
  }
}
