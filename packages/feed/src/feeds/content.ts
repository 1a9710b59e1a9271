import type { StoredPaper } from "../store/ports.ts";
import { plainTex } from "../tex.ts";

/** A list of papers as it is published. All addresses are absolute. */
export interface PublishedList {
  readonly title: string;
  readonly description: string;
  /** The page that shows the list. */
  readonly page: string;
  /** This document. */
  readonly self: string;
  /** The next document of the list (RFC 5005), null at its end. */
  readonly next: string | null;
  readonly icon: string;
  readonly papers: readonly StoredPaper[];
  /** Address of a paper's page. */
  readonly pageOf: (paper: StoredPaper) => string;
}

const xmlSpecial: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

/** Text for an XML document: escaped once, without the characters that XML 1.0 forbids. */
export function xmlText(text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, "")
    .replace(/[&<>"']/g, (character) => xmlSpecial[character] ?? character);
}

/** `<name attributes>text</name>` with everything escaped; nothing without a text. */
export function xmlElement(
  name: string,
  text: string | null | undefined,
  attributes: Readonly<Record<string, string>> = {},
): string {
  if (text === null || text === undefined || text === "") return "";
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${xmlText(value)}"`);
  return `<${name}${written.join("")}>${xmlText(text)}</${name}>`;
}

/** The moment under which readers sort a paper: the beginning of its day, or when it came in. */
export function momentOf(paper: StoredPaper): Date {
  return new Date(paper.day ? `${paper.day}T00:00:00Z` : paper.addedAt);
}

/** The newest moment of the list; 1970 for an empty one, so that the document stays the same. */
export function newestOf(papers: readonly StoredPaper[]): Date {
  return new Date(Math.max(0, ...papers.map((paper) => momentOf(paper).getTime())));
}

export function paperTitle(paper: StoredPaper): string {
  return plainTex(paper.title);
}

/** The abstract as HTML: a paragraph of escaped text, and the links. */
export function paperHtml(paper: StoredPaper): string {
  const links = [
    [paper.links.abstract, "arXiv"],
    [paper.links.pdf, "PDF"],
    [paper.links.code, "Code"],
    [paper.links.project, "Project"],
  ] as const;
  const anchors = links.flatMap(([href, label]) => (href ? [`<a href="${xmlText(href)}">${label}</a>`] : []));
  const line = anchors.length > 0 ? `<p>${anchors.join(" · ")}</p>` : "";
  return `<p>${xmlText(plainTex(paper.abstract))}</p>${line}`;
}

/** An identifier that stays when the host moves: the same paper is the same item in every list. */
export function paperTag(paper: StoredPaper): string {
  return `tag:concord,2026:paper/${paper.id}`;
}

/** arXiv categories, then topics. */
export function paperTerms({ categories, topics }: StoredPaper): readonly string[] {
  return [...new Set([...categories, ...topics])];
}
