import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { DType, NDArray } from "../../src/index.ts";
import { ndarray, toNumbers } from "../../src/index.ts";

interface Answer {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly results: readonly Record<string, NDArray>[];
}

/** Runs a model in a process of its own that has nothing but onnxruntime-node. */
export async function runFresh(
  model: Uint8Array,
  feeds: readonly Readonly<Record<string, NDArray>>[],
  beside: Readonly<Record<string, Uint8Array>> = {},
): Promise<Answer> {
  const folder = await mkdtemp(join(tmpdir(), "export-"));
  try {
    const path = join(folder, "model.onnx");
    await writeFile(path, model);
    for (const [name, bytes] of Object.entries(beside)) await writeFile(join(folder, name), bytes);
    const script = new URL("plain-runtime.mjs", import.meta.url).pathname;
    const child = spawn(process.execPath, [script, path], { stdio: ["pipe", "pipe", "pipe"] });
    const written = feeds.map((feed) =>
      Object.fromEntries(
        Object.entries(feed).map(([name, array]) => [
          name,
          { dtype: array.dtype, shape: array.shape, values: toNumbers(array) },
        ]),
      ),
    );
    child.stdin.end(JSON.stringify(written));
    const [answer, complaint] = await Promise.all([text(child.stdout), text(child.stderr)]);
    if (answer === "") throw new Error(`the model does not run: ${complaint}`);
    const { inputs, outputs, results } = JSON.parse(answer) as {
      inputs: string[];
      outputs: string[];
      results: Record<string, { dtype: DType; shape: number[]; values: number[] }>[];
    };
    const arrays = results.map((result) =>
      Object.fromEntries(
        Object.entries(result).map(([name, { values, ...rest }]) => [name, ndarray(values, rest)]),
      ),
    );
    return { inputs, outputs, results: arrays };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
