import type { PaperRecord } from "@concord/feed";
import type { PaperCard, RunRecord, RunStatus, VerdictOutcome } from "@concord/papers";
import { html } from "hono/html";
import { countText, dayText, timeText } from "../text.ts";
import type { Html } from "./layout.ts";

export function dayElement(date: string): Html {
  return html`<time datetime="${date}">${dayText(date)}</time>`;
}

export function timeElement(iso: string): Html {
  return html`<time datetime="${iso}">${timeText(iso)}</time>`;
}

/** arXiv page, PDF and official code of a paper. */
export function paperLinks({ id, title, links }: PaperRecord): Html {
  const rel = "external noopener";
  const of = html`<span class="visually-hidden"> of ${title}</span>`;
  return html`<ul class="links">
${links.abstract ? html`<li><a href="${links.abstract}" rel="${rel}">arXiv<span class="visually-hidden"> ${id}</span></a></li>` : ""}
${links.pdf ? html`<li><a href="${links.pdf}" rel="${rel}">PDF${of}</a></li>` : ""}
${links.code ? html`<li><a href="${links.code}" rel="${rel}">Code${of}</a></li>` : ""}
</ul>`;
}

export function topicLinks(topics: readonly string[]): Html {
  return html`<ul class="topics" aria-label="Topics">${topics.map(
    (topic) => html`<li><a href="/?topic=${encodeURIComponent(topic)}">${topic}</a></li>`,
  )}</ul>`;
}

export function authorCount(card: PaperCard): string {
  return countText(card.authorCount, "author");
}

const statusTexts: Readonly<Record<RunStatus, string>> = {
  queued: "queued",
  running: "running",
  done: "done",
  failed: "failed",
  cancelled: "cancelled",
};

export function statusBadge(status: RunStatus): Html {
  return html`<span class="badge status-${status}">${statusTexts[status]}</span>`;
}

/** A form's sign and words; the sign repeats the outcome without colour. */
export function outcomeBadge(outcome: VerdictOutcome): Html {
  const sign = { reproduced: "\u2713", "not reproduced": "\u2717", inconclusive: "?" }[outcome];
  return html`<span class="badge outcome-${outcome.replace(" ", "-")}"><span aria-hidden="true">${sign}</span> ${outcome}</span>`;
}

/** How the verdicts of a run came out, e.g. `2 reproduced, 1 inconclusive`. */
export function outcomeCounts(run: RunRecord): Html {
  const outcomes = ["reproduced", "not reproduced", "inconclusive"] as const;
  const counts = outcomes.flatMap((outcome) => {
    const count = run.verdicts.filter((verdict) => verdict.outcome === outcome).length;
    return count > 0 ? [{ outcome, count }] : [];
  });
  if (counts.length === 0) return html`<span class="quiet">no verdict yet</span>`;
  return html`<ul class="outcomes">${counts.map(
    ({ outcome, count }) => html`<li class="outcome-${outcome.replace(" ", "-")}">${count} ${outcome}</li>`,
  )}</ul>`;
}
