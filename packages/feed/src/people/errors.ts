/** Why an account cannot be made, entered or changed, in words for the person who asked. */
export class PeopleError extends Error {
  override readonly name = "PeopleError";
  /**
   * - `fault`: something typed in is not acceptable
   * - `refused`: not allowed, or the link or password is wrong
   * - `limited`: too often; `retryAt` says when again
   */
  readonly kind: "fault" | "refused" | "limited";
  /** The field of the form that is meant. */
  readonly field: string | null;
  readonly retryAt: number | null;

  constructor(
    kind: PeopleError["kind"],
    message: string,
    details: { readonly field?: string; readonly retryAt?: number } = {},
  ) {
    super(message);
    this.kind = kind;
    this.field = details.field ?? null;
    this.retryAt = details.retryAt ?? null;
  }
}
