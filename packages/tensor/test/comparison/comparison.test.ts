import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applications } from "../support/families.ts";
import { NOT_COMPOSED, uses } from "../support/random-graph-uses.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
const python = ["python3", "/usr/bin/python3"].find(
  (command) => spawnSync(command, ["-c", "import torch"], { stdio: "ignore" }).status === 0,
);
if (python === undefined)
  console.warn("skipped: comparison of random programs with PyTorch, as no python3 here can import torch");

describe.skipIf(python === undefined)("random programs in PyTorch", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "concord-comparison-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const write = async (...options: string[]): Promise<string> => {
    const path = join(folder, "cases.jsonl");
    const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
    await promisify(execFile)(process.execPath, [...flags, `${here}write-cases.ts`, ...options, path]);
    return path;
  };
  const compare = (path: string): { readonly status: number | null; readonly output: string } => {
    const { status, stdout, stderr } = spawnSync(python as string, [`${here}compare.py`, path]);
    return { status, output: `${stdout}${stderr}` };
  };

  test("have the same values and gradients", async () => {
    const { status, output } = compare(await write("--count", "60", "--seed", "11"));
    expect(output).toMatch(/60 programs compared with PyTorch .*, 0 differ/);
    expect(status).toBe(0);
  });

  test.each(["values", "gradients"])("and a wrong number among the %s is found", async (which) => {
    const path = await write("--count", "1", "--seed", "3", "--only", "matmul,tanh");
    const stored = JSON.parse(await readFile(path, "utf8"));
    const [array] = Object.values(stored[which]) as [{ data: number[] }];
    array.data[0] = (array.data[0] as number) + 1e-3;
    await writeFile(path, JSON.stringify(stored));
    const { status, output } = compare(path);
    expect(output).toContain("1 differ");
    expect(status).toBe(1);
  });
});

test("every operation has its place in random programs, or a reason why not", () => {
  const placed = new Set([...Object.keys(uses), ...Object.keys(NOT_COMPOSED)]);
  expect(Object.keys(applications).filter((op) => !placed.has(op))).toEqual([]);
});
