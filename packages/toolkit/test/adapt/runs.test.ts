import { execFile } from "node:child_process";
import { readdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, it } from "vitest";
import { type AdaptRequest, adapt } from "../../src/index.ts";
import { temporaryFolder } from "../support/tiny-encoders.ts";
import { pairedWorld } from "./worlds.ts";

const run = promisify(execFile);
const world = pairedWorld(300);
let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

function vectors(): AdaptRequest["towers"] {
  return { image: { vectors: world.a }, text: { vectors: world.b } };
}

it("a training that was stopped goes on to the same bits", async () => {
  const request = (out: string): AdaptRequest => ({
    recipe: "clip-refine",
    towers: vectors(),
    out: join(folder, out),
    steps: 60,
    evaluateEvery: 10,
  });
  await adapt(request("whole-run"));
  const controller = new AbortController();
  const stopped = adapt(request("stopped"), {
    signal: controller.signal,
    onProgress: ({ phase, done }) => {
      if (phase === "training" && done >= 1) controller.abort();
    },
  });
  await expect(stopped).rejects.toThrow("abort");
  const left = await readdir(join(folder, "stopped"));
  expect(left.sort()).toEqual([".work", "run.json"]);
  await expect(adapt(request("stopped"))).rejects.toThrow("--resume goes on with it");
  await expect(adapt({ ...request("stopped"), seed: 9, resume: true })).rejects.toThrow("in another way");
  const { record } = await adapt({ ...request("stopped"), resume: true });
  expect(record.status).toBe("done");
  for (const file of ["image.onnx", "text.onnx"])
    expect(await readFile(join(folder, "stopped", file)), file).toEqual(
      await readFile(join(folder, "whole-run", file)),
    );
  expect((await readdir(join(folder, "stopped"))).sort()).toEqual([
    "example.json",
    "example.mjs",
    "example.py",
    "image.onnx",
    "report.html",
    "run.json",
    "text.onnx",
  ]);
});

it("a process that is killed in training leaves a run that goes on to the same bits", async () => {
  const script = fileURLToPath(new URL("./killed-run.ts", import.meta.url));
  const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning", script];
  const out = join(folder, "killed");
  await expect(run(process.execPath, [...flags, out, "kill"])).rejects.toMatchObject({ signal: "SIGKILL" });
  await run(process.execPath, [...flags, out, "resume"]);
  await run(process.execPath, [...flags, join(folder, "not-killed")]);
  for (const file of ["image.onnx", "text.onnx"])
    expect(await readFile(join(out, file)), file).toEqual(await readFile(join(folder, "not-killed", file)));
});

it("the example in Node prints similarities; that in Python is correct Python", async () => {
  const out = join(folder, "example");
  await adapt({ recipe: "clip-refine", towers: vectors(), out, steps: 100 });
  // Packages are found as they would be beside a project's own.
  await symlink(
    fileURLToPath(new URL("../../../../node_modules", import.meta.url)),
    join(folder, "node_modules"),
    "dir",
  );
  const { stdout } = await run(process.execPath, [
    "--conditions=source",
    "--disable-warning=ExperimentalWarning",
    join(out, "example.mjs"),
  ]);
  const table = stdout
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/).map(Number));
  expect(table).toHaveLength(4);
  // Partners are more alike than strangers.
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const partners = table.map((row, i) => row[i] as number);
  const strangers = table.flatMap((row, i) => row.filter((_, j) => j !== i));
  expect(mean(partners), stdout).toBeGreaterThan(mean(strangers) + 0.3);
  const python = await run("python3", [
    "-c",
    "import ast, sys; ast.parse(open(sys.argv[1]).read())",
    join(out, "example.py"),
  ]).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return { stderr: "" };
    throw error;
  });
  expect(python.stderr).toBe("");
});
