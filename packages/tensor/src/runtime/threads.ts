import { availableParallelism } from "node:os";

/** Threads that a graph uses unless told otherwise (environment variable CONCORD_THREADS, else all cores). */
export function defaultThreads(): number {
  const wanted = Number(process.env.CONCORD_THREADS);
  return Number.isInteger(wanted) && wanted > 0 ? wanted : availableParallelism();
}
