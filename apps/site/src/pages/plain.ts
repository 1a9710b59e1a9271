import { html } from "hono/html";
import type { Html } from "./layout.ts";

/** An answer that is only words: not found, refused, failed. */
export function messagePage(title: string, message: string): Html {
  return html`<div class="column"><div class="masthead"><h1>${title}</h1><p class="lead">${message}</p></div>
<ul class="link-row"><li><a class="button button-quiet" href="/">All papers</a></li><li><a class="button button-quiet" href="/search">Search</a></li><li><a class="button button-quiet" href="/catalogue">Catalogue</a></li><li><a class="button button-quiet" href="/runs">Runs</a></li></ul></div>`;
}

/** What this site is and how verdicts are made. */
export function aboutPage(): Html {
  return html`<div class="column prose">
<div class="masthead"><h1>About</h1>
<p class="lead">Concord is a Daily Papers site in which papers can be run, on an engine that trains at native speed from TypeScript.</p></div>
<section aria-labelledby="what"><h2 id="what">What a run is</h2>
<p>A paper that <em>runs here</em> has an experiment: arms (the untouched start, the baseline, the method, and ablations that lack one component), metrics with exact definitions, and claims. A run trains every arm for every seed. The arms of a seed share the data, the start and the order of batches, so that their difference is the method's and not luck's.</p>
<p>There are three sizes. <em>Smoke</em> shows in seconds that everything works. <em>Default</em> takes minutes and is enough to judge the claims on a small scale. <em>Paper</em> is the full size.</p></section>
<section aria-labelledby="verdicts"><h2 id="verdicts">How verdicts are made</h2>
<p>A claim says that one arm changes one metric against another arm by at least a margin. The margin is part of the experiment and is fixed before any run. For every seed the change is computed, counted positive in the claimed direction; over seeds follows its mean with the 95 % interval of Student's t.</p>
<dl class="definitions">
<div><dt>Reproduced</dt><dd>The whole interval lies at or beyond the margin.</dd></div>
<div><dt>Not reproduced</dt><dd>The whole interval lies short of the margin.</dd></div>
<div><dt>Inconclusive</dt><dd>The margin lies inside the interval, or a single seed gives no interval. More seeds narrow it.</dd></div>
</dl>
<p>A negative margin states that something does not suffer: how much worse still counts as no harm. A verdict of <em>not reproduced</em> speaks of the experiment here, with its data and its size, not of the paper alone.</p></section>
<section aria-labelledby="figures"><h2 id="figures">Published figures</h2>
<p>Tables marked <em>not confirmed</em> were read in a second source and not in the paper itself. They come from larger models and other data than a run here: what can be compared is the direction of a change and the order of the arms.</p></section>
<section aria-labelledby="own"><h2 id="own">Your own data</h2>
<p>Files are read only by the <code>concord</code> command in a terminal, never through these pages. The page of a paper shows the command.</p></section>
</div>`;
}
