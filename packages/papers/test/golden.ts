import { readFileSync } from "node:fs";
import { type NDArray, ndarray, type Tensor, tensor, toNumbers, transpose } from "@concord/tensor";
import { expect } from "vitest";
import { z } from "zod";

export type Numbers = number | boolean | Numbers[];
const numbers: z.ZodType<Numbers> = z.lazy(() => z.union([z.number(), z.boolean(), z.array(numbers)]));
type Results = number | boolean | Results[] | { readonly [name: string]: Results };
const results: z.ZodType<Results> = z.lazy(() =>
  z.union([z.number(), z.boolean(), z.array(results), z.record(z.string(), results)]),
);
const file = z.object({
  cases: z.array(
    z.object({
      name: z.string(),
      function: z.string(),
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

/** All numbers of a result, in the order of the file. */
function leaves(value: Results): number[] {
  if (Array.isArray(value)) return value.flatMap(leaves);
  return typeof value === "object" ? Object.values(value).flatMap(leaves) : [Number(value)];
}

/** What stands at a path such as "params/gain". */
function at(root: unknown, path: string): unknown {
  return path
    .split("/")
    .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], root);
}

/** Paths of everything in a tree that is no record. */
function pathsOf(node: unknown, path = ""): string[] {
  if (typeof node !== "object" || node === null || Array.isArray(node)) return [path];
  return Object.entries(node).flatMap(([key, child]) => pathsOf(child, path ? `${path}/${key}` : key));
}

/**
 * The golden cases of a paper: numbers that were computed independently. Keys may be paths into records.
 *
 * @param callerUrl  `import.meta.url` of a module beside `golden.json`
 */
export function goldenCases(callerUrl: string) {
  const { cases } = file.parse(JSON.parse(readFileSync(new URL("./golden.json", callerUrl), "utf8")));
  return {
    names: cases.map(({ name }) => name),
    /** Functions that the cases are of, each once. */
    functions: [...new Set(cases.map((entry) => entry.function))],
    /** Inputs of a case, and a comparison with its expected values. */
    of(name: string) {
      const found = cases.find((entry) => entry.name === name);
      if (!found) throw new Error(`golden.json has no case '${name}'`);
      const { inputs, expected, tolerance } = found;
      const compared = new Set<string>();
      const value = (key: string): Numbers => {
        const input = at(inputs, key);
        if (input === undefined) throw new Error(`golden case '${name}' has no input '${key}'`);
        return numbers.parse(input);
      };
      return {
        /** What the case is of, by the file's name for it. */
        function: found.function,
        inputs,
        /** Names of the expected values; records count as one. */
        expected: Object.keys(expected),
        value,
        array: (key: string): NDArray => ndarray(value(key)),
        tensor: (key: string): Tensor => tensor(value(key)),
        /** A matrix as PyTorch keeps it, [outputs, inputs], in the layout of the engine. */
        transposed: (key: string): Tensor => transpose(tensor(value(key))),
        number: (key: string): number => z.number().parse(value(key)),
        list: (key: string): number[] => z.array(z.number()).parse(value(key)),
        /** Every entry within tolerance · max(1, |expected|). */
        compare(key: string, actual: Actual): void {
          const wanted = at(expected, key);
          if (wanted === undefined) throw new Error(`golden case '${name}' expects no '${key}'`);
          compared.add(key);
          const want = leaves(results.parse(wanted));
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
        /** Something that the file keeps among the expected values though it is an input. */
        given(key: string): Tensor {
          compared.add(key);
          return tensor(numbers.parse(expected[key]));
        },
        /** Fails when an expected value was left out of the comparison. */
        expectAllCompared(): void {
          const done = (path: string): boolean =>
            [...compared].some((key) => path === key || path.startsWith(`${key}/`));
          expect(pathsOf(expected).filter((path) => !done(path))).toEqual([]);
        },
      };
    },
  };
}

/** The numbers of a case that are given, under the names that a component has for them; the others keep its defaults. */
export function givenNumbers<N extends string>(
  data: { readonly inputs: Readonly<Record<string, unknown>>; number(key: string): number },
  names: Readonly<Record<string, N>>,
): { [name in N]?: number } {
  const found = Object.entries(names).filter(([key]) => data.inputs[key] !== undefined);
  return Object.fromEntries(found.map(([key, name]) => [name, data.number(key)])) as { [name in N]?: number };
}
