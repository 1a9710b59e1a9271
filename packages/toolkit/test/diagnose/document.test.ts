import { readFile } from "node:fs/promises";
import { FINDING_IDS, THRESHOLDS } from "@concord/align";
import { expect, it } from "vitest";

it("docs/diagnose.md gives the thresholds of every finding", async () => {
  const page = await readFile(new URL("../../../../docs/diagnose.md", import.meta.url), "utf8");
  for (const id of FINDING_IDS) {
    const { mild, serious, bad } = THRESHOLDS[id];
    const sign = bad === "high" ? "≥" : "≤";
    const row = page.split("\n").find((line) => line.startsWith(`| \`${id}\` |`));
    expect(row, id).toMatch(new RegExp(`\\| ${sign} ${mild} \\| ${sign} ${serious} \\|$`));
  }
});
