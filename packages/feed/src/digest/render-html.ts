import { countWords } from "../words.ts";
import type { Choice, ChosenPaper, IssueContent, Wishes } from "./issue.ts";
import { type DigestLinks, listOf, pageOf } from "./render-text.ts";
import { factsOf, issueTitle, orderWords, wishWords } from "./wording.ts";

const escaped = (text: string) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

const SANS = "-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const SERIF = "Charter,'Iowan Old Style',Georgia,'Times New Roman',serif";

/**
 * Colours of the site, inline for light, by class for dark. Neither pure white nor pure black: programs that invert
 * messages by themselves leave such colours readable.
 */
const styles = {
  page: `margin:0;padding:0;background-color:#fbfaf7;color:#1d2125;font-family:${SANS};-webkit-text-size-adjust:100%`,
  column: "max-width:560px;margin:0 auto;padding:32px 20px 40px",
  brand: "margin:0 0 20px;font-size:14px;line-height:20px;font-weight:600;color:#0b5f6b",
  title: `margin:0 0 8px;font-family:${SERIF};font-size:26px;line-height:32px;font-weight:600;color:#1d2125`,
  lead: "margin:0 0 8px;font-size:14px;line-height:21px;color:#535a61",
  section: `margin:36px 0 0;padding:20px 0 0;border-top:2px solid #1d2125;font-family:${SERIF};font-size:19px;line-height:25px;font-weight:600;color:#1d2125`,
  paper: "padding:22px 0 20px;border-bottom:1px solid #e3e0d8",
  heading: `margin:0;font-family:${SERIF};font-size:19px;line-height:25px;font-weight:600`,
  link: "color:#0b5f6b;text-decoration:none",
  authors: "margin:5px 0 0;font-size:14px;line-height:20px;color:#535a61",
  summary: "margin:9px 0 0;font-size:15px;line-height:23px;color:#1d2125",
  facts: "margin:9px 0 0;font-size:13px;line-height:19px;color:#535a61",
  small: "color:#0b5f6b;text-decoration:underline",
  foot: "margin:28px 0 0;font-size:13px;line-height:20px;color:#535a61",
} as const;

const dark = `:root{color-scheme:light dark;supported-color-schemes:light dark}
@media (prefers-color-scheme:dark){
.bg{background-color:#14171a!important}
.ink{color:#e6e8e9!important}
.soft{color:#a7b0b8!important}
.accent{color:#74cbd5!important}
.rule{border-color:#2d3339!important}
.strong-rule{border-color:#a7b0b8!important}
}
@media (max-width:480px){.column{padding-top:20px!important}.title{font-size:23px!important;line-height:29px!important}}
a:hover{text-decoration:underline!important}`;

function paperMarkup(chosen: ChosenPaper, site: string): string {
  const { paper } = chosen;
  const facts = factsOf(chosen).map(escaped);
  const of = escaped(paper.title);
  const link = (href: string | null, text: string) =>
    href === null
      ? []
      : [
          `<a class="accent" href="${escaped(href)}" style="${styles.small}" aria-label="${text} of ${of}">${text}</a>`,
        ];
  const row = [...facts, ...link(paper.pdf, "PDF"), ...link(paper.code, "Code")];
  return `<div class="rule" style="${styles.paper}">
<h2 style="${styles.heading}"><a class="accent" href="${escaped(pageOf(site, chosen))}" style="${styles.link}">${of}</a></h2>
${paper.authors === "" ? "" : `<p class="soft" style="${styles.authors}">${escaped(paper.authors)}</p>\n`}<p class="ink" style="${styles.summary}">${escaped(paper.summary)}</p>
${row.length === 0 ? "" : `<p class="soft" style="${styles.facts}">${row.join(" &#183; ")}</p>\n`}</div>`;
}

/** What mail programs show behind the subject: the next titles. */
function preheader(choice: Choice): string {
  const titles = choice.papers.slice(1, 5).map(({ paper }) => paper.title);
  return titles.length === 0 ? (choice.papers[0]?.paper.summary ?? "") : titles.join(" · ");
}

/**
 * The digest as HTML: headings, paragraphs and links with their styles inline, no tables, no images, nothing that is
 * loaded, nothing that reports that it was opened. Outlook for Windows, which knows no `max-width`, gets its own column.
 */
export function digestHtml(
  content: IssueContent,
  choice: Choice,
  wishes: Wishes,
  links: DigestLinks,
): string {
  const { site, manage, unsubscribe } = links;
  const title = escaped(issueTitle(content));
  const papers = (some: readonly ChosenPaper[]) => some.map((chosen) => paperMarkup(chosen, site)).join("\n");
  const link = (href: string, text: string) =>
    `<a class="accent" href="${escaped(href)}" style="${styles.small}">${text}</a>`;
  const more =
    choice.found > choice.papers.length
      ? `All ${escaped(countWords(choice.found, "paper"))} and more of these days`
      : "All papers of these days";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<meta name="format-detection" content="telephone=no,date=no,address=no,email=no">
<title>${title}</title>
<style>${dark}</style>
</head>
<body class="bg ink" style="${styles.page}">
<div style="display:none;max-height:0;overflow:hidden;mso-hide:all" aria-hidden="true">${escaped(preheader(choice))}${" &#847;".repeat(60)}</div>
<div class="bg" role="article" aria-label="${title}" style="background-color:#fbfaf7">
<!--[if mso]><table role="presentation" align="center" width="600"><tr><td><![endif]-->
<div class="column" style="${styles.column}">
<p class="accent" style="${styles.brand}"><a class="accent" href="${escaped(site)}/" style="${styles.link}">Daily Papers</a></p>
<h1 class="ink title" style="${styles.title}">${title}</h1>
<p class="soft" style="${styles.lead}">${escaped(orderWords(choice))} ${link(`${site}/about/ranking`, "How papers are ordered")}</p>
${papers(choice.papers)}
${choice.rising.length === 0 ? "" : `<p class="ink strong-rule" role="heading" aria-level="2" style="${styles.section}">Rising from earlier days</p>\n${papers(choice.rising)}\n`}<p style="${styles.foot}">${link(listOf(site, content), more)}</p>
<p class="soft" style="${styles.foot}">${escaped(wishWords(content.kind, wishes, content.searches))}<br>
${link(manage, "Change what you get")} &#183; ${link(unsubscribe, "Unsubscribe")}</p>
</div>
<!--[if mso]></td></tr></table><![endif]-->
</div>
</body>
</html>
`;
}
