import { readFileSync } from "node:fs";
import { openRuntime, parseDevice, type Runtime } from "@concord/tensor";
import { defaultDevice } from "@concord/tensor/environment";
import { type Context, coloursFor, columnsOf } from "../context.ts";
import { probeDevices } from "../doctor/devices.ts";
import { describeMachine } from "../doctor/machine.ts";
import type { DoctorReport } from "../doctor/report.ts";
import { type Finding, selfTest } from "../doctor/self-test.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { renderDoctor } from "../render/doctor.ts";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

/** Seconds for each figure of speed; there are three or four. */
const SECONDS = { full: 2, quick: 0.1 };

export interface DoctorOptions {
  readonly device?: string | undefined;
  readonly quick?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** One line that says what is being done: rewritten on a terminal, one after another elsewhere. */
function progress({ stderr, env }: Context, silent: boolean): { show(text: string): void; end(): void } {
  const colours = coloursFor(stderr, env);
  const clear = "\r\u001b[K";
  return {
    show(text) {
      if (silent) return;
      const line = colours.dim(`Testing: ${text} …`);
      stderr.write(stderr.isTTY === true ? `${clear}${line}` : `${line}\n`);
    },
    end() {
      if (!silent && stderr.isTTY === true) stderr.write(clear);
    },
  };
}

function chooseDevice(wanted: string | undefined): ReturnType<typeof defaultDevice> {
  try {
    return wanted === undefined ? defaultDevice() : parseDevice(wanted, "--device");
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

async function examine(context: Context, options: DoctorOptions): Promise<DoctorReport> {
  const device = chooseDevice(options.device);
  const machine = describeMachine(context.env);
  const { show, end } = progress(context, options.json === true);
  const problems: string[] = [];
  let findings: readonly Finding[] = [];
  let blockedChannels: number | null = null;
  show("devices");
  const devices = await probeDevices();
  try {
    const runtime: Runtime = await openRuntime({ device });
    blockedChannels = runtime.target.blockedConv?.block ?? null;
    findings = await selfTest(runtime, {
      secondsEach: options.quick ? SECONDS.quick : SECONDS.full,
      threads: machine.threads,
      onStart: show,
    });
    problems.push(...findings.filter(({ ok }) => ok === false).map(({ label, text }) => `${label}: ${text}`));
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  } finally {
    end();
  }
  return { concord: version, machine, devices, device, blockedChannels, selfTest: findings, problems };
}

/** Shows what Concord runs on, and whether it computes right here. */
export async function runDoctor(context: Context, options: DoctorOptions): Promise<ExitCode> {
  const report = await examine(context, options);
  const healthy = report.problems.length === 0;
  if (options.json) context.stdout.write(`${JSON.stringify({ healthy, ...report })}\n`);
  else {
    const style = { columns: columnsOf(context.stdout), colours: coloursFor(context.stdout, context.env) };
    context.stdout.write(`${renderDoctor(report, style)}\n`);
  }
  return healthy ? ExitCode.done : ExitCode.failed;
}
