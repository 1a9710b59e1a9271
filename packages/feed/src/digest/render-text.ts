import type { Choice, ChosenPaper, IssueContent, Wishes } from "./issue.ts";
import { factsOf, issueTitle, orderWords, wishWords } from "./wording.ts";

/** RFC 3676 recommends lines of at most 78; 72 leaves room for marks of quotation. */
const WIDTH = 72;

/** A paragraph in lines of at most 72 characters; words that are longer, such as addresses, stay whole. */
export function wrapped(text: string, indent = "", first = indent): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && indent.length + [...longer].length > WIDTH) {
      lines.push((lines.length === 0 ? first : indent) + line);
      line = word;
    } else line = longer;
  }
  return [...lines, (lines.length === 0 ? first : indent) + line].join("\n");
}

/** The addresses that a digest leads to. */
export interface DigestLinks {
  readonly site: string;
  readonly manage: string;
  readonly unsubscribe: string;
}

export const pageOf = (site: string, { paper }: ChosenPaper) => `${site}/papers/${paper.page}`;

/** Where the list of the issue's papers is on the site. */
export const listOf = (site: string, { kind, day }: IssueContent) =>
  kind === "daily" ? `${site}/day/${day}` : `${site}/week/${day}`;

function paperText(chosen: ChosenPaper, number: number, site: string): string {
  const { paper } = chosen;
  const facts = factsOf(chosen);
  return [
    wrapped(paper.title, "   ", `${number}.`.padEnd(3)),
    ...(paper.authors === "" ? [] : [wrapped(paper.authors, "   ")]),
    ...(facts.length === 0 ? [] : [wrapped(facts.join(" · "), "   ")]),
    "",
    wrapped(paper.summary, "   "),
    "",
    `   ${pageOf(site, chosen)}`,
    ...(paper.code === null ? [] : [`   Code: ${paper.code}`]),
  ].join("\n");
}

/** The digest as plain text. */
export function digestText(
  content: IssueContent,
  choice: Choice,
  wishes: Wishes,
  links: DigestLinks,
): string {
  const { site, manage, unsubscribe } = links;
  const block = (some: readonly ChosenPaper[]) =>
    some.map((chosen, at) => paperText(chosen, at + 1, site)).join("\n\n\n");
  return [
    wrapped(issueTitle(content)),
    wrapped(orderWords(choice)),
    "",
    "",
    block(choice.papers),
    ...(choice.rising.length === 0 ? [] : ["", "", "RISING FROM EARLIER DAYS", "", block(choice.rising)]),
    "",
    "",
    "All papers of these days:",
    listOf(site, content),
    "",
    "-- ",
    wrapped(wishWords(content.kind, wishes, content.searches)),
    "",
    "Change what you get:",
    manage,
    "Unsubscribe:",
    unsubscribe,
    "",
  ].join("\n");
}
