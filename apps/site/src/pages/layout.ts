import { html } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import { address } from "../daily/query.ts";
import type { AssetName, Assets } from "../http/assets.ts";
import { herePath } from "../people/forms.ts";
import { csrfField, type SiteContext } from "../site-env.ts";

/** Escaped HTML, as `html` makes it. */
export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

export interface Page {
  /** Without the name of the site. */
  readonly title: string;
  readonly description?: string;
  /** Which entry of the navigation is the current one. */
  readonly section: "papers" | "search" | "trending" | "catalogue" | "runs" | "about" | "none";
  /** The query of the list whose RSS, Atom and JSON feeds the page offers, e.g. "list=trending"; "" for the newest. */
  readonly feed?: string;
  /** Scripts beyond those of every page. */
  readonly scripts?: readonly AssetName[];
  readonly body: Html;
}

const navigation = [
  { section: "papers", href: "/", label: "Papers" },
  { section: "trending", href: "/trending", label: "Trending" },
  { section: "catalogue", href: "/catalogue", label: "Catalogue" },
  { section: "runs", href: "/runs", label: "Runs" },
  { section: "about", href: "/about", label: "About" },
] as const;

const shortcuts = [
  { keys: ["/"], text: "Search the papers" },
  { keys: ["j", "k"], text: "Next, previous paper" },
  { keys: ["o"], text: "Open the paper" },
  { keys: ["u"], text: "Vote for it, or take the vote back" },
  { keys: ["e"], text: "Unfold the abstract" },
  { keys: ["g", "then p, t, c, r, a"], text: "Go to papers, trending, catalogue, runs, about" },
  { keys: ["t"], text: "Light or dark" },
  { keys: ["?"], text: "This help" },
];

function mark(): Html {
  return html`<svg class="brand-mark" viewBox="0 0 32 20" width="32" height="20" aria-hidden="true"><circle cx="10" cy="10" r="8.5"/><circle cx="22" cy="10" r="8.5"/></svg>`;
}

function lens(size: number): Html {
  return html`<svg viewBox="0 0 16 16" width="${size}" height="${size}" aria-hidden="true"><circle cx="6.75" cy="6.75" r="4.75" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="m10.5 10.5 4 4" stroke="currentColor" stroke-width="1.5" stroke-linecap="round"/></svg>`;
}

function searchBox(): Html {
  return html`<form class="site-search" method="get" action="/search" role="search" aria-label="All papers">${lens(15)}<label for="site-q" class="visually-hidden">Search all papers</label><input id="site-q" name="q" type="search" maxlength="250" placeholder="Search papers" autocomplete="off" spellcheck="false" enterkeyhint="search"></form>`;
}

function feedLinks(query: string): Html {
  const kinds = [
    ["/rss", "application/rss+xml", "RSS"],
    ["/atom", "application/atom+xml", "Atom"],
    ["/feed.json", "application/feed+json", "JSON Feed"],
  ] as const;
  return html`${kinds.map(
    ([path, type, name]) =>
      html`<link rel="alternate" type="${type}" title="${name} of this list" href="${query === "" ? path : `${path}?${query}`}">\n`,
  )}`;
}

/** The way in for visitors; for others what is theirs. On pages about failures only links: those send no forms. */
function accountMenu(context: SiteContext): Html {
  const { account, failed } = context.var;
  if (account === null) {
    const here = context.req.method === "GET" && !failed ? herePath(context) : "/";
    const next = /^\/(?:sign-|forgot|link\/)/.test(here) || here === "/" ? undefined : here;
    return html`<a class="sign-in" href="${address("/sign-in", { next })}" rel="nofollow">Sign in</a>`;
  }
  const initial = [...account.displayName][0]?.toUpperCase() ?? "?";
  const face = html`<span class="face" aria-hidden="true">${initial}</span>`;
  if (failed)
    return html`<a class="account-link" href="/you/bookmarks">${face}<span class="visually-hidden">${account.displayName}</span></a>`;
  return html`<details class="account"><summary>${face}<span class="visually-hidden">Account of ${account.displayName}</span></summary>
<div class="account-box"><p class="account-name">${account.displayName}<span class="quiet small">@${account.name}</span></p>
<ul><li><a href="/you/bookmarks">Kept papers</a></li><li><a href="/recommended">More like these</a></li><li><a href="/you/collections">Collections</a></li><li><a href="/searches">Saved searches</a></li><li><a href="/you/comments">Comments</a></li><li><a href="/submit">Submit a paper</a></li><li><a href="/settings">Settings</a></li>${account.role === "member" ? "" : html`<li><a href="/moderation">Moderation</a></li>`}</ul>
<form method="post" action="/sign-out">${csrfField(context)}<button class="button button-quiet">Sign out</button></form></div></details>`;
}

/** The frame of every page: head, navigation, main part, footer, dialog of keyboard shortcuts. */
export function layout(assets: Assets, context: SiteContext, page: Page): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title} · Concord</title>
${page.description ? html`<meta name="description" content="${page.description}">` : ""}
${page.feed === undefined ? "" : feedLinks(page.feed)}
<link rel="icon" type="image/svg+xml" href="${assets.url("icon")}">
<link rel="stylesheet" href="${assets.url("style")}">
<script src="${assets.url("theme")}"></script>
<script src="${assets.url("main")}" defer></script>
${(page.scripts ?? []).map((name) => html`<script src="${assets.url(name)}" defer></script>`)}
</head>
<body>
<a class="skip-link" href="#main">Skip to content</a>
<header class="site-header">
<div class="bar">
<a class="brand" href="/">${mark()}<span>Concord</span></a>
<nav aria-label="Site">
${navigation.map(({ section, href, label }) =>
  section === page.section
    ? html`<a href="${href}" aria-current="page">${label}</a>`
    : html`<a href="${href}">${label}</a>`,
)}
</nav>
${page.section === "search" ? "" : searchBox()}
<div class="tools">
<a class="tool search-link" href="/search" aria-label="Search">${lens(18)}</a>
${accountMenu(context)}
<div class="tools-scripted needs-script">
<button type="button" class="tool" data-action="help" aria-label="Keyboard shortcuts" aria-haspopup="dialog"><span aria-hidden="true">?</span></button>
<button type="button" class="tool" data-action="theme" aria-label="Switch between light and dark"><svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><circle cx="8" cy="8" r="6.25" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor"/></svg></button>
</div>
</div>
</div>
</header>
<main id="main" tabindex="-1">
${page.body}
</main>
<footer class="site-footer">
<div class="bar">
<p>Concord finds the paper that makes your embeddings agree, and runs it on your data.</p>
<p><a href="/subscribe">By e-mail</a> · <a href="/rss">RSS</a></p>
<p class="needs-script">Press <kbd>?</kbd> for keyboard shortcuts.</p>
</div>
</footer>
<dialog id="shortcuts" aria-labelledby="shortcuts-title">
<form method="dialog">
<h2 id="shortcuts-title" class="panel-title">Keyboard shortcuts</h2>
<dl>
${shortcuts.map(
  ({ keys, text }) =>
    html`<div><dt>${keys.map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${text}</dd></div>`,
)}
</dl>
<p class="field-check"><input type="checkbox" id="shortcuts-on" checked><label for="shortcuts-on">Single-key shortcuts are on</label></p>
<button class="button">Close</button>
</form>
</dialog>
</body>
</html>`;
}
