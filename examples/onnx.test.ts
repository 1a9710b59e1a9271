import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

async function run(name: string): Promise<string> {
  const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
  const file = new URL(name, import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, file]);
  return stdout;
}

test("export-encoder: ONNX Runtime computes what the engine computes, at every size", async () => {
  const differences = [...(await run("export-encoder.ts")).matchAll(/difference (\S+)/g)].map(([, n]) =>
    Number(n),
  );
  expect(differences).toHaveLength(2);
  expect(Math.max(...differences)).toBeLessThan(1e-5);
});

test("import-adapt: the adapted model has learned, and keeps that as a file", async () => {
  const output = await run("import-adapt.ts");
  expect(output).toContain("input image [batch, 3, 12, 12]");
  expect(Number(/accuracy on new images: (\S+)/.exec(output)?.[1])).toBeGreaterThan(95);
});
