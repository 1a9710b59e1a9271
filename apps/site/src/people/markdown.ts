import { createHash } from "node:crypto";
import { raw } from "hono/html";
import { Marked } from "marked";
import sanitizeHtml from "sanitize-html";
import type { Html } from "../pages/layout.ts";

const REL = "nofollow ugc noopener external";
const KEPT = 1000;

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** Tags in the text stay text, pictures become their description, headings do not shout. */
const marked = new Marked({
  gfm: true,
  breaks: true,
  async: false,
  renderer: {
    html: ({ text }) => escaped(text),
    image: ({ text }) => escaped(text),
    heading({ tokens }) {
      return `<p><strong>${this.parser.parseInline(tokens)}</strong></p>`;
    },
    checkbox: ({ checked }) => (checked ? "[x] " : "[ ] "),
  },
  tokenizer: { table: () => undefined },
});

const options: sanitizeHtml.IOptions = {
  allowedTags: ["p", "br", "strong", "em", "del", "code", "pre", "ul", "ol", "li", "blockquote", "a", "hr"],
  allowedAttributes: { a: ["href", "rel"], ol: ["start"] },
  allowedSchemes: ["http", "https", "mailto"],
  allowProtocolRelative: false,
  nestingLimit: 24,
  transformTags: {
    a: (tagName, { href = "" }) => ({
      tagName,
      // Only whole addresses: a link to a place within the site could pass for one of its own buttons.
      attribs: /^(?:https?:\/\/|mailto:)/i.test(href) ? { href, rel: REL } : ({} as sanitizeHtml.Attributes),
    }),
  },
};

/** A line with more marks of quotations and lists than this is text: the parser descends once for each. */
const DEEP = /^(?=[ \t]*(?:(?:>|[-*+]|\d{1,9}[.)])[ \t]*){9})/gm;

/** Parsing takes time that grows with the square of these: beyond, a comment is shown as it was written. */
const MOST_MARKS = 1500;
const MOST_LINES = 500;

const asWritten = (text: string) => `<p>${escaped(text).replaceAll("\n", "<br>")}</p>`;

function made(text: string): string {
  const marks = text.match(/[*_~[\]<>`!&|\\@]/g)?.length ?? 0;
  if (marks > MOST_MARKS || text.split("\n").length > MOST_LINES) return asWritten(text);
  try {
    return sanitizeHtml(marked.parse(text.replace(DEEP, "\\")) as string, options);
  } catch {
    // One comment must not take the page with it.
    return asWritten(text);
  }
}

const cache = new Map<string, string>();

/**
 * A comment's Markdown as HTML: emphasis, code, lists, quotations and links, nothing else. What the renderer makes goes
 * through an allow-list, so that a fault in one of the two is caught by the other.
 */
export function commentMarkup(text: string): Html {
  const key = createHash("sha256").update(text).digest("base64");
  let markup = cache.get(key);
  if (markup === undefined) {
    markup = made(text);
    if (cache.size >= KEPT) cache.delete(cache.keys().next().value ?? "");
    cache.set(key, markup);
  }
  return raw(markup);
}
