import type { AdaptPlan, AdaptProgress, AdaptRecord, Comparison } from "@concord/toolkit";
import type { Colours } from "../context.ts";
import { type Cell, renderTable } from "./table.ts";
import { countText, durationText, numberText, paragraph, printable, shellText, signedText } from "./text.ts";

interface Style {
  readonly columns: number;
  readonly colours: Colours;
}

const BAR_WIDTH = 16;

/** One line: `training ━━━── 43 % · mrr 0.712, best 0.731 · loss 1.23 · 9,120 samples/s · data wait 2 %`. */
export function adaptLine(
  progress: AdaptProgress,
  { columns, colours }: { readonly columns: number | null; readonly colours: Colours },
): string {
  const { phase, of, done, total, loss, metric, best, samplesPerSecond, dataSeconds, computeSeconds } =
    progress;
  const share = total > 0 ? Math.min(1, done / total) : null;
  const name = [phase, of].filter(Boolean).join(" ");
  const rest: string[] = [];
  if (phase === "reading" && done > 0) rest.push(countText(done, "row"));
  if (metric !== undefined && best !== undefined)
    rest.push(`metric ${numberText(metric, 3)}, best ${numberText(best, 3)}`);
  if (loss !== undefined) rest.push(`loss ${loss.toPrecision(3)}`);
  if (samplesPerSecond !== undefined)
    rest.push(`${Math.round(samplesPerSecond).toLocaleString("en-GB")} samples/s`);
  if (dataSeconds !== undefined && computeSeconds !== undefined && dataSeconds + computeSeconds > 0)
    rest.push(`data wait ${Math.round((100 * dataSeconds) / (dataSeconds + computeSeconds))} %`);
  const percent = share === null ? "" : `${Math.floor(100 * share)} %`;
  if (columns === null) return [[printable(name), percent].filter(Boolean).join(" "), ...rest].join(" · ");
  const full = Math.round((share ?? 0) * BAR_WIDTH);
  const head = `${colours.bold(printable(name))} ${colours.cyan("━".repeat(full))}${colours.dim("─".repeat(BAR_WIDTH - full))} ${percent.padStart(5)}`;
  const length = (parts: readonly string[]) =>
    name.length + BAR_WIDTH + 7 + parts.reduce((sum, part) => sum + part.length + 3, 0);
  while (rest.length > 0 && length(rest) > columns) rest.pop();
  return [head, ...rest].join(colours.dim(" · "));
}

type Interval = Comparison["after"];

function range({ value, low, high }: Interval): string {
  const text = numberText(value, 3);
  return low === null || high === null ? text : `${text} (${numberText(low, 3)} to ${numberText(high, 3)})`;
}

function changeCell({ change, better }: Comparison, colours: Colours): Cell | string {
  if (!change) return "";
  const { low, high } = change;
  const text = signedText(change.value, 3);
  if (low === null || high === null) return text;
  const full = `${text} (${signedText(low, 3)} to ${signedText(high, 3)})`;
  const sign = better === "higher" ? 1 : -1;
  if (Math.min(sign * low, sign * high) > 0) return { text: full, style: colours.green };
  return Math.max(sign * low, sign * high) < 0 ? { text: full, style: colours.red } : full;
}

function list(values: Readonly<Record<string, unknown>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(", ");
}

/** What came out, before and after, and what to do with it. */
export function renderAdaptation(record: AdaptRecord, out: string, { columns, colours }: Style): string {
  const { outcome, comparisons, data, steps, towers, metric, features, seconds } = record;
  const headline =
    outcome.kind === "improved"
      ? colours.green
      : outcome.kind === "not improved"
        ? colours.yellow
        : colours.bold;
  const table = renderTable(
    [
      { head: "Held-out" },
      { head: "before", align: "right" },
      { head: "after", align: "right" },
      { head: "change, 95 % interval", align: "right" },
    ],
    comparisons.map((one) => [
      one.metric === metric.id ? { text: one.label, style: colours.bold } : one.label,
      one.before ? range(one.before) : "-",
      range(one.after),
      changeCell(one, colours),
    ]),
    colours,
  );
  const early = steps.stoppedEarly ? `, stopped early (${steps.planned} planned)` : "";
  const lines = [
    paragraph(outcome.text, columns).split("\n").map(headline).join("\n"),
    "",
    table,
    "",
    paragraph(
      `${countText(data.rows, "row")} in ${countText(data.groups, "group")}: ${data.split.train} to train, ${data.split.validation} to choose the best step, ${data.split.heldOut} held out. ` +
        `${countText(steps.done, "step")} of ${steps.batchSize}${early}; the best was step ${steps.best}. ` +
        `Features: ${features.computed} computed, ${features.cached} from the cache${seconds.computing > 0 ? `; training ${durationText(seconds.dataWait + seconds.computing)}, ${Math.round(seconds.samplesPerSecond).toLocaleString("en-GB")} samples/s` : ""}.`,
      columns,
    ),
    "",
    ...towers.map(
      ({ exported, width }) => `  ${shellText(`${out}/${exported.file}`)}  ${width} -> ${exported.width}`,
    ),
    `  ${shellText(`${out}/report.html`)}  before and after, in pictures`,
    `  ${shellText(`${out}/example.mjs`)}, example.py  how to load them`,
  ];
  return lines.join("\n");
}

/** What `--dry-run` prints. */
export function renderPlan(plan: AdaptPlan, { columns, colours }: Style): string {
  const { split, settings } = plan;
  const skipped =
    plan.skipped.count === 0 ? "" : ` (${plan.skipped.count} skipped: ${list(plan.skipped.byReason)})`;
  const { source, ...numbers } = settings;
  return [
    colours.bold(`${plan.recipe}: what would be done`),
    paragraph(plan.summary, columns),
    "",
    renderTable(
      [
        { head: "Side" },
        { head: "Kind" },
        { head: "Width", align: "right" },
        { head: "Column" },
        { head: "What happens" },
        { head: "From" },
      ],
      plan.towers.map(({ name, modality, width, column, role, from }) => [
        name,
        modality,
        String(width),
        column ?? "-",
        role,
        printable(from),
      ]),
      colours,
    ),
    "",
    paragraph(
      `${countText(plan.rows, "row")}${skipped}: about ${split.train} to train, ${split.validation} to choose the best step by ${plan.metric}, ${split.heldOut} held out.`,
      columns,
    ),
    paragraph(`Training: about ${countText(plan.steps, "step")}; ${list(numbers)} (${source}).`, columns),
    paragraph(`Options: ${list(plan.options)}.`, columns),
    ...plan.deviations.map((text) => paragraph(`Differs from the paper: ${text}`, columns)),
    "",
    `Features are kept in ${shellText(plan.cache)}; results go to ${shellText(plan.out)}.`,
  ].join("\n");
}
