import { countWords, dayParts, dayWords } from "../words.ts";
import type { Choice, IssueContent } from "./issue.ts";

/** `16–22 November 2026`, `28 November – 4 December 2026`. */
export function rangeWords(from: string, to: string): string {
  const [a, b] = [dayParts(from), dayParts(to)];
  if (a.year !== b.year) return `${a.day} ${a.month} ${a.year} – ${b.day} ${b.month} ${b.year}`;
  if (a.month !== b.month) return `${a.day} ${a.month} – ${b.day} ${b.month} ${b.year}`;
  return a.day === b.day ? `${a.day} ${a.month} ${a.year}` : `${a.day}–${b.day} ${b.month} ${b.year}`;
}

/** What an issue is called. */
export function issueTitle({ kind, first, day }: Pick<IssueContent, "kind" | "first" | "day">): string {
  if (kind === "weekly") return `The week in papers, ${rangeWords(first, day)}`;
  return first === day ? dayWords(day) : `Papers of ${rangeWords(first, day)}`;
}

const MAX_SUBJECT = 150;

const shortened = (text: string, most: number) =>
  text.length <= most
    ? text
    : `${text
        .slice(0, most - 1)
        .replace(/\s+\S*$/, "")
        .toWellFormed()}…`;

/** `24 papers: Title of the first … (Friday, 20 November)`: what tells one digest from another comes first. */
export function subjectOf(content: IssueContent, choice: Choice): string {
  const [first] = choice.papers;
  const when =
    content.kind === "weekly"
      ? `week to ${dayParts(content.day).day} ${dayParts(content.day).month}`
      : `${dayParts(content.day).day} ${dayParts(content.day).month}`;
  const tail = choice.found === 1 ? ` (${when})` : ` and ${choice.found - 1} more (${when})`;
  return `${shortened(first?.paper.title ?? "", MAX_SUBJECT - tail.length)}${tail}`;
}

/** Why a reader's digest has these papers in this order. */
export function orderWords(choice: Choice): string {
  const shown = choice.papers.length;
  const all = `${choice.orMore ? "more than " : ""}${countWords(choice.found, "paper")}`;
  const cut = choice.found > shown ? `The first ${shown} of ${all}` : countWords(shown, "paper");
  return shown === 1 ? `${cut}.` : `${cut}, most votes first, then what is trending, then the newest.`;
}

/** `3 votes · 1 comment · runs here`. */
export function factsOf(chosen: Choice["papers"][number]): string[] {
  const { paper, reasons } = chosen;
  return [
    ...(paper.votes > 0 ? [countWords(paper.votes, "vote")] : []),
    ...(paper.comments > 0 ? [countWords(paper.comments, "comment")] : []),
    ...(paper.runs ? ["runs here"] : []),
    ...reasons,
  ];
}

/** What the digest is about, for its foot. */
export function wishWords(
  kind: IssueContent["kind"],
  wishes: { readonly topics: readonly string[]; readonly savedSearches: readonly string[] },
  searches: Readonly<Record<string, string>>,
): string {
  const named = [
    ...wishes.topics,
    ...wishes.savedSearches.flatMap((id) => (searches[id] === undefined ? [] : [`“${searches[id]}”`])),
  ];
  return `You asked for this ${kind} digest${named.length === 0 ? "" : ` of papers on ${named.join(", ")}`}.`;
}
