import { existsSync, readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from "node:os";
import { delimiter, join } from "node:path";
import { defaultThreads, runtimeVersion } from "@concord/tensor/environment";

/** What Concord runs on, without computing anything. */
export interface Machine {
  readonly node: string;
  /** ONNX Runtime's package and version; null when it is not installed. */
  readonly runtime: string | null;
  readonly system: string;
  readonly processor: string;
  readonly cores: number;
  readonly threads: number;
  /** Widest vector instructions that the processor has for float32, where the system tells. */
  readonly vectors: string | null;
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
  /** Path of a Chromium for tests of pages; null when none was found. */
  readonly browser: string | null;
}

function vectorInstructions(): string | null {
  if (arch() === "arm64") return "NEON";
  if (platform() !== "linux") return null;
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "";
  const known = [
    ["avx512f", "AVX-512"],
    ["avx2", "AVX2"],
    ["avx", "AVX"],
  ] as const;
  return known.find(([flag]) => ` ${flags} `.includes(` ${flag} `))?.[1] ?? "SSE";
}

function installedRuntime(): string | null {
  try {
    return runtimeVersion();
  } catch {
    return null;
  }
}

function findBrowser(env: Readonly<Record<string, string | undefined>>): string | null {
  const names = ["chromium", "chromium-browser", "google-chrome", "chrome.exe", "msedge.exe"];
  const folders = (env.PATH ?? "").split(delimiter).filter(Boolean);
  const candidates = [
    ...(env.CHROMIUM_PATH ? [env.CHROMIUM_PATH] : []),
    ...folders.flatMap((folder) => names.map((name) => join(folder, name))),
    "/usr/bin/chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  ];
  return candidates.find((path) => existsSync(path)) ?? null;
}

export function describeMachine(env: Readonly<Record<string, string | undefined>>): Machine {
  return {
    node: process.version,
    runtime: installedRuntime(),
    system: `${platform()} ${release()} ${arch()}`,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    threads: defaultThreads(),
    vectors: vectorInstructions(),
    memoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
    browser: findBrowser(env),
  };
}
