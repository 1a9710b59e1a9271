import { isLocalId, type PaperRecord } from "./record.ts";
import { type Piece, parseTex, plainTex } from "./tex.ts";

const special: Readonly<Record<string, string>> = {
  "\\": "\\textbackslash{}",
  "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}",
};

function escaped(text: string): string {
  return text.replace(/[\\~^]|[&%$#_{}]/g, (character) => special[character] ?? `\\${character}`);
}

const fontCommands = { strong: "textbf", emphasis: "emph", code: "texttt" } as const;

/** Text as TeX: formulas stay, everything else is escaped. */
function tex(text: string): string {
  const write = (pieces: readonly Piece[]): string =>
    pieces
      .map((piece) => {
        if (piece.kind === "text") return escaped(piece.text);
        if (piece.kind === "math") return `$${piece.tex}$`;
        const inner = write(piece.children);
        return piece.kind === "link" ? inner : `\\${fontCommands[piece.kind]}{${inner}}`;
      })
      .join("");
  return write(parseTex(text));
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
function citationKey(record: CitedPaper): string {
  const ascii = (text: string) =>
    plainTex(text)
      .normalize("NFD")
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, "");
  const family = ascii(record.authors[0]?.name ?? "")
    .split(" ")
    .at(-1);
  const word = ascii(record.title)
    .split(/[ -]/)
    .find((part) => part.length > 0 && !skipped.has(part));
  return `${family || "paper"}${record.published?.slice(0, 4) ?? ""}${word ?? ""}`;
}

export type CitedPaper = Pick<
  PaperRecord,
  | "id"
  | "title"
  | "authors"
  | "authorCount"
  | "published"
  | "journalRef"
  | "doi"
  | "links"
  | "primaryCategory"
>;

/**
 * A BibTeX entry for a paper; names that are not known become `and others`.
 *
 * @param venue  where it appeared, where that is known better than by `journalRef`
 */
export function bibtex(record: CitedPaper, venue = record.journalRef): string {
  const names = record.authors.map(({ name }) => tex(name));
  if (names.length > 0 && (record.authorCount ?? 0) > names.length) names.push("others");
  const onArxiv = !isLocalId(record.id);
  const url = record.links.abstract ?? (onArxiv ? `https://arxiv.org/abs/${record.id}` : undefined);
  const fields: readonly (readonly [name: string, value: string | null | undefined])[] = [
    ["title", `{${tex(record.title)}}`],
    ["author", names.join(" and ")],
    ["year", record.published?.slice(0, 4)],
    ["eprint", onArxiv ? record.id : null],
    ["archivePrefix", onArxiv ? "arXiv" : null],
    ["primaryClass", record.primaryCategory],
    ["doi", record.doi],
    ["url", url],
    ["note", venue && tex(venue)],
  ];
  const given = fields.filter(([, value]) => value);
  const width = Math.max(...given.map(([name]) => name.length));
  const lines = given.map(([name, value]) => `  ${name.padEnd(width)} = {${value}}`);
  return `@misc{${citationKey(record)},\n${lines.join(",\n")}\n}`;
}
