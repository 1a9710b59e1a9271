import { spawnSync } from "node:child_process";
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { additionsOf, filesOf } from "./support/document-code.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const python = ["python3", "/usr/bin/python3"].find(
  (command) => spawnSync(command, ["-c", "import torch"], { stdio: "ignore" }).status === 0,
);
if (python === undefined)
  console.warn(
    "skipped: what PyTorch computes for docs/adding-an-op.md, as no python3 here can import torch",
  );

describe("docs/adding-an-op.md, followed in a copy of the engine", () => {
  let copy = "";
  // The tests in the copy are not workers of this one.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_|TEST$)/.test(name)),
  );
  const inCopy = (path: string): string => join(copy, path);
  const execute = (command: string, args: readonly string[], cwd = copy): string => {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: "utf8" });
    if (status !== 0) throw new Error(`${[command, ...args].join(" ")}\n${stdout}${stderr}`);
    return stdout;
  };

  beforeAll(async () => {
    copy = await mkdtemp(join(tmpdir(), "concord-new-op-"));
    for (const path of [
      "packages/tensor/src",
      "packages/tensor/test",
      "packages/tensor/package.json",
      "package.json",
    ])
      await cp(join(root, path), inCopy(path), { recursive: true });
    await cp(join(root, "vitest.config.ts"), inCopy("vitest.config.ts"));
    await symlink(join(root, "node_modules"), inCopy("node_modules"));
    const page = await readFile(join(root, "docs/adding-an-op.md"), "utf8");
    for (const { path, content } of filesOf(page)) {
      await mkdir(dirname(inCopy(path)), { recursive: true });
      await writeFile(inCopy(path), content);
    }
    for (const { path, content } of additionsOf(page)) await appendFile(inCopy(path), content);
  });
  afterAll(() => rm(copy, { recursive: true }));

  test("the operation passes the tests of its family", async () => {
    const files = ["fixtures", "gradients"].map((name) => `packages/tensor/test/${name}.test.ts`);
    const args = ["node_modules/vitest/vitest.mjs", "run", ...files, "-t", "softShrink", "--reporter=json"];
    execute(process.execPath, [...args, "--outputFile=report.json"]);
    const report = JSON.parse(await readFile(inCopy("report.json"), "utf8"));
    expect(report.numFailedTests).toBe(0);
    // Fixtures in float32 and float64, exported and tested, first and second derivatives.
    expect(report.numPassedTests).toBe(5);
  });

  test.skipIf(python === undefined)("its fixtures are what PyTorch computes", async () => {
    const fixtures = inCopy("packages/tensor/test/fixtures");
    const shown = await readFile(join(fixtures, "soft-shrink.json"), "utf8");
    execute(python as string, ["soft-shrink.py"], fixtures);
    expect(await readFile(join(fixtures, "soft-shrink.json"), "utf8")).toBe(shown);
  });

  test.skipIf(python === undefined)("random programs use it, and PyTorch agrees", () => {
    const folder = inCopy("packages/tensor/test/comparison");
    const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
    const wanted = ["--count", "30", "--only", "softShrink,matmul,tanh", "cases.jsonl"];
    execute(process.execPath, [...flags, "write-cases.ts", ...wanted], folder);
    const summary = execute(python as string, ["compare.py", "cases.jsonl"], folder);
    expect(summary).toMatch(/softShrink +\d+/);
    expect(summary).toContain(" 0 differ");
  });
});
