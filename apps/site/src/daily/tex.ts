import { isPlainText, type Piece, parseTex, plainTex } from "@concord/feed";
import { html, raw } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import katex from "katex";

const KEPT = 4000;

type Markup = HtmlEscapedString;

/**
 * A formula as MathML, which needs no style sheet, no font and no script, and which screen readers read. One that
 * KaTeX does not understand is shown as it was written.
 */
function formula(tex: string, display: boolean): Markup {
  try {
    const markup = katex.renderToString(tex, {
      output: "mathml",
      displayMode: display,
      throwOnError: true,
      strict: "ignore",
      // No command of the formula may fetch, link or style.
      trust: false,
      maxExpand: 100,
      maxSize: 10,
    });
    // A formula that is wider than the page moves in its own frame: with keys too.
    return raw(display ? markup.replace("<math ", '<math tabindex="0" ') : markup) as Markup;
  } catch {
    return html`<code class="tex">${tex}</code>` as Markup;
  }
}

function piecesMarkup(pieces: readonly Piece[], links: boolean): Markup[] {
  return pieces.map((piece) => {
    switch (piece.kind) {
      case "text":
        return html`${piece.text}` as Markup;
      case "math":
        return formula(piece.tex, piece.display);
      case "strong":
        return html`<strong>${piecesMarkup(piece.children, links)}</strong>` as Markup;
      case "emphasis":
        return html`<em>${piecesMarkup(piece.children, links)}</em>` as Markup;
      case "code":
        return html`<code>${piecesMarkup(piece.children, links)}</code>` as Markup;
      case "link": {
        const children = piecesMarkup(piece.children, false);
        if (!links) return html`${children}` as Markup;
        return html`<a href="${piece.href}" rel="external nofollow noopener ugc">${children}</a>` as Markup;
      }
    }
  });
}

/** Rendered texts, the one used longest ago forgotten first: the same papers are shown again and again. */
const rendered = new Map<string, Markup>();

/**
 * Title or abstract with its formulas, fonts and addresses.
 *
 * @param links  whether addresses may be links; false inside a link
 */
export function texMarkup(text: string, { links = true } = {}): Markup {
  if (isPlainText(text)) return html`${text}` as Markup;
  const key = `${links ? 1 : 0}${text}`;
  const known = rendered.get(key);
  const markup = known ?? (html`${piecesMarkup(parseTex(text), links)}` as Markup);
  rendered.delete(key);
  rendered.set(key, markup);
  if (rendered.size > KEPT) rendered.delete(rendered.keys().next().value as string);
  return markup;
}

export { plainTex };
