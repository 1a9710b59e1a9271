import { describe, expect, test } from "vitest";
import { buildReference, storedReference } from "../scripts/reference.ts";

describe("the reference in docs/reference", () => {
  const { files, undocumented } = buildReference();

  test("says what the doc comments say (npm run docs brings it up to date)", async () => {
    const stored = await storedReference();
    const names = new Set([...files.keys(), ...stored.keys()]);
    expect([...names].filter((name) => files.get(name) !== stored.get(name))).toEqual([]);
  });

  test("has a description of every function and class", () => {
    expect(undocumented).toEqual([]);
  });
});
