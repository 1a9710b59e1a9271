import { workerData } from "node:worker_threads";
import { serveRequests } from "../threads/serve.ts";
import type { BatchSource } from "./batch-source.ts";
import type { BatchSourceModule, WorkerSourceData, WorkerSourceRequest } from "./worker-source.ts";

const { module, options } = workerData as WorkerSourceData<unknown>;
let source: Promise<BatchSource<unknown>> | undefined;

async function createSource(): Promise<BatchSource<unknown>> {
  const loaded: Partial<BatchSourceModule<unknown, unknown>> = await import(module);
  if (typeof loaded.createBatchSource !== "function")
    throw new TypeError(`${module} does not export createBatchSource(options)`);
  return loaded.createBatchSource(options);
}

serveRequests(async (request: WorkerSourceRequest): Promise<unknown> => {
  source ??= createSource();
  const { stepsPerEpoch, batch } = await source;
  return request.kind === "steps" ? stepsPerEpoch : batch(request.step);
});
