import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { operatorsPage, tableFile } from "./operators-table.ts";

it("docs/onnx-import.md lists the operators that are supported", async () => {
  expect(await readFile(tableFile, "utf8")).toBe(operatorsPage());
});
