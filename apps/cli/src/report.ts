import {
  figureSeeds,
  type LogRecord,
  LogTail,
  type RunRecord,
  type RunStore,
  readRunFigures,
} from "@concord/papers";
import { type ExperimentInfo, type RenderOptions, renderResults } from "./render/results.ts";
import { countText, durationText, paragraph, printable, timeText } from "./render/text.ts";
import { renderVerdicts, untestedClaims } from "./render/verdicts.ts";

const SHOWN_NOTES = 6;

export type Note = Pick<Extract<LogRecord, { kind: "note" }>, "level" | "message">;

/** The messages in a run's log, each once, warnings first, with how many units wrote it. */
export async function readNotes(store: RunStore, id: string): Promise<(Note & { readonly units: number })[]> {
  const { records } = await new LogTail(store.path(id, "log.jsonl")).read();
  const notes = new Map<string, Note & { units: number }>();
  for (const record of records) {
    if (record.kind !== "note") continue;
    const { level, message } = record;
    const key = JSON.stringify([level, message]);
    const known = notes.get(key);
    if (known) known.units++;
    else notes.set(key, { level, message, units: 1 });
  }
  return [...notes.values()].sort((a, b) => Number(b.level === "warning") - Number(a.level === "warning"));
}

function renderNotes(
  notes: Awaited<ReturnType<typeof readNotes>>,
  { columns, colours }: RenderOptions,
): string {
  const shown = notes.slice(0, SHOWN_NOTES).map(({ level, message, units }) => {
    const times = units > 1 ? ` (${countText(units, "time")})` : "";
    const text = paragraph(`${printable(message)}${times}`, columns, "  ");
    return level === "warning" ? colours.yellow(`! ${text.slice(2)}`) : text;
  });
  const more = notes.length - shown.length;
  if (more > 0) shown.push(`  ... and ${countText(more, "more note")} in log.jsonl.`);
  return [colours.bold("Notes"), ...shown].join("\n");
}

function environmentText(environment: Readonly<Record<string, string>>): string {
  return Object.entries(environment)
    .map(([name, value]) => `${name} ${printable(value)}`)
    .join(", ");
}

/** What the arms left to be drawn, and where it is; empty when they left nothing. */
async function figuresText(store: RunStore, run: RunRecord): Promise<string> {
  const seeds = await figureSeeds(store, run);
  const [seed] = seeds;
  if (seed === undefined) return "";
  const arms = await readRunFigures(store, run, seed);
  const titles = new Set(arms.flatMap(({ figures }) => figures.map(({ title }) => printable(title))));
  if (titles.size === 0) return "";
  return `${[...titles].join("; ")} (drawn on the run's page; data in units/seed-${seed}/ARM/figures)`;
}

/** Facts about a run, a label and a value a line. */
function renderFacts(
  run: RunRecord,
  folder: string,
  figures: string,
  { columns, colours }: RenderOptions,
): string {
  const done = run.units.filter(({ status }) => status === "done").length;
  const inputs = Object.entries(run.inputs).map(([name, value]) =>
    value === true ? `--${name}` : `--${name} ${printable(String(value))}`,
  );
  const resumed = run.resumes === 0 ? "" : `, resumed ${countText(run.resumes, "time")}`;
  const facts: [label: string, value: string][] = [
    ["Seeds", run.seeds.join(", ")],
    ["Inputs", inputs.join(" ")],
    ["Machine", environmentText(run.environment)],
    ["Created", timeText(run.createdAt)],
    [
      "Time",
      `${durationText(run.seconds)} of computing, ${done} of ${countText(run.units.length, "unit")}${resumed}`,
    ],
    ["Figures", figures],
    ["Folder", folder],
  ];
  const width = Math.max(...facts.map(([label]) => label.length)) + 2;
  return facts
    .filter(([, value]) => value !== "")
    .map(([label, value]) => {
      const indent = " ".repeat(width);
      // A path that is broken over lines can not be copied.
      const text = label === "Folder" ? value : paragraph(value, columns, indent).slice(width);
      return `${colours.dim(label.padEnd(width))}${text}`;
    })
    .join("\n");
}

/** Everything a person wants to know of a run: results, claims, notes, and what it was computed with. */
export async function renderReport(
  store: RunStore,
  run: RunRecord,
  experiment: ExperimentInfo | null,
  options: RenderOptions,
): Promise<string> {
  const { colours } = options;
  const status = store.isInterrupted(run) ? "interrupted" : run.status;
  const parts = [`${colours.bold(run.paper)} · preset ${run.preset} · ${status}`];
  if (run.results.length > 0) parts.push(renderResults(run, experiment, options));
  const untested = untestedClaims(run, experiment);
  if (run.verdicts.length + untested.length > 0) {
    parts.push(`${colours.bold("Claims")}\n${renderVerdicts(run, experiment, options)}`);
  }
  // The log says it as well, for those who read only that.
  const shown = untested.map(({ claim }) => `Claim '${claim.id}' was not tested`);
  const notes = (await readNotes(store, run.id)).filter(
    ({ message }) => !shown.some((start) => message.startsWith(start)),
  );
  if (notes.length > 0) parts.push(renderNotes(notes, options));
  if (run.error !== undefined) parts.push(colours.red(`Failed: ${printable(run.error)}`));
  parts.push(renderFacts(run, store.path(run.id), await figuresText(store, run), options));
  return parts.join("\n\n");
}
