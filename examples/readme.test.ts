import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const example = new URL("align-two-towers.ts", import.meta.url);

it("is the code that the README shows", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const shown = /```ts\n(.*?)\n```/s.exec(readme)?.[1];
  expect(shown).toBe((await readFile(example, "utf8")).trimEnd());
});

it("trains: the loss falls from chance to almost nothing", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=source", example.pathname]);
  const losses = stdout
    .trim()
    .split("\n")
    .map((line) => Number(line.split(" ")[1]));
  expect(losses).toHaveLength(100);
  expect(losses[0]).toBeGreaterThan(Math.log(256) - 0.5);
  expect(losses[99]).toBeLessThan(0.05);
});
