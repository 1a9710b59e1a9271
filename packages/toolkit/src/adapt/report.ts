import type { Diagnosis } from "@concord/align";
import { element, markup, type TreeNode } from "@concord/plots";
import { diagnose } from "../diagnose/index.ts";
import { renderReport } from "../report/index.ts";
import type { Comparison, Directions } from "./evaluate.ts";
import type { Vectors } from "./model.ts";
import { type AdaptRecord, intervalText, metricText } from "./record.ts";

/** Fewer rows are not diagnosed. */
const LEAST_ROWS = 20;

function comparisonText({ label, before, after, change }: Comparison): string {
  const from = before ? `${metricText(before.value)} to ` : "";
  return `${label} ${from}${metricText(after.value)}${change ? `, change ${intervalText(change)}` : ""}`;
}

/** What was done, in paragraphs that go before the diagnosis. */
export function recordNotes(record: AdaptRecord): string[] {
  const { outcome, data, steps, train, recipe, comparisons, looks, settings, seconds, features, seed } =
    record;
  const { split } = data;
  const encoders = record.towers.map(({ name, encoder, anchor, width }) => {
    const what = encoder ? `${encoder.name} (${encoder.modality})` : "vectors computed before";
    return `${name}: ${what}, ${width} numbers${anchor ? ", stays as it is" : ""}`;
  });
  const [start, best] = [looks[0], looks.find(({ step }) => step === steps.best)];
  const curve =
    start && best && best !== start
      ? ` ${record.metric.label} on validation rows: ${metricText(start.value)} at step ${start.step}, ${metricText(best.value)} at step ${best.step}; all ${looks.length} values are in run.json.`
      : "";
  const { label, description, better } = record.metric;
  const meaning = `${label}: ${description.charAt(0).toLowerCase()}${description.slice(1)}${better === "higher" ? " 1 is perfect." : ""}`;
  const computed =
    features.computed + features.cached > 0
      ? `Features: ${features.computed} computed in ${seconds.embedding.toFixed(1)} s, ${features.cached} from the cache. `
      : "";
  return [
    `${outcome.text} ${meaning}`,
    `On ${split.heldOut} held-out rows, which played no part in training or in any choice (95 % intervals in brackets): ${comparisons.map(comparisonText).join("; ")}.`,
    `Recipe ${recipe}: ${record.summary}`,
    `Encoders: ${encoders.join("; ")}. Trained: ${train === "head" ? "a head on frozen encoders" : train}.`,
    `${data.rows} rows in ${data.groups} groups (rows that share an item or nearly agree stay together): ${split.train} to train, ${split.validation} to choose the best step, ${split.heldOut} held out.`,
    `${steps.done} of ${steps.planned} steps of ${steps.batchSize} rows${steps.stoppedEarly ? ", stopped because nothing better came" : ""}; kept: step ${steps.best}.${curve}`,
    `Settings: ${Object.entries({ ...record.options, learningRate: settings.learningRate, seed })
      .map(([name, value]) => `${name} ${String(value)}`)
      .join(", ")} (${settings.source}).`,
    `${computed}Training: ${seconds.computing.toFixed(1)} s, data wait ${seconds.dataWait.toFixed(1)} s, ${Math.round(seconds.samplesPerSecond)} samples a second.`,
    ...record.deviations.map((text) => `Differs from the paper: ${text}`),
    ...record.notes,
  ];
}

function footer({ environment, startedAt, request }: AdaptRecord): string {
  const { concord, node, runtime, processor } = environment;
  return `concord adapt, version ${concord}, ${node}, ${runtime}, ${processor}; begun ${startedAt}; request ${request.slice(0, 16)}.`;
}

/** A page without a diagnosis: for sets that are too small for one. */
function plainPage(title: string, record: AdaptRecord): string {
  const page: TreeNode = element(
    "main",
    {},
    element("h1", {}, title),
    ...recordNotes(record).map((note) => element("p", {}, note)),
    element("p", {}, `Fewer than ${LEAST_ROWS} held-out rows: too few for a diagnosis.`),
    element("footer", {}, footer(record)),
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"><meta name="color-scheme" content="light dark">
${markup(element("title", {}, title))}<style>main{max-width:44rem;margin:2rem auto;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif}</style></head>
<body>${markup(page)}</body></html>
`;
}

/**
 * The pages of a finished adaptation: for each pair of towers the diagnosis of the held-out vectors before and after,
 * what was done above it. The first one is `report.html`.
 */
export async function adaptReports(
  record: AdaptRecord,
  vectors: { readonly before: Vectors | null; readonly after: Vectors },
  directions: Directions,
): Promise<ReadonlyMap<string, string>> {
  const pages = new Map<string, string>();
  const seen = new Set<string>();
  for (const [a, b] of directions) {
    const pair = [a, b].sort().join("\0");
    if (seen.has(pair)) continue;
    seen.add(pair);
    const file = pages.size === 0 ? "report.html" : `report-${a}.html`;
    const what = a === b ? a : `${a} and ${b}`;
    const title = `${record.recipe} on ${what}: ${record.outcome.kind}`;
    const rows = vectors.after[a]?.shape[0] ?? 0;
    if (rows < LEAST_ROWS) {
      pages.set(file, plainPage(title, record));
      continue;
    }
    const diagnosis = async (sets: Vectors): Promise<Diagnosis> =>
      (
        await diagnose(sets[a] as NonNullable<Vectors[string]>, a === b ? null : sets[b], {
          names: a === b ? [a] : [a, b],
          seed: record.seed,
        })
      ).diagnosis;
    const after = await diagnosis(vectors.after);
    const notes = recordNotes(record);
    if (record.outcome.kept === "base")
      notes.splice(1, 0, "The columns 'after' are of what was trained, and was not kept.");
    pages.set(
      file,
      renderReport({
        title,
        ...(vectors.before ? { before: await diagnosis(vectors.before), after } : { before: after }),
        notes,
        footer: footer(record),
      }),
    );
  }
  return pages;
}
