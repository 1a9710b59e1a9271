import { spawnSync } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runtime } from "../src/runtime/node.ts";
import { trainings } from "./browser/trainings.ts";
import { mistakenKernels } from "./browser/webgpu-in-node.ts";

const script = fileURLToPath(new URL("browser/webgpu-in-node.ts", import.meta.url));
const WEBGPU_MS = 180_000;

interface Reply {
  readonly missing?: string;
  readonly description: string;
  readonly losses: readonly number[];
  readonly results: readonly (readonly number[])[];
}

/** Chromium brings Vulkan in software along. */
function softwareVulkan(): Record<string, string> | undefined {
  const chromium = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
  const folders = [...(existsSync(chromium) ? [dirname(realpathSync(chromium))] : []), "/usr/lib/chromium"];
  const folder = folders.find((path) => existsSync(join(path, "vk_swiftshader_icd.json")));
  return folder === undefined
    ? undefined
    : { LD_LIBRARY_PATH: folder, VK_ICD_FILENAMES: join(folder, "vk_swiftshader_icd.json") };
}

function compute(extra: Record<string, string> = {}): Reply {
  const args = ["--conditions=source", "--disable-warning=ExperimentalWarning", script];
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    env: { ...process.env, ...extra },
    encoding: "utf8",
    timeout: WEBGPU_MS,
  });
  const line = stdout.split("\n").find((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`no answer: ${stderr}`);
  return JSON.parse(line) as Reply;
}

function expectClose(found: readonly number[], wanted: readonly number[], tolerance: number): void {
  expect(found).toHaveLength(wanted.length);
  const worst = Math.max(...found.map((value, i) => Math.abs(value - (wanted[i] as number))));
  expect(worst).toBeLessThan(tolerance);
}

test("WebGPU in Node gives the results of the CPU, or says why it does not start", {
  timeout: WEBGPU_MS,
}, async ({ skip }) => {
  let reply = compute();
  if (reply.missing !== undefined) {
    expect(reply.missing).toMatch(/^device 'webgpu' cannot start: .+\. .* on the CPU\.$/);
    const vulkan = softwareVulkan();
    if (vulkan) reply = compute(vulkan);
  }
  if (reply.missing !== undefined) {
    skip(`WebGPU was not tested: ${reply.missing}`);
    return;
  }
  expect(reply.description).toMatch(/^onnxruntime-node [\d.]+ webgpu$/);
  expectClose(reply.losses, await trainings.smallCnn(runtime), 1e-4);
  const wanted = await mistakenKernels(runtime);
  for (const [i, values] of wanted.entries()) expectClose(reply.results[i] ?? [], values, 1e-4);
});
