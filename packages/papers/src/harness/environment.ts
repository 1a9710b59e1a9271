import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, platform, release, totalmem } from "node:os";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

/** The engine's rule: environment variable CONCORD_THREADS, else all cores. */
function threads(): number {
  const wanted = Number(process.env.CONCORD_THREADS);
  return Number.isInteger(wanted) && wanted > 0 ? wanted : availableParallelism();
}

/** What a run was computed on and with, as shown beside its results. */
export function describeEnvironment(): Record<string, string> {
  return {
    concord: version,
    node: process.version,
    system: `${platform()} ${release()} ${arch()}`,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: String(availableParallelism()),
    threads: String(threads()),
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
  };
}
