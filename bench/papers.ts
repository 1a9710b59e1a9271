import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  createRun,
  executeRun,
  hasExperiment,
  loadCatalogue,
  loadExperiment,
  RunStore,
} from "@concord/papers";
import { openRuntime, type Runtime, type Session, setDefaultRuntime } from "@concord/tensor";
import { matmulTrainer, peakOf } from "./matmul.ts";
import { median } from "./statistics.ts";
import { isKernel, readTrace, type TraceEvent, type TypedShape } from "./trace.ts";

const usage = `node --conditions=source bench/papers.ts [PAPER ...] [--preset smoke] [--arm ARM]

What the training step of each paper's experiment costs: median time, wait for data, GFLOP of its products and
convolutions, and their share of the speed of a large matrix product. Runs one seed of the method (or of ARM) under
ONNX Runtime's profiler, which slows small graphs. One thread unless CONCORD_THREADS says otherwise, as units of a run have on two cores.`;

process.env.CONCORD_THREADS ??= "1";
/** Runs of a graph that make it a training step or the like, rather than an evaluation. */
const LEAST_RUNS = 12;
/** Of the first runs, which are slower. */
const WARMUP = 3;
/** A string holds no more. */
const MOST_TRACE_BYTES = 500_000_000;

const product = (sizes: readonly number[]) => sizes.reduce((all, size) => all * size, 1);
const shapeOf = (value: TypedShape | undefined): readonly number[] => Object.values(value ?? {})[0] ?? [];

/** Multiplications and additions of a product or convolution; 0 for other operators. */
function operations({ args }: TraceEvent): number {
  const [a, b] = (args?.input_type_shape ?? []).map(shapeOf);
  const out = shapeOf(args?.output_type_shape?.[0]);
  if (a === undefined || b === undefined) return 0;
  switch (args?.op_name) {
    case "MatMul":
    case "FusedMatMul":
    case "Gemm":
    case "FusedGemm": {
      // [m, k] and [k, n] give [m, n], whichever of them are transposed: k² = (mk) (kn) / (mn).
      const area = (shape: readonly number[]) => product(shape.slice(-2));
      const inner = Math.sqrt((area(a) * area(b)) / area(out));
      return 2 * product(out) * inner;
    }
    case "Conv":
    case "FusedConv":
      return (2 * product(out) * product(b)) / (b[0] ?? 1);
    case "ConvTranspose":
      return (2 * product(a) * product(b)) / (b[0] ?? 1);
    default:
      return 0;
  }
}

interface Graph {
  readonly runs: number;
  /** Milliseconds. */
  readonly median: number;
  readonly total: number;
  readonly gflop: number;
}

function readGraph(path: string): Graph | null {
  if (statSync(path).size > MOST_TRACE_BYTES)
    throw new Error("a trace is too long to be read: take --preset smoke");
  const times: number[] = [];
  let [flop, last] = [0, 0];
  for (const event of readTrace(path)) {
    if (event.name === "model_run") {
      times.push(event.dur / 1000);
      [last, flop] = [flop, 0];
    } else if (isKernel(event)) flop += operations(event);
  }
  if (times.length < LEAST_RUNS) return null;
  return {
    runs: times.length,
    median: median(times.slice(WARMUP)),
    total: times.reduce((all, time) => all + time, 0),
    gflop: last / 1e9,
  };
}

async function measure(slug: string, preset: string, wanted: string | undefined): Promise<string> {
  const experiment = await loadExperiment(slug);
  const arm = wanted ?? experiment.arms.find(({ role }) => role === "method")?.id ?? "";
  const folder = mkdtempSync(join(tmpdir(), "concord-papers-"));
  const real = await openRuntime({ device: "cpu" });
  let graphs = 0;
  // A trace is whole when its session is released; some graphs live as long as the process.
  const open = new Set<Session>();
  const profiled: Runtime = {
    ...real,
    async load(model, options) {
      const session = await real.load(model, {
        ...options,
        profile: join(folder, `trace-${String(graphs++).padStart(4, "0")}-`),
      });
      const watched: Session = {
        run: (feeds, fetches) => session.run(feeds, fetches),
        release() {
          open.delete(watched);
          return session.release();
        },
      };
      open.add(watched);
      return watched;
    },
  };
  try {
    const before = await peakOf(matmulTrainer());
    setDefaultRuntime(profiled);
    const store = new RunStore(join(folder, "runs"));
    const { id } = await createRun(experiment, store, { preset, seeds: [100], arms: [arm] }, { hold: true });
    let [data, compute] = [0, 0];
    const record = await executeRun(experiment, store, id, {
      onEvent(event) {
        if (event.kind !== "progress" || event.unit !== `seed-100/${arm}`) return;
        if (event.step < event.steps) return;
        data += event.dataSeconds ?? 0;
        compute += event.computeSeconds ?? 0;
      },
    });
    if (record.status !== "done") throw new Error(`${slug}: ${record.error}`);
    setDefaultRuntime(undefined);
    for (const session of [...open]) await session.release();
    const peak = (before + (await peakOf(matmulTrainer()))) / 2;
    const found = readdirSync(folder)
      .filter((file) => file.startsWith("trace-"))
      .flatMap((file) => readGraph(join(folder, file)) ?? [])
      .sort((a, b) => b.total - a.total)
      .slice(0, 3);
    const wait = data + compute > 0 ? `${((100 * data) / (data + compute)).toFixed(1)} %` : "-";
    const unit = record.units.find((each) => each.arm === arm)?.seconds ?? 0;
    return found
      .map(
        ({ runs, median: time, gflop }, i) =>
          `| ${i === 0 ? `${slug}, ${arm}` : ""} | ${runs} | ${time.toFixed(1)} | ${gflop.toFixed(2)} | ${((gflop / time) * 1000).toFixed(1)} | ${((100_000 * gflop) / time / peak).toFixed(0)} % | ${i === 0 ? `${wait} | ${unit.toFixed(0)}` : "|"} |`,
      )
      .join("\n");
  } finally {
    setDefaultRuntime(undefined);
    rmSync(folder, { recursive: true, force: true });
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    preset: { type: "string", default: "default" },
    arm: { type: "string" },
    rows: { type: "boolean" },
    help: { type: "boolean" },
  },
});
if (values.help) console.log(usage);
else {
  const slugs = [...positionals];
  if (slugs.length === 0) {
    for (const { slug } of await loadCatalogue()) if (await hasExperiment(slug)) slugs.push(slug);
  }
  if (!values.rows)
    console.log(
      "| paper, arm | runs | ms a run | GFLOP | GFLOP/s | of peak | data wait | unit, s |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    );
  const [only, ...others] = slugs;
  if (only !== undefined && others.length === 0) console.log(await measure(only, values.preset, values.arm));
  // A process for each: the engine keeps graphs for those that ask for the same ones, and traces end with their graphs.
  else
    for (const slug of slugs) {
      const own = process.argv.slice(2).filter((text) => !slugs.includes(text));
      const flags = [...process.execArgv, import.meta.filename, ...own, slug, "--rows"];
      const { status } = spawnSync(process.execPath, flags, { stdio: "inherit" });
      if (status !== 0) process.exitCode = 1;
    }
}
