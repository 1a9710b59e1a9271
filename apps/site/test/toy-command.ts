// Stands in for the `concord` command: executes a run of the toy experiment, as `run --resume ID --runs FOLDER`.
import { parseArgs } from "node:util";
import { executeRun, RunStore } from "@concord/papers";
import { toyExperiment } from "./toy-experiment.ts";

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: { resume: { type: "string" }, runs: { type: "string" }, json: { type: "boolean" } },
});
const cancelled = new AbortController();
process.once("SIGTERM", () => cancelled.abort());
const store = new RunStore(values.runs ?? "");
const record = await executeRun(toyExperiment, store, values.resume ?? "", { signal: cancelled.signal });
process.exitCode = record.status === "done" ? 0 : 1;
