// Executes a run of the toy experiment in a process of its own, so that a test can kill it.
import { executeRun, RunStore } from "../../src/harness/index.ts";
import { toyExperiment } from "./toy-experiment.ts";

const [folder, id, workers] = process.argv.slice(2) as [string, string, string | undefined];
const experiment = toyExperiment({ stepMilliseconds: 1, checkpointEverySeconds: 0.02 });
const module = new URL("./toy-module.ts", import.meta.url);
const record = await executeRun(experiment, new RunStore(folder), id, {
  onEvent: () => process.stdout.write("."),
  ...(workers !== undefined && { parallel: { module, workers: Number(workers) } }),
});
process.exitCode = record.status === "done" ? 0 : 1;
