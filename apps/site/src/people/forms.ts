import { type Account, StoreError } from "@concord/feed";
import { keyedMark, PeopleError, sameText } from "@concord/feed/people";
import { html } from "hono/html";
import { HTTPException } from "hono/http-exception";
import { address } from "../daily/query.ts";
import type { Html } from "../pages/layout.ts";
import type { SiteContext } from "../site-env.ts";
import type { People } from "./service.ts";

const MAX_FIELD = 20_000;

/** The fields of a form as texts; files and repeated fields are left out. */
export async function readForm(context: SiteContext): Promise<Readonly<Record<string, string>>> {
  const body = await context.req.parseBody();
  const fields = Object.entries(body).filter((entry): entry is [string, string] => {
    const [name, value] = entry;
    return typeof value === "string" && value.length <= MAX_FIELD && name.length <= 40;
  });
  return Object.fromEntries(fields);
}

/** What a form shows when it comes back: what was typed in, and what is wrong with it. */
export interface FormState {
  readonly values?: Readonly<Record<string, string>>;
  readonly error?: PeopleError | null;
}

export interface FieldOptions {
  readonly name: string;
  readonly label: string;
  readonly type?: "text" | "email" | "password";
  readonly autocomplete?: string;
  readonly help?: Html | string;
  readonly required?: boolean;
  readonly maxlength?: number;
  readonly minlength?: number;
  readonly value?: string;
  /** Tells ids apart where a page has several forms. */
  readonly prefix?: string;
}

/** A labelled input with its help and, where the form came back, what is wrong. */
export function field(options: FieldOptions, state: FormState = {}): Html {
  const { name, label, type = "text", help, prefix = "" } = options;
  const { autocomplete = "off", required = true, maxlength = 254, minlength } = options;
  const id = `${prefix}${name}`;
  const error = state.error?.field === name ? state.error.message : null;
  const value = type === "password" ? "" : (state.values?.[name] ?? options.value ?? "");
  const described = [error !== null && `${id}-error`, help !== undefined && `${id}-help`]
    .filter(Boolean)
    .join(" ");
  return html`<div class="field">
<label for="${id}">${label}${required ? "" : html` <span class="optional">optional</span>`}</label>
<input id="${id}" name="${name}" type="${type}" value="${value}" autocomplete="${autocomplete}" maxlength="${maxlength}" ${minlength === undefined ? "" : html`minlength="${minlength}"`} ${required ? "required" : ""} ${type === "text" ? html`autocapitalize="none" spellcheck="false"` : ""} ${described === "" ? "" : html`aria-describedby="${described}"`} ${error === null ? "" : html`aria-invalid="true"`}>
${error === null ? "" : html`<p class="field-error" id="${id}-error">${error}</p>`}
${help === undefined ? "" : html`<p class="help" id="${id}-help">${help}</p>`}
</div>`;
}

/** What is wrong with a form as a whole, or where its fields say what. */
export function formError({ error }: FormState, fields: readonly string[]): Html {
  if (error == null) return html``;
  const words =
    error.field !== null && fields.includes(error.field)
      ? "Something in the form is not right yet."
      : error.message;
  return html`<p class="form-error" role="alert">${words}</p>`;
}

export function notice(text: Html | string): Html {
  return html`<p class="notice" role="status">${text}</p>`;
}

const MIN_FILL_MS = 1500;
const MAX_FILL_MS = 12 * 3_600_000;

/** The signed time at which a form was made. */
export function formTicket({ secret, clock }: People): string {
  const at = clock().toString(36);
  return `${at}.${keyedMark(secret, "form", at).slice(0, 22)}`;
}

/**
 * Two fields that people do not see and programs fill in: a box that must stay empty, and the signed time at which the
 * form was made.
 */
export function trap(people: People): Html {
  return html`<div class="trap" aria-hidden="true"><label>Leave this empty <input name="website" tabindex="-1" autocomplete="off"></label></div>
<input type="hidden" name="_at" value="${formTicket(people)}">`;
}

/**
 * Whether a form was filled in by a program.
 *
 * @throws PeopleError `fault` when it came back sooner than a person types, or very late: send it again
 */
export function isTrapped({ secret, clock }: People, form: Readonly<Record<string, string>>): boolean {
  const [at = "", mark = ""] = (form._at ?? "").split(".");
  const age = clock() - Number.parseInt(at, 36);
  const ours = sameText(mark, keyedMark(secret, "form", at).slice(0, 22));
  if (!ours || !(age >= MIN_FILL_MS && age <= MAX_FILL_MS))
    throw new PeopleError("fault", "That came very fast, or very late. Please send it once more.");
  return form.website !== "" && form.website !== undefined;
}

/** The path of the page with its query, as a way back. */
export function herePath(context: SiteContext): string {
  const { pathname, search } = new URL(context.req.url);
  return pathname + search;
}

/**
 * Whoever is signed in.
 *
 * @throws HTTPException that leads to the sign-in page and, from a page, back
 */
export function signedIn(context: SiteContext): Account {
  const { account } = context.var;
  if (account !== null) return account;
  const next = context.req.method === "GET" ? herePath(context) : undefined;
  throw new HTTPException(403, {
    message: "Sign in first.",
    res: context.redirect(address("/sign-in", { next }), 303),
  });
}

/** Nothing of the answer is kept anywhere. */
export function keepPrivate(context: SiteContext): void {
  context.header("Cache-Control", "private, no-store");
}

/** Does what a form asks for; faults and refusals come back as values, so that the form can be shown again. */
export async function attempt<T>(work: () => Promise<T>): Promise<{ value: T } | { error: PeopleError }> {
  try {
    return { value: await work() };
  } catch (error) {
    if (error instanceof PeopleError) return { error };
    if (error instanceof StoreError && error.code === "invalid")
      return { error: new PeopleError("fault", "This text cannot be kept. Is it too long, or damaged?") };
    throw error;
  }
}

/** Status of an answer that shows a form again. */
export function statusOf(error: PeopleError): 400 | 403 | 429 {
  return error.kind === "fault" ? 400 : error.kind === "limited" ? 429 : 403;
}
