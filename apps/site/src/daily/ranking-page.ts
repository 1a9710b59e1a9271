import { EVENT_WEIGHTS, HALF_LIFE_MS, YOUNG_SHARE } from "@concord/feed";
import { html } from "hono/html";
import type { Html } from "../pages/layout.ts";
import { scrollingTable } from "../pages/tables.ts";
import { texMarkup } from "./tex.ts";

const DAY_MS = 86_400_000;
const left = (days: number) => `${Math.round(100 * 2 ** ((-days * DAY_MS) / HALF_LIFE_MS))}\u00a0%`;

const rows = [
  ["A vote", EVENT_WEIGHTS.upvote, "One a person; taking it back takes its weight away."],
  ["A bookmark", EVENT_WEIGHTS.bookmark, "Keeping a paper for later."],
  ["A first comment", EVENT_WEIGHTS.comment, "Once for each person and paper, however long the discussion."],
  [
    "A run to its verdict",
    EVENT_WEIGHTS.run,
    "Somebody tested the paper’s claim here. Once for each person and paper.",
  ],
] as const;

/** How the trending order is made: the formula, its numbers, and what keeps it honest. */
export function rankingPage(): Html {
  const days = HALF_LIFE_MS / DAY_MS;
  return html`<div class="column prose">
<div class="masthead"><h1>How trending works</h1>
<p class="lead">Every order of papers here can be computed by hand. Nothing is bought, and clicks do not count.</p></div>
<section aria-labelledby="formula"><h2 id="formula">The formula</h2>
<p>Each event of a paper adds a weight to its sum, and the sum loses half of itself every ${days} days:</p>
<p class="formula">${texMarkup(`$$v(t) = \\sum_i w_i \\, 2^{-(t - t_i)/H}, \\qquad H = ${days}\\ \\text{days}$$`)}</p>
<p>After one day an event keeps ${left(1)} of its weight, after a week ${left(7)}, after a month almost nothing. Papers are sorted by ${texMarkup("$K = \\log_2 v + t/H$")}: between events it stays as it is, because all sums shrink together. So an old paper that people discover again rises like a new one.</p></section>
<section aria-labelledby="weights"><h2 id="weights">What counts</h2>
${scrollingTable(
  "Weights of events",
  html`<table class="data"><caption class="visually-hidden">Weights of events</caption>
<thead><tr><th scope="col">Event</th><th scope="col">Weight</th><th scope="col" class="text">Remark</th></tr></thead>
<tbody>${rows.map(([event, weight, remark]) => html`<tr><th scope="row">${event}</th><td>${weight}</td><td class="text wrap">${remark}</td></tr>`)}</tbody></table>`,
)}</section>
<section aria-labelledby="honest"><h2 id="honest">What keeps it honest</h2>
<ul class="bullets">
<li>An account younger than a day counts ${YOUNG_SHARE} of the weight.</li>
<li>Votes for one paper from one block of addresses within an hour weigh once.</li>
<li>An event among few people says more than one among many: each weight is divided by ${texMarkup("$\\log_2(2 + n)$")}, where <i>n</i> is the number of other people who were active about the paper’s topic in the last seven days.</li>
<li>Events that are taken back leave the sum with what was left of them.</li>
</ul></section>
<section aria-labelledby="others"><h2 id="others">Other orders</h2>
<p>The newest papers come by the day on which they were listed. The papers of a day, a week or a month come by votes, then by <i>K</i>, then by their number. Search results say by which words and meaning they were found.</p></section>
</div>`;
}
