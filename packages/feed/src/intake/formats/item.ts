import type { z } from "zod";
import { type PaperRecord, type PaperRecordInput, paperRecord } from "../../record.ts";

/** A document that is not in the format that it should be in. `where` says at which place, as far as known. */
export class FormatError extends Error {
  override readonly name = "FormatError";

  constructor(reason: string, where = "", options?: ErrorOptions) {
    super(where === "" ? reason : `${where}: ${reason}`, options);
  }
}

/** What a document says of one paper, with the place where it says so, e.g. `line 12` or `entry 3 (line 40)`. */
export type Item =
  | { readonly kind: "paper"; readonly position: string; readonly record: PaperRecord }
  /** The source no longer has the paper. */
  | { readonly kind: "deleted"; readonly position: string; readonly id: string }
  | RejectedItem;

export interface RejectedItem {
  readonly kind: "rejected";
  readonly position: string;
  /** What the source calls it, where that can be told. */
  readonly id: string | null;
  /** What was expected and what came. */
  readonly reason: string;
  /** The beginning of what came. */
  readonly sample: string;
}

const MAX_SHOWN_ID = 100;
const MAX_REASON = 1000;
const MAX_SAMPLE = 500;

function shortened(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}

/** A record that cannot be used. */
export function rejected(position: string, id: string | null, reason: string, sample: string): Item {
  return {
    kind: "rejected",
    position,
    id: id === null ? null : shortened(id, MAX_SHOWN_ID),
    reason: shortened(reason, MAX_REASON),
    sample: shortened(sample, MAX_SAMPLE),
  };
}

const MAX_SHOWN_VALUE = 80;

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "string") {
    return JSON.stringify(shortened(value, MAX_SHOWN_VALUE));
  }
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[key];
  }
  return value;
}

function describeIssue(issue: z.core.$ZodIssue, input: unknown): string {
  const field = issue.path.map(String).join(".");
  return `${field}: ${issue.message} (got ${shown(valueAt(input, issue.path))})`;
}

/** Longest texts, in characters, that are shortened rather than costing the paper; see `paperRecord`. */
const MAX_NAME = 300;
const MAX_COMMENT = 2000;
const MAX_REFERENCE = 1000;

/** The same with what only accompanies a paper cut to its limits. */
function bounded(input: PaperRecordInput): PaperRecordInput {
  const { authors, comment, journalRef } = input;
  const cut = (text: string, limit: number) => shortened(text.replace(/\s+/g, " ").trim(), limit);
  return {
    ...input,
    ...(authors && { authors: authors.map((author) => ({ ...author, name: cut(author.name, MAX_NAME) })) }),
    ...(comment && { comment: cut(comment, MAX_COMMENT) }),
    ...(journalRef && { journalRef: cut(journalRef, MAX_REFERENCE) }),
  };
}

/** What a source says of a paper, checked and cleaned; rejected with field, expectation and value when it is no record. */
export function paperItem(position: string, input: PaperRecordInput, sample: string): Item {
  const parsed = paperRecord.safeParse(bounded(input));
  if (parsed.success) return { kind: "paper", position, record: parsed.data };
  const [first] = parsed.error.issues;
  const reason = first === undefined ? "no paper record" : describeIssue(first, input);
  return rejected(position, input.id, reason, sample);
}
