import { readFileSync } from "node:fs";
import { type NDArray, ndarray, type Tensor, tensor, toNumbers } from "@concord/tensor";
import { expect } from "vitest";
import { z } from "zod";

export type Numbers = number | boolean | Numbers[];
const numbers: z.ZodType<Numbers> = z.lazy(() => z.union([z.number(), z.boolean(), z.array(numbers)]));
const file = z.object({
  cases: z.array(
    z.object({
      name: z.string(),
      inputs: z.record(z.string(), z.unknown()),
      expected: z.record(z.string(), z.unknown()),
      tolerance: z.number(),
    }),
  ),
});

/** What a computation may hand over to be compared. */
export type Actual = NDArray | ArrayLike<number> | number;

function isArray(value: Actual): value is NDArray {
  return typeof value === "object" && "dtype" in value && "shape" in value;
}

/**
 * The golden cases of a paper: numbers that were computed independently.
 *
 * @param callerUrl  `import.meta.url` of a module beside `golden.json`
 */
export function goldenCases(callerUrl: string) {
  const { cases } = file.parse(JSON.parse(readFileSync(new URL("./golden.json", callerUrl), "utf8")));
  return {
    names: cases.map(({ name }) => name),
    /** Inputs of a case, and a comparison with its expected values. */
    of(name: string) {
      const found = cases.find((entry) => entry.name === name);
      if (!found) throw new Error(`golden.json has no case '${name}'`);
      const { inputs, expected, tolerance } = found;
      const compared = new Set<string>();
      const value = (key: string): Numbers => {
        if (!(key in inputs)) throw new Error(`golden case '${name}' has no input '${key}'`);
        return numbers.parse(inputs[key]);
      };
      return {
        inputs,
        value,
        array: (key: string): NDArray => ndarray(value(key)),
        tensor: (key: string): Tensor => tensor(value(key)),
        number: (key: string): number => z.number().parse(value(key)),
        list: (key: string): number[] => z.array(z.number()).parse(value(key)),
        /** Every entry within tolerance · max(1, |expected|). */
        compare(key: string, actual: Actual): void {
          if (!(key in expected)) throw new Error(`golden case '${name}' expects no '${key}'`);
          compared.add(key);
          const want = [numbers.parse(expected[key])].flat(6).map(Number);
          const got =
            typeof actual === "number" ? [actual] : isArray(actual) ? toNumbers(actual) : Array.from(actual);
          expect(got.length, key).toBe(want.length);
          want.forEach((number, i) => {
            const error = Math.abs((got[i] as number) - number);
            expect(error, `${key}, entry ${i}: ${got[i]} instead of ${number}`).toBeLessThanOrEqual(
              tolerance * Math.max(1, Math.abs(number)),
            );
          });
        },
        /** Fails when an expected value was left out of the comparison. */
        expectAllCompared(): void {
          expect(Object.keys(expected).filter((key) => !compared.has(key))).toEqual([]);
        },
      };
    },
  };
}
