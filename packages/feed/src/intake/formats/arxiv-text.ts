import type { PaperRecordInput } from "../../record.ts";

export interface ArxivId {
  /** Without version and subject class: the key of the catalogue. */
  readonly id: string;
  /** null: not given, which means the newest. */
  readonly version: number | null;
}

const IDENTIFIER = /^(\d{4}\.\d{4,5}|[a-z][a-z-]*(?:\.[A-Z]{2})?\/\d{7})(?:v(\d{1,4}))?$/;

/**
 * Reads an arXiv identifier of either kind ("2504.12717v2", "math.GT/0309136", "cond-mat/0207270v1"), alone or in one of
 * the forms in which sources give it: `arXiv:ID`, `oai:arXiv.org:ID`, `http(s)://arxiv.org/abs/ID`.
 *
 * @returns null when the text is none
 */
export function parseArxivId(text: string): ArxivId | null {
  const bare = text
    .trim()
    .replace(/^(?:arxiv:|oai:arxiv\.org:|https?:\/\/(?:www\.|export\.)?arxiv\.org\/(?:abs|pdf|html)\/)/i, "")
    .replace(/\.pdf$/, "");
  const match = IDENTIFIER.exec(bare);
  const stem = match?.[1];
  if (stem === undefined) return null;
  const version = match?.[2] === undefined ? null : Number(match[2]);
  if (version === 0 || !possibleMonth(stem)) return null;
  return { id: stem.replace(/^([a-z-]+)\.[A-Z]{2}\//, "$1/"), version };
}

/** 1501 on: five digits; before: four. */
const FIRST_FIVE_DIGIT_MONTH = 1501;

function possibleMonth(stem: string): boolean {
  const [month = "", digits] = stem.includes("/") ? [stem.slice(stem.indexOf("/") + 1, -3)] : stem.split(".");
  if (!/(?:0[1-9]|1[0-2])$/.test(month)) return false;
  return digits === undefined || digits.length === digitsOf(month);
}

function digitsOf(month: string): number {
  return Number(month) >= FIRST_FIVE_DIGIT_MONTH ? 5 : 4;
}

/** First day of the month that an id names, as YYYY-MM. */
function monthOf(id: string): string {
  const month = id.includes("/") ? id.slice(id.indexOf("/") + 1, -3) : id.slice(0, 4);
  const century = Number(month.slice(0, 2)) >= 91 ? "19" : "20";
  return `${century}${month.slice(0, 2)}-${month.slice(2)}`;
}

/** Months that a submission has been seen to wait for its announcement, at most. */
const MAX_HELD_MONTHS = 12;

/**
 * Whether a paper with this id can have been submitted on the day: ids name the month of submission, or a later one
 * where moderators held the paper.
 */
export function submittedThen(id: string, day: string): boolean {
  const months = (text: string) => Number(text.slice(0, 4)) * 12 + Number(text.slice(5, 7));
  const held = months(monthOf(id)) - months(day);
  return held >= 0 && held <= MAX_HELD_MONTHS;
}

/**
 * An id that went through a table as a decimal number and lost its zeros at both ends ("901.161" for "0901.1610"), or was
 * rounded in binary ("1501.0031099999999"). There is one way back, and it is taken when the day of submission agrees.
 */
export function repairedId(text: string, submitted: string | null): string | null {
  if (submitted === null || !/^\d{3,4}\.\d{1,14}$/.test(text)) return null;
  const month = String(Math.floor(Number(text))).padStart(4, "0");
  const digits = Number(text).toFixed(digitsOf(month)).split(".")[1] ?? "";
  const parsed = parseArxivId(`${month}.${digits}`);
  return parsed !== null && submittedThen(parsed.id, submitted) ? parsed.id : null;
}

/** The UTC day of an ISO 8601 or RFC 2822 moment; null when the text is neither. */
export function dayOfMoment(text: string | null | undefined): string | null {
  const trimmed = text?.trim() ?? "";
  if (/^\d{4}-\d\d-\d\d$/.test(trimmed)) return validDay(trimmed);
  const iso = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(trimmed);
  const mail = /^(?:[A-Z][a-z]{2},? )?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d/.test(trimmed);
  if (!iso && !mail) return null;
  // A moment without zone is taken as UTC, whatever the zone of this machine.
  const zoned = /(?:Z|GMT|UTC?|[A-Z]{3}|[+-]\d\d:?\d\d)$/.test(trimmed);
  const moment = Date.parse(zoned ? trimmed : iso ? `${trimmed}Z` : `${trimmed} GMT`);
  return Number.isNaN(moment) ? null : validDay(new Date(moment).toISOString().slice(0, 10));
}

function validDay(day: string): string | null {
  const moment = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(moment) && new Date(moment).toISOString().startsWith(day) ? day : null;
}

const MAX_CATEGORY = 100;

/** Category terms, each once; classes of ACM and MSC, which come as one string, are taken apart. */
export function categoryList(terms: readonly string[]): string[] {
  const parts = terms.flatMap((term) => term.split(/[;,]/)).map((term) => term.replace(/\s+/g, " ").trim());
  return [...new Set(parts.filter((term) => term !== "" && term.length <= MAX_CATEGORY))].slice(0, 100);
}

const SUFFIX = /^(?:Jr|Sr|II|III|IV|Ph\.?\s?D|M\.?D)\.?$/i;

/**
 * Names of one string: separated by commas, semicolons or "and"; affiliations in brackets are left out, and a suffix
 * ("Jr.") stays with its name.
 */
export function splitAuthors(text: string): { name: string }[] {
  const flat = withoutBrackets(text).replace(/\s+/g, " ");
  const names: { name: string }[] = [];
  for (const part of flat.split(/\s*[,;]\s*|\s+and\s+/)) {
    const name = part.replace(/^and\s+/, "").trim();
    const last = names.at(-1);
    if (name === "") continue;
    if (SUFFIX.test(name) && last !== undefined) last.name = `${last.name}, ${name}`;
    else names.push({ name });
  }
  return names;
}

function withoutBrackets(text: string): string {
  let depth = 0;
  let kept = "";
  for (const character of text) {
    if (character === "(") depth++;
    else if (character === ")") depth = Math.max(0, depth - 1);
    else if (depth === 0) kept += character;
  }
  return kept;
}

const WITHDRAWN =
  /^\W*(?:this\s+(?:paper|article|submission|manuscript|work|preprint|version)\s+(?:(?:has\s+been|was|is)\s+)?(?:being\s+)?withdrawn|(?:paper\s+)?withdrawn\b)/i;

/** Within a comment only together with who or where: "was withdrawn from a conference" is something else. */
const WITHDRAWN_BY =
  /\b(?:this|the)\s+(?:paper|article|submission|manuscript|work|preprint|version)\s+(?:(?:has\s+been|was|is)\s+)?withdrawn\s+(?:by\s+(?:the\s+|its\s+)?(?:authors?|submitters?|arxiv)\b|from\s+(?:the\s+)?arxiv\b)/i;

/**
 * Whether comment or abstract have the words by which authors or administrators withdraw a paper on arXiv: at their
 * beginning, or, among the comment's other remarks, saying by whom.
 */
export function saysWithdrawn(comment: string | null, abstract: string): boolean {
  const remarks = comment ?? "";
  return WITHDRAWN.test(remarks) || WITHDRAWN_BY.test(remarks) || WITHDRAWN.test(abstract);
}

const CODE =
  /https?:\/\/(?:www\.)?(?:github\.com|gitlab\.com|bitbucket\.org|codeberg\.org)\/[\w.-]{1,100}\/[\w.-]{1,100}/i;
const PROJECT = /https?:\/\/[\w-]{1,100}\.(?:github|gitlab)\.io(?:\/[\w.~-]{1,100}){0,3}\/?/i;

/** Links of a paper with this id, with the code and the project page that its comment or abstract name. */
export function linksOf(
  id: string,
  ...texts: readonly (string | null)[]
): NonNullable<PaperRecordInput["links"]> {
  const text = texts.filter((part) => part !== null).join("\n");
  // The full stop of the sentence is no part of the address.
  const code = CODE.exec(text)?.[0]
    .replace(/\.+$/, "")
    .replace(/\.git$/, "");
  const project = PROJECT.exec(text)?.[0].replace(/\.+$/, "");
  return {
    abstract: `https://arxiv.org/abs/${id}`,
    pdf: `https://arxiv.org/pdf/${id}`,
    ...(code === undefined ? {} : { code }),
    ...(project === undefined ? {} : { project }),
  };
}
