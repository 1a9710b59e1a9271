import type { IngestReport } from "@concord/feed/intake";
import type { Colours } from "../context.ts";
import { countText, durationText, paragraph, printable, timeText } from "./text.ts";

const MAX_SHOWN = 10;

export interface IngestStyle {
  readonly columns: number;
  readonly colours: Colours;
  /** Whether nothing was changed in truth. */
  readonly dryRun: boolean;
}

/** What came of reading one source, in a few lines. */
export function renderIngest(
  name: string,
  report: IngestReport,
  { columns, colours, dryRun }: IngestStyle,
): string {
  const lines = [`${colours.bold(printable(name))} ${colours.dim(statusText(report, dryRun))}`];
  const indented = (text: string) => paragraph(printable(text), columns, "  ");
  if (report.error !== null) lines.push(colours.red(indented(report.error)));
  if (report.notBefore !== null) {
    lines.push(
      indented(
        `The server asked not to be called before ${timeText(new Date(report.notBefore).toISOString())}.`,
      ),
    );
  }
  const counts = countsText(report);
  if (counts !== "") lines.push(indented(counts));
  else if (report.status === "done") lines.push(indented("No records."));
  for (const note of report.notes) lines.push(colours.dim(indented(`Note: ${note}.`)));
  for (const { id, position, reason } of report.rejections.slice(0, MAX_SHOWN)) {
    const where = id === null || id === position ? position : `${position}, ${id}`;
    lines.push(paragraph(printable(`${where}: ${reason}`), columns, "    "));
  }
  const more = report.rejected - Math.min(MAX_SHOWN, report.rejections.length);
  if (more > 0)
    lines.push(`    ... and ${countText(more, "more record", "more records")}; --json names them`);
  return lines.join("\n");
}

function statusText({ status, seconds }: IngestReport, dryRun: boolean): string {
  const time = durationText(seconds);
  const trial = dryRun ? ", nothing written" : "";
  switch (status) {
    case "done":
      return `${time}${trial}`;
    case "unchanged":
      return `nothing new since last time${trial}`;
    case "waiting":
      return "not asked";
    case "stopped":
      return `stopped after ${time}${trial}; the same command goes on from there`;
    case "failed":
      return `failed after ${time}`;
  }
}

function countsText({ inserted, updated, unchanged, rejected, deleted }: IngestReport): string {
  const parts = [
    [inserted, "new"],
    [updated, "updated"],
    [unchanged, "unchanged"],
    [deleted, "withdrawn"],
    [rejected, "rejected"],
  ] as const;
  const shown = parts
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${count.toLocaleString("en-GB")} ${what}`);
  return shown.length === 0 ? "" : `${shown.join(", ")}.`;
}
