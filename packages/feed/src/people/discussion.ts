import { type Account, type Clock, type Comment, type Store, StoreError } from "../store/ports.ts";
import { PeopleError } from "./errors.ts";
import { limitRules, takeOrRefuse } from "./limits.ts";

export const MAX_COMMENT = 10_000;
const DAY_MS = 86_400_000;

/** Who may hide comments and suspend accounts. */
export function moderates(account: Pick<Account, "role"> | null): boolean {
  return account !== null && account.role !== "member";
}

/** Accounts whose address is not proved, or that are younger than a day, may write little: most spam comes from them. */
export function isNewcomer(
  account: Pick<Account, "role" | "emailVerified" | "createdAt">,
  now: number,
): boolean {
  return account.role === "member" && (!account.emailVerified || now - account.createdAt < DAY_MS);
}

function checkedText(text: string): string {
  const clean = text.replace(/\r\n?/g, "\n").replaceAll("\0", "").toWellFormed().trim();
  if (clean.length === 0) throw new PeopleError("fault", "The comment is empty.", { field: "text" });
  if (clean.length > MAX_COMMENT)
    throw new PeopleError("fault", `A comment has at most ${MAX_COMMENT} characters.`, { field: "text" });
  return clean;
}

/** Comments as people may write, change, report and moderate them. */
export class Discussion {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** @throws PeopleError `fault`, `limited`; StoreError `not-found` */
  async write(
    account: Account,
    comment: { readonly paperId: string; readonly parentId: string | null; readonly text: string },
  ): Promise<Comment> {
    const text = checkedText(comment.text);
    const now = this.#clock();
    const rules = isNewcomer(account, now)
      ? limitRules.commentOfNewcomer(account.id)
      : limitRules.comment(account.id);
    await takeOrRefuse(this.#store.limits, rules, now);
    if (comment.parentId !== null) {
      const parent = await this.#store.comments.get(comment.parentId);
      if (parent?.state !== "visible")
        throw new PeopleError("refused", "The comment that you answer is no longer there.");
    }
    return this.#store.comments.add({ ...comment, text, accountId: account.id });
  }

  /** A comment that the account wrote and may still change. @throws PeopleError `refused` */
  async own(account: Account, id: string): Promise<Comment> {
    const comment = await this.#store.comments.get(id);
    if (comment?.accountId !== account.id || comment.state !== "visible")
      throw new PeopleError("refused", "You have no such comment that could be changed.");
    return comment;
  }

  /** @throws PeopleError `fault`, `refused`, `limited` */
  async edit(account: Account, id: string, text: string): Promise<Comment> {
    const clean = checkedText(text);
    const comment = await this.own(account, id);
    if (clean === comment.text) return comment;
    await takeOrRefuse(this.#store.limits, limitRules.edit(account.id), this.#clock());
    return this.#store.comments.edit(id, clean);
  }

  /** @throws PeopleError `refused` */
  async remove(account: Account, id: string): Promise<Comment> {
    const comment = await this.own(account, id);
    await this.#store.comments.remove(id);
    return comment;
  }

  /** @throws PeopleError `fault`, `limited`, `refused` */
  async report(account: Account, id: string, reason: string): Promise<Comment> {
    const clean = reason.replaceAll("\0", "").toWellFormed().trim();
    if (clean.length < 1 || clean.length > 1000)
      throw new PeopleError("fault", "Say in 1 to 1,000 characters what is wrong.", { field: "reason" });
    const comment = await this.#store.comments.get(id);
    if (comment?.state !== "visible") throw new PeopleError("refused", "This comment is no longer there.");
    await takeOrRefuse(this.#store.limits, limitRules.report(account.id), this.#clock());
    await this.#store.comments.report({ commentId: id, reporterId: account.id, reason: clean });
    return comment;
  }

  #moderator(account: Account): void {
    if (!moderates(account)) throw new PeopleError("refused", "Only moderators can do this.");
  }

  /** @throws PeopleError `refused` */
  async moderate(account: Account, id: string, hide: boolean, reason: string): Promise<void> {
    this.#moderator(account);
    await this.#store.comments
      .moderate({ commentId: id, moderatorId: account.id, hide, reason: reason.trim().slice(0, 1000) })
      .catch((error: unknown) => {
        if (error instanceof StoreError && (error.code === "conflict" || error.code === "not-found"))
          throw new PeopleError("refused", "Its author has removed this comment.");
        throw error;
      });
  }

  /**
   * Suspends an account, which signs it out everywhere, or lets it in again. Moderators may suspend members, owners
   * everybody but the last owner.
   *
   * @throws PeopleError `refused`
   */
  async suspend(account: Account, other: Account, suspend: boolean, reason: string): Promise<void> {
    this.#moderator(account);
    if (other.id === account.id || (account.role !== "owner" && other.role !== "member"))
      throw new PeopleError("refused", "This account is not yours to suspend.");
    await this.#change(account, other, suspend ? "suspend-account" : "restore-account", reason, {
      state: suspend ? "suspended" : "active",
    });
    if (suspend) await this.#store.people.closeSessions(other.id);
  }

  /** @throws PeopleError `refused` */
  async appoint(account: Account, other: Account, role: Account["role"]): Promise<void> {
    if (account.role !== "owner") throw new PeopleError("refused", "Only owners can do this.");
    await this.#change(account, other, `make-${role}`, "", { role });
  }

  async #change(
    account: Account,
    other: Account,
    action: string,
    reason: string,
    change: Partial<Pick<Account, "role" | "state">>,
  ): Promise<void> {
    try {
      await this.#store.transaction(async (ports) => {
        await ports.people.update(other.id, change);
        const subject = `account:${other.id}`;
        await ports.comments.log({
          moderatorId: account.id,
          action,
          subject,
          reason: reason.trim().slice(0, 1000),
        });
      });
    } catch (error) {
      if (error instanceof StoreError && error.code === "conflict")
        throw new PeopleError("refused", "There must be an owner left.");
      throw error;
    }
  }
}
