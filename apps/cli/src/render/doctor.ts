import type { Colours } from "../context.ts";
import type { DoctorReport } from "../doctor/report.ts";
import { countText, paragraph, printable } from "./text.ts";

const LABEL_WIDTH = 27;
const INDENT = "  ";

type Mark = "good" | "bad" | "absent" | "plain";

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

/** A marked line: label, then text that is wrapped under itself. */
function line(
  mark: Mark,
  label: string,
  text: string,
  { columns, colours }: { readonly columns: number; readonly colours: Colours },
): string {
  const marks = {
    good: colours.green("✓"),
    bad: colours.red("✗"),
    absent: colours.dim("–"),
    plain: colours.dim("·"),
  };
  const indent = " ".repeat(INDENT.length + 2 + LABEL_WIDTH);
  const wrapped = paragraph(printable(text), columns, indent).slice(indent.length);
  const styled = mark === "absent" ? colours.dim(wrapped) : mark === "bad" ? colours.red(wrapped) : wrapped;
  return `${INDENT}${marks[mark]} ${label.padEnd(LABEL_WIDTH)}${styled}`;
}

/** The report of `concord doctor` for people. */
export function renderDoctor(
  report: DoctorReport,
  style: { readonly columns: number; readonly colours: Colours },
): string {
  const { machine, devices, problems } = report;
  const { bold, red, green } = style.colours;
  const kernels = [
    machine.vectors,
    report.blockedChannels === null ? null : `convolutions in blocks of ${report.blockedChannels} channels`,
  ].filter((part) => part !== null);
  const facts = [
    line("plain", "Concord", `${report.concord} on Node ${machine.node.slice(1)}`, style),
    line(
      machine.runtime === null ? "bad" : "plain",
      "ONNX Runtime",
      machine.runtime ?? "onnxruntime-node is not installed; run `npm ci`",
      style,
    ),
    line("plain", "System", machine.system, style),
    line(
      "plain",
      "Processor",
      `${machine.processor}, ${countText(machine.cores, "core")}, ${countText(machine.threads, "thread")} used`,
      style,
    ),
    ...(kernels.length === 0 ? [] : [line("plain", "Kernels", kernels.join(", "), style)]),
    line(
      "plain",
      "Memory",
      `${gibibytes(machine.memoryBytes)}, ${gibibytes(machine.freeMemoryBytes)} free`,
      style,
    ),
    line(
      machine.browser === null ? "absent" : "plain",
      "Browser for page tests",
      machine.browser ?? "none found; CHROMIUM_PATH names one",
      style,
    ),
  ];
  const deviceLines = devices.map((status) => {
    const used = status.device === report.device ? " (used)" : "";
    if (status.available) return line("good", `${status.device}${used}`, "starts", style);
    return line(
      used ? "bad" : "absent",
      `${status.device}${used}`,
      `${status.reason}. ${status.advice}`,
      style,
    );
  });
  const tests = report.selfTest.map(({ label, text, ok }) =>
    line(ok === null ? "plain" : ok ? "good" : "bad", label, text, style),
  );
  const verdict =
    problems.length === 0
      ? green("Healthy.")
      : `${red("Not healthy:")}\n${problems.map((problem) => paragraph(printable(problem), style.columns, INDENT)).join("\n")}`;
  return [
    bold("This machine"),
    ...facts,
    "",
    bold("Devices"),
    ...deviceLines,
    ...(tests.length === 0 ? [] : ["", bold(`Self-test on ${report.device}`), ...tests]),
    "",
    verdict,
  ].join("\n");
}
