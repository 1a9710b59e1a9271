// Executes a run of the toy experiment in a process of its own, so that a test can kill it.
import { executeRun, RunStore } from "../../src/harness/index.ts";
import { toyExperiment } from "./toy-experiment.ts";

const [folder, id] = process.argv.slice(2) as [string, string];
const experiment = toyExperiment({ stepMilliseconds: 1, checkpointEverySeconds: 0.02 });
const record = await executeRun(experiment, new RunStore(folder), id, {
  onEvent: () => process.stdout.write("."),
});
process.exitCode = record.status === "done" ? 0 : 1;
