import type { KeptMessage } from "./messages.ts";

const escaped = (text: string) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** The only styles of the pages; the policy lets in nothing else. */
export const STYLE = `:root{color-scheme:light dark;--paper:light-dark(#fbfaf7,#14171a);--surface:light-dark(#fff,#1b1f23);--ink:light-dark(#1d2125,#e6e8e9);--soft:light-dark(#535a61,#a7b0b8);--line:light-dark(#e3e0d8,#2d3339);--accent:light-dark(#0b5f6b,#74cbd5)}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1.5rem 1rem 3rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
h1{margin:0 0 1rem;font:600 1.5rem/1.25 Charter,Georgia,serif;overflow-wrap:anywhere}
a{color:var(--accent)}
ol{margin:0;padding:0;list-style:none}
li{padding:.7rem 0;border-bottom:1px solid var(--line)}
li a{display:block;font-weight:600;overflow-wrap:anywhere}
.soft,dt{color:var(--soft);font-size:.875rem}
dl{display:grid;grid-template-columns:minmax(6rem,max-content) 1fr;gap:.2rem 1rem;margin:0 0 1rem;font-size:.9375rem}
dd{margin:0;overflow-wrap:anywhere}
nav{display:flex;flex-wrap:wrap;gap:.5rem;margin:0 0 1rem}
nav a{padding:.3rem .9rem;border:1px solid var(--line);border-radius:6px;background:var(--surface);text-decoration:none}
nav a[aria-current]{border-color:var(--accent);font-weight:600}
iframe{display:block;width:100%;height:80vh;border:1px solid var(--line);border-radius:10px;background:#fff}
iframe.phone{max-width:390px}
pre{margin:0;padding:1rem;border:1px solid var(--line);border-radius:10px;background:var(--surface);font:.8125rem/1.5 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}`;

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark"><title>${escaped(title)}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css"></head>
<body>${body}</body></html>`;
}

const when = ({ email }: KeptMessage) => {
  const time = new Date(email.date ?? "");
  return Number.isNaN(time.getTime()) ? "" : `${time.toISOString().slice(0, 16).replace("T", " ")} UTC`;
};
const to = ({ email }: KeptMessage) => (email.to ?? []).map(({ address }) => address ?? "").join(", ");

export function listPage(messages: readonly KeptMessage[], folder: string): string {
  const rows = messages.map(
    (message) =>
      `<li><a href="/${escaped(message.id)}">${escaped(message.email.subject || "(without subject)")}</a><span class="soft">${escaped(to(message))} · ${escaped(when(message))} · ${Math.ceil(message.raw.length / 1000)} kB</span></li>`,
  );
  const none = `<p>No messages yet. A site without mail server keeps them in <code>${escaped(folder)}</code>.</p>`;
  return page(
    "Messages",
    `<main><h1>Messages</h1>${rows.length === 0 ? none : `<ol>${rows.join("")}</ol>`}</main>`,
  );
}

export const VIEWS = ["html", "phone", "text", "raw"] as const;
export type View = (typeof VIEWS)[number];

const viewNames: Readonly<Record<View, string>> = {
  html: "HTML",
  phone: "HTML, phone",
  text: "Text",
  raw: "Raw",
};
const SHOWN_HEADERS =
  /^(?:from|to|subject|date|message-id|list-.*|precedence|auto-submitted|feedback-id|reply-to)$/;

export function messagePage(message: KeptMessage, asked: View): string {
  const { id, email, raw } = message;
  const views = VIEWS.filter((view) => email.html !== undefined || view === "text" || view === "raw");
  const view = views.includes(asked) ? asked : "text";
  const headers = email.headers.filter(({ key }) => SHOWN_HEADERS.test(key));
  const body =
    view === "raw"
      ? `<pre>${escaped(raw.toString("latin1"))}</pre>`
      : view === "text"
        ? `<pre>${escaped(email.text ?? "")}</pre>`
        : `<iframe class="${view}" src="/${escaped(id)}/body" sandbox title="The message as HTML"></iframe>`;
  return page(
    email.subject ?? "Message",
    `<main><nav aria-label="All"><a href="/">All messages</a></nav><h1>${escaped(email.subject || "(without subject)")}</h1>
<dl>${headers.map(({ key, value }) => `<dt>${escaped(key)}</dt><dd>${escaped(value)}</dd>`).join("")}</dl>
<nav aria-label="Views">${views
      .map(
        (one) =>
          `<a href="/${escaped(id)}?view=${one}"${one === view ? ' aria-current="page"' : ""}>${viewNames[one]}</a>`,
      )
      .join("")}</nav>${body}</main>`,
  );
}

export function missingPage(): string {
  return page(
    "Not found",
    `<main><h1>There is no such message</h1><p><a href="/">All messages</a></p></main>`,
  );
}
