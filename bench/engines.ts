import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Workload, workloadFolder } from "./workload.ts";

const run = promisify(execFile);

/** Side of the square matrices whose product gives the machine's peak. */
export const peakMatrixSize = 1024;

export const engineIds = ["concord", "pytorch", "jax-js", "tfjs"] as const;
export type EngineId = (typeof engineIds)[number];

/** How to start a process that speaks the protocol of engine-process.ts. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface RunSettings {
  readonly workload: Workload;
  /** Safetensors file with the workload's initial state. */
  readonly stateFile: string;
  readonly threads: number;
}

/** An engine that can run here, or why it cannot. */
export type Availability =
  | {
      readonly available: true;
      readonly command: (settings: RunSettings) => Command;
      readonly warning?: string;
    }
  | { readonly available: false; readonly reason: string };

function local(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

function script(path: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Command {
  const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
  return { file: process.execPath, args: [...flags, local(path), ...args], env };
}

/** An engine in TypeScript: one file in the folder of each workload, and the package that it needs. */
function inTypeScript(file: string, packageName: string): Availability {
  try {
    import.meta.resolve(packageName);
  } catch {
    return { available: false, reason: `the package ${packageName} is not installed` };
  }
  return {
    available: true,
    command: ({ workload, stateFile, threads }) => {
      const path = `./${workloadFolder(workload.id)}/${file}`;
      const count = String(threads);
      return script(path, [stateFile, count, workload.size], { CONCORD_THREADS: count });
    },
  };
}

const referenceBlas = "reference BLAS";

/** The first Python that has PyTorch; the default Python of a virtual environment comes before the system's. */
async function pytorch(): Promise<Availability> {
  for (const python of ["python3", "/usr/bin/python3", "python"]) {
    const found = await run(python, [local("./support/training.py")], { timeout: 120_000 }).catch(() => null);
    if (!found) continue;
    const { version, blas } = JSON.parse(found.stdout) as { readonly version: string; readonly blas: string };
    const command = ({ workload, stateFile, threads }: RunSettings): Command => {
      const program = local(`./${workloadFolder(workload.id)}/pytorch.py`);
      const count = String(threads);
      const env = { OMP_NUM_THREADS: count, OPENBLAS_NUM_THREADS: count, MKL_NUM_THREADS: count };
      return { file: python, args: [program, JSON.stringify(workload.model), stateFile, count], env };
    };
    if (blas !== referenceBlas) return { available: true, command };
    const warning =
      `PyTorch ${version} of ${python} computes with the ${referenceBlas}, which makes it about ten times slower ` +
      "than it can be. For a fair comparison install an optimised one, on Debian and Ubuntu the package libopenblas0-pthread.";
    return { available: true, command, warning };
  }
  return { available: false, reason: "no Python with PyTorch (tried python3, /usr/bin/python3, python)" };
}

/** Looks for an engine on this machine. */
export async function findEngine(id: EngineId): Promise<Availability> {
  switch (id) {
    case "concord":
      return inTypeScript("concord.ts", "@concord/nn");
    case "pytorch":
      return pytorch();
    case "jax-js":
      return inTypeScript("jax.ts", "@jax-js/jax");
    case "tfjs":
      return inTypeScript("tfjs.ts", "@tensorflow/tfjs-backend-wasm");
  }
}

/** The process whose steps are products of two square matrices, by Concord's engine. */
export function matmulPeakCommand(threads: number): Command {
  return script("./matmul-peak.ts", [], { CONCORD_THREADS: String(threads) });
}

/** Version of an installed package, from its package.json. */
export function packageVersion(name: string): string {
  const entry = fileURLToPath(import.meta.resolve(name));
  const folder = entry.slice(0, entry.lastIndexOf(name) + name.length);
  return (JSON.parse(readFileSync(`${folder}/package.json`, "utf8")) as { version: string }).version;
}
