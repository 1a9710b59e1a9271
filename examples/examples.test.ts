import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const folder = new URL(".", import.meta.url);

async function run(name: string): Promise<string> {
  const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, new URL(name, folder).pathname]);
  return stdout;
}

/** The number that follows a text in what an example printed. */
function numberAfter(output: string, text: string): number {
  const at = output.indexOf(text);
  if (at < 0) throw new Error(`'${text}' was not printed, but:\n${output}`);
  return Number.parseFloat(output.slice(at + text.length));
}

test("autodiff-basics: value, slope and curvature, and the root of the polynomial", async () => {
  const output = await run("autodiff-basics.ts");
  expect(output).toContain("f(2) = -1, f'(2) = 10, f''(2) = 12");
  expect(output).toContain("roots 2.094551, 2.094551, 2.094551");
});

test("classifier: new points of both spirals are told apart", async () => {
  expect(numberAfter(await run("classifier.ts"), "accuracy on new points:")).toBeGreaterThan(97);
});

test("custom-op: values of the kernel, slopes of the rules", async () => {
  const output = await run("custom-op.ts");
  expect(output).toContain("thresholded: values 0.000, 0.000, 1.500; slopes 0.000, 0.000, 1.000");
  expect(output).toContain("softSign: values -1.000, 1.000, 1.000; slopes 0.071, 0.786, 0.181");
});

test("large-batch: steps in chunks lose what steps at once lose", async () => {
  const output = await run("large-batch.ts");
  expect(numberAfter(output, "step 19: in chunks")).toBeLessThan(5);
  expect(numberAfter(output, "step 19: in chunks")).toBeCloseTo(
    numberAfter(output.slice(output.indexOf("step 19")), "at once"),
    2,
  );
});

test("gru-text-classifier: it has learned what 'not' does", async () => {
  expect(numberAfter(await run("gru-text-classifier.ts"), "accuracy on new sentences:")).toBeGreaterThan(97);
});

test("conv-net: the direction of stripes is seen", async () => {
  expect(numberAfter(await run("conv-net.ts"), "accuracy on new images:")).toBeGreaterThan(95);
});

test("the index of the documents lists every example", async () => {
  const index = await readFile(new URL("../docs/README.md", folder), "utf8");
  const examples = (await readdir(folder)).filter((name) => !/\.test\.ts$/.test(name) && name !== "support");
  expect(examples.filter((name) => !index.includes(`](../examples/${name}`))).toEqual([]);
});

test("and every document", async () => {
  const docs = new URL("../docs/", folder);
  const index = await readFile(new URL("README.md", docs), "utf8");
  const pages = (await readdir(docs)).filter((name) => name.endsWith(".md") && name !== "README.md");
  expect(pages.filter((name) => !index.includes(`](${name})`))).toEqual([]);
});
