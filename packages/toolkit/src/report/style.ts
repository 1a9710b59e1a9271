/** The style of a report: no file besides it, light and dark, on paper as well. */
export const REPORT_STYLE = `
:root {
  color-scheme: light dark;
  --sans: ui-sans-serif, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif;
  --serif: ui-serif, Charter, "Iowan Old Style", "Source Serif 4", "Noto Serif", "Liberation Serif", Georgia, serif;
  --paper: light-dark(#fbfaf7, #14171a);
  --surface: light-dark(#ffffff, #1b1f23);
  --ink: light-dark(#1d2125, #e6e8e9);
  --ink-soft: light-dark(#535a61, #a7b0b8);
  --line: light-dark(#e3e0d8, #2d3339);
  --line-strong: light-dark(#85898e, #78818a);
  --accent: light-dark(#0b5f6b, #74cbd5);
  --good: light-dark(#17633c, #7fd3a6);
  --good-soft: light-dark(#e2f1e8, #18311f);
  --bad: light-dark(#a0350f, #f4a583);
  --bad-soft: light-dark(#fbe9e2, #3a2017);
  --unsure: light-dark(#665008, #e2c66f);
  --unsure-soft: light-dark(#f7efd6, #332b12);
  --series-0: light-dark(#0d62a8, #69aef0);
  --series-1: light-dark(#c2480f, #f2925c);
  --series-2: light-dark(#0f8266, #4ecba8);
  --series-3: light-dark(#a3408f, #dd8fce);
}
*, *::before, *::after { box-sizing: border-box; }
body {
  margin: 0 auto;
  max-width: 62rem;
  padding: 2.25rem 1.25rem 3.5rem;
  background: var(--paper);
  color: var(--ink);
  font: 1rem / 1.6 var(--sans);
}
h1, h2, h3, p, ul, ol, dl, dd, figure, table { margin: 0; }
ul, ol { padding: 0; list-style: none; }
h1 { font: 600 1.9rem / 1.2 var(--serif); }
h2 { margin-top: 3rem; font: 600 1.4rem / 1.25 var(--serif); }
h3 { font-size: 1.0625rem; line-height: 1.35; }
h1, h2, h3 { text-wrap: balance; }
p { max-width: 46rem; text-wrap: pretty; }
a { color: var(--accent); text-underline-offset: 0.18em; }
.soft { color: var(--ink-soft); font-size: 0.875rem; }
.origin { margin-top: 0.35rem; }
.graded { display: flex; flex-wrap: wrap; gap: 0.25rem 0.5rem; align-items: baseline; }
.verdict {
  margin-top: 1.5rem;
  padding: 1.1rem 1.35rem;
  border-left: 5px solid var(--tone);
  border-radius: 0 8px 8px 0;
  background: var(--tone-soft);
}
.verdict p { font: 500 1.25rem / 1.45 var(--serif); }
.verdict .soft { margin-top: 0.5rem; font: 0.875rem / 1.5 var(--sans); color: var(--ink); }
.serious { --tone: var(--bad); --tone-soft: var(--bad-soft); }
.mild { --tone: var(--unsure); --tone-soft: var(--unsure-soft); }
.none { --tone: var(--good); --tone-soft: var(--good-soft); }
.badge {
  display: inline-block;
  padding: 0.05rem 0.55rem;
  border-radius: 99px;
  background: var(--tone-soft);
  color: var(--tone);
  font-size: 0.8125rem;
  font-weight: 600;
  white-space: nowrap;
}
.finding {
  margin-top: 1.25rem;
  padding: 1.1rem 1.35rem 1.2rem;
  border: 1px solid var(--line);
  border-left: 5px solid var(--tone);
  border-radius: 8px;
  background: var(--surface);
  break-inside: avoid;
}
.finding-head { display: flex; flex-wrap: wrap; gap: 0.35rem 0.75rem; align-items: baseline; }
.finding > p { margin-top: 0.6rem; }
.finding > p + .finding-head { margin-top: 1rem; }
.finding .meaning { color: var(--ink-soft); }
.finding dl { margin-top: 0.75rem; display: grid; grid-template-columns: 7.5rem 1fr; gap: 0.5rem 1rem; }
.finding dt { font-weight: 600; font-size: 0.875rem; line-height: 1.75; }
.finding dd { max-width: 40rem; }
.scroll { overflow-x: auto; }
table { margin-top: 0.9rem; border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
caption { padding-bottom: 0.4rem; text-align: left; color: var(--ink-soft); }
th, td { padding: 0.3rem 1.25rem 0.3rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { border-top: 0; color: var(--ink-soft); font-weight: 500; }
tbody th { font-weight: 400; }
td.number, th.number { text-align: right; white-space: nowrap; }
.papers { margin-top: 1rem; counter-reset: paper; }
.papers > li { position: relative; margin-top: 1.1rem; padding-left: 2.25rem; counter-increment: paper; break-inside: avoid; }
.papers > li::before { content: counter(paper); position: absolute; left: 0; font: 600 1.25rem / 1.3 var(--serif); color: var(--ink-soft); }
.papers ul { margin-top: 0.2rem; }
.papers ul li { max-width: 44rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 2rem 2.25rem; margin-top: 1.25rem; }
figure { break-inside: avoid; }
figcaption h3 { margin-bottom: 0.2rem; }
figcaption p { margin-bottom: 0.5rem; color: var(--ink-soft); font-size: 0.875rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem; }
.panel-name { font-size: 0.875rem; font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1.25rem; margin-bottom: 0.4rem; font-size: 0.875rem; }
.legend li { display: inline-flex; align-items: center; gap: 0.45rem; }
.key { flex: none; width: 1.1rem; height: 0.7rem; border: 2px solid var(--series); border-radius: 2px; }
.key-1 { border-style: dashed; }
.chart { display: block; width: 100%; height: auto; font: 11px var(--sans); font-variant-numeric: tabular-nums; fill: none; overflow: visible; }
.chart text { fill: var(--ink-soft); }
.chart .row-label, .chart .row-value { fill: var(--ink); font-size: 12px; }
.chart .grid { stroke: var(--line); }
.chart .base, .chart .tick { stroke: var(--line-strong); }
.series-0, .key-0 { --series: var(--series-0); }
.series-1, .key-1 { --series: var(--series-1); }
.series-2, .key-2 { --series: var(--series-2); }
.series-3, .key-3 { --series: var(--series-3); }
.series { stroke: var(--series); stroke-width: 2; stroke-linejoin: round; }
.histogram { stroke: var(--series); stroke-width: 1.5; fill: var(--series); fill-opacity: 0.2; }
.histogram.outline-1 { stroke-dasharray: 4 2.5; }
.bar { fill: var(--series-0); fill-opacity: 0.85; }
.chart .interval { stroke: var(--series); stroke-width: 2.5; stroke-linecap: round; }
.estimate { fill: var(--series); }
.map-panel { border: 1px solid var(--line); border-radius: 4px; background: var(--surface); overflow: hidden; }
.pair { stroke: var(--ink-soft); stroke-width: 0.6; }
.mark { fill: none; stroke-linecap: round; }
.mark-0 { stroke: var(--series-0); stroke-width: 4.2; stroke-opacity: 0.85; }
.mark-1 { stroke: var(--series-1); stroke-width: 1.4; }
.mark-2 { stroke: var(--series-2); stroke-width: 1.3; }
.mark-3 { stroke: var(--series-3); stroke-width: 1.3; }
.swatch { flex: none; overflow: visible; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); }
footer p + p { margin-top: 0.5rem; }
@media (width < 40rem) {
  .finding dl { grid-template-columns: 1fr; gap: 0.1rem; }
  .finding dd { margin-bottom: 0.5rem; }
}
@media print {
  :root { color-scheme: light; }
  body { max-width: none; padding: 0; background: none; font-size: 10.5pt; }
  .plots { grid-template-columns: 1fr 1fr; }
  h2 { break-after: avoid; }
  .badge, .verdict { print-color-adjust: exact; }
}
`;
