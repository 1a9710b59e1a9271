import type { MarkedText } from "@concord/feed";
import { html } from "hono/html";
import { texMarkup } from "../daily/tex.ts";
import type { Html } from "../pages/layout.ts";

/** A text with its hits marked; what lies between them as everywhere. */
export function markedText(parts: readonly MarkedText[], options: { readonly links?: boolean } = {}): Html {
  return html`${parts.map(({ text, hit }) => (hit ? html`<mark>${text}</mark>` : texMarkup(text, options)))}`;
}
