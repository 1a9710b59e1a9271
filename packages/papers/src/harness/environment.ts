import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, platform, release, totalmem } from "node:os";
import { defaultDevice, defaultThreads, runtimeVersion } from "@concord/tensor/environment";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

/**
 * What a run was computed on and with, as shown beside its results.
 *
 * @param division  threads of a graph, and how many workers have as many
 */
export function describeEnvironment(
  device: string = defaultDevice(),
  division?: { readonly workers: number; readonly threads: number },
): Record<string, string> {
  return {
    concord: version,
    node: process.version,
    runtime: runtimeVersion(),
    device,
    system: `${platform()} ${release()} ${arch()}`,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: String(availableParallelism()),
    threads: String(division?.threads ?? defaultThreads()),
    ...(division && { workers: String(division.workers) }),
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
  };
}
