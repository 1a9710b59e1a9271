import { commonFrame, mapMark, mapPanel, markup, pairedKinds } from "@concord/plots";
import { html, raw } from "hono/html";
import { numberText } from "../text.ts";
import type { Html } from "./layout.ts";
import type { RunView } from "./run.ts";

const percent = (share: number) => `${numberText(share * 100, 0)}\u00a0%`;

/** How many maps stand in one row where there is room: all of up to five, else rows of nearly equal length. */
function columnsFor(arms: number): number {
  if (arms <= 5) return Math.max(arms, 3);
  return arms % 3 === 0 ? 3 : 4;
}

/** The embeddings of every arm side by side on common axes, one seed at a time. */
export function embeddingSection({ run, map, mapSeeds, experiment }: RunView): Html {
  if (!map) return html``;
  const arms = run.arms.filter((arm) => map.arms[arm]);
  const kinds = [...new Set(arms.flatMap((arm) => Object.keys(map.arms[arm] ?? {})))];
  const frame = commonFrame(map.arms);
  const paired = arms.some((arm) => pairedKinds(map.arms[arm] ?? {}));
  return html`<section aria-labelledby="map-title" data-map="/runs/${run.id}/maps/${map.seed}">
<h2 id="map-title">Embedding map</h2>
<p class="section-lead">The same points under every arm, on two principal axes common to all arms; they carry ${map.shares ? `${percent(map.shares[0])} and ${percent(map.shares[1])}` : percent(map.explained)} of the variance.</p>
<div class="map-bar">
<ul class="legend">${kinds.map((kind, index) => html`<li>${raw(markup(mapMark(index)))} ${kind}</li>`)}${paired ? html`<li class="quiet">a line joins the two points of a pair</li>` : ""}</ul>
${
  mapSeeds.length > 1
    ? html`<nav class="seed-choice" aria-label="Seed of the map">Seed ${mapSeeds.map(
        (seed) =>
          html`<a href="/runs/${run.id}?seed=${seed}#maps" data-seed ${seed === map.seed ? raw('aria-current="true"') : ""}>${seed}</a>`,
      )}</nav>`
    : ""
}
</div>
<div class="map-grid columns-${columnsFor(arms.length)}">${arms.map((arm) => {
    const label = experiment?.arms.find(({ id }) => id === arm)?.label ?? arm;
    return html`<figure class="map-figure" data-arm="${arm}"><figcaption>${label}<button type="button" class="save needs-script" data-save="${run.id} map ${arm} seed ${map.seed}">SVG<span class="visually-hidden"> of the map of ${label}</span></button></figcaption>${raw(markup(mapPanel(label, map.arms[arm] ?? {}, frame, kinds)))}</figure>`;
  })}</div>
</section>`;
}
