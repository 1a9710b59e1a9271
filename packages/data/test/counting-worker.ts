// Answers numbers after counting them; the count is shared with the calling thread.
import { workerData } from "node:worker_threads";
import { serveRequests } from "../src/threads/serve.ts";

const { count } = workerData as { readonly count: Int32Array };
let under = 0;

serveRequests(async (n: number): Promise<{ readonly n: number; readonly together: number }> => {
  under++;
  await new Promise((resolve) => setTimeout(resolve, 1));
  Atomics.add(count, 0, 1);
  Atomics.notify(count, 0);
  const together = under--;
  if (n < 0) throw new RangeError(`${n} is negative`);
  if (n === 999) process.exit(3);
  return { n, together };
});
