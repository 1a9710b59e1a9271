import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { encodeSafetensors } from "@concord/tensor";
import { EngineProcess } from "./driver.ts";
import { findEngine } from "./engines.ts";
import { isKernel, readTrace, type TraceEvent, type TypedShape } from "./trace.ts";
import { loadWorkload, type WorkloadId, workloadIds } from "./workload.ts";

const usage = `node --conditions=source bench/profile.ts WORKLOAD [STEPS]

Where the time of Concord's step goes: ONNX Runtime's own profile of the fastest of STEPS (default 5) after two.
WORKLOAD is one of ${workloadIds.join(", ")}; CONCORD_THREADS sets the threads (default: the number of cores).`;

const WARMUP_STEPS = 2;
const SHOWN = 20;

interface Total {
  microseconds: number;
  calls: number;
}

function addTo(totals: Map<string, Total>, name: string, event: TraceEvent): void {
  const total = totals.get(name) ?? { microseconds: 0, calls: 0 };
  total.microseconds += event.dur;
  total.calls++;
  totals.set(name, total);
}

function shapes(types: readonly TypedShape[] | undefined): string {
  return (types ?? []).map((type) => `[${Object.values(type)[0]?.join(" ")}]`).join(" ");
}

function table(title: string, totals: ReadonlyMap<string, Total>, all: number): string[] {
  const rows = [...totals].sort(([, a], [, b]) => b.microseconds - a.microseconds).slice(0, SHOWN);
  return [
    `| ${title} | ms a step | share | calls a step |`,
    "| --- | ---: | ---: | ---: |",
    ...rows.map(
      ([name, { microseconds, calls }]) =>
        `| ${name} | ${(microseconds / 1000).toFixed(2)} | ${((100 * microseconds) / all).toFixed(1)} % | ${calls} |`,
    ),
    "",
  ];
}

async function profile(id: WorkloadId, steps: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "concord-profile-"));
  try {
    const threads = Number(process.env.CONCORD_THREADS) || availableParallelism();
    const workload = await loadWorkload(id, "full");
    const stateFile = join(folder, "state.safetensors");
    writeFileSync(stateFile, Buffer.concat(encodeSafetensors(workload.initialState())));
    const engine = await findEngine("concord");
    if (!engine.available) throw new Error(engine.reason);
    const command = engine.command({ workload, stateFile, threads });
    const env = { ...command.env, CONCORD_PROFILE: join(folder, "trace") };
    const child = new EngineProcess({ ...command, env });
    await child.steps(WARMUP_STEPS);
    await child.steps(steps);
    await child.close();
    const trace = readdirSync(folder).find((file) => file.startsWith("trace"));
    if (trace === undefined) throw new Error("the step wrote no profile");
    const events = readTrace(join(folder, trace));
    // The event of a run comes after those of its kernels.
    const ends = events.flatMap(({ name }, i) => (name === "model_run" ? [i] : [])).slice(-steps);
    const durations = ends.map((end) => events[end]?.dur ?? 0);
    const fastest = Math.min(...durations);
    const end = ends[durations.indexOf(fastest)] as number;
    const before = events.findLastIndex(({ name }, i) => i < end && name === "model_run");
    const kernels = events.slice(before + 1, end).filter(isKernel);
    const [byOperator, byShape] = [new Map<string, Total>(), new Map<string, Total>()];
    for (const event of kernels) {
      const {
        op_name: operator = "?",
        input_type_shape: inputs,
        output_type_shape: outputs,
      } = event.args ?? {};
      addTo(byOperator, operator, event);
      addTo(byShape, `${operator} ${shapes(inputs)} → ${shapes(outputs)}`, event);
    }
    const all = kernels.reduce((sum, { dur }) => sum + dur, 0);
    return [
      `# ${workload.title}: ${(fastest / 1000).toFixed(0)} ms a step, ${(all / 1000).toFixed(0)} ms of it in kernels`,
      "",
      `${workload.description}: ${(workload.flops / 1e9).toFixed(1)} GFLOP; ${threads} threads; ${kernels.length} kernels a step.`,
      "",
      ...table("operator", byOperator, all),
      ...table("operator and shapes", byShape, all),
    ].join("\n");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const [id, steps = "5"] = process.argv.slice(2);
if (!workloadIds.some((known) => known === id) || !(Number(steps) >= 1)) {
  console.error(usage);
  process.exitCode = 2;
} else {
  console.log(await profile(id as WorkloadId, Number(steps)));
}
