import { describe, expect, it } from "vitest";
import { goldenCases } from "../../../test/golden.ts";
import { goldenFunctions, goldenOutputs } from "./golden-functions.ts";

const golden = goldenCases(import.meta.url);

/** What the paper or its scripts fix, by the file's names: cases must come out the same where these are left out. */
const paperSettings = { alpha: 16, max_depth: 10, mean: -4.2677393, std: 4.5689974 };

describe("golden cases", () => {
  it("cover every function", () => {
    const named = golden.functions.flatMap((name) => name.split(","));
    expect(named.sort()).toEqual([...goldenFunctions].sort());
  });

  it.each(golden.names)("%s, also where the paper's settings are left out", async (name) => {
    const whole = golden.of(name);
    const changed = Object.entries(whole.inputs).filter(
      ([key, value]) => value !== (paperSettings as Record<string, unknown>)[key],
    );
    for (const inputs of [whole.inputs, Object.fromEntries(changed)]) {
      const data = golden.of(name);
      const outputs = await goldenOutputs({ ...data, inputs });
      const keys = Object.keys(outputs).filter((key) => data.expected.includes(key.split("/")[0] as string));
      for (const key of keys) data.compare(key, outputs[key] as never);
      data.expectAllCompared();
    }
  });
});
