import type { PaperCard } from "@concord/papers";

const special: Readonly<Record<string, string>> = {
  "\\": "\\textbackslash{}",
  "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}",
};

function tex(text: string): string {
  return text.replace(/[\\~^]|[&%$#_{}]/g, (character) => special[character] ?? `\\${character}`);
}

const skipped = new Set([
  "a",
  "an",
  "the",
  "on",
  "of",
  "for",
  "in",
  "to",
  "with",
  "from",
  "and",
  "by",
  "towards",
]);

/** Family name of the first author, year and first telling word of the title: `yamaguchi2025post`. */
function citationKey(card: PaperCard): string {
  const ascii = (text: string) =>
    text
      .normalize("NFD")
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, "");
  const family =
    ascii(card.authors[0] ?? card.slug)
      .split(" ")
      .at(-1) ?? card.slug;
  const word = ascii(card.title)
    .split(/[ -]/)
    .find((part) => part.length > 0 && !skipped.has(part));
  return `${family}${card.published.slice(0, 4)}${word ?? ""}`;
}

/** A BibTeX entry for the arXiv version of a paper; names that the card does not know become `and others`. */
export function bibtex(card: PaperCard): string {
  const names = card.authors.map(tex);
  if (card.authorCount > names.length) names.push("others");
  const fields: readonly (readonly [string, string])[] = [
    ["title", `{${tex(card.title)}}`],
    ...(card.authors.length > 0 ? ([["author", names.join(" and ")]] as const) : []),
    ["year", card.published.slice(0, 4)],
    ["eprint", card.arxivId],
    ["archivePrefix", "arXiv"],
    ["url", `https://arxiv.org/abs/${card.arxivId}`],
    ...(card.venue ? ([["note", tex(card.venue)]] as const) : []),
  ];
  const width = Math.max(...fields.map(([name]) => name.length));
  const lines = fields.map(([name, value]) => `  ${name.padEnd(width)} = {${value}}`);
  return `@misc{${citationKey(card)},\n${lines.join(",\n")}\n}`;
}
