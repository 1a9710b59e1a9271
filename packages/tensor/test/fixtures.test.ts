import { readdirSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import type { DType, NDArray, Tensor } from "../src/index.ts";
import * as engine from "../src/index.ts";
import { add, compile, DTypeError, gradients, isFloat, mul, sum, toNumbers } from "../src/index.ts";
import { expectClose } from "./support/arrays.ts";
import { applications, FLOAT32_ONLY, TESTED_ELSEWHERE } from "./support/families.ts";
import type { OperationCase } from "./support/fixtures.ts";
import { operationCases, outputWeights, toArray } from "./support/fixtures.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

const runtime = trackedRuntime();
afterAll(() => runtime.release());

interface Results {
  readonly outputs: readonly Tensor[];
  readonly gradients: readonly Tensor[];
}

/** Applies an operation to the inputs of one case; gradients of the weighted sum for every float input. */
function trace(op: string, { attributes }: OperationCase, inputs: readonly Tensor[]): Results {
  const apply = applications[op];
  if (!apply) throw new Error(`no application of '${op}' in operations/`);
  const result = apply(inputs, attributes);
  const outputs = "node" in result ? [result] : result;
  const terms = outputs.flatMap((y, k) =>
    isFloat(y.dtype) ? [sum(mul(y, outputWeights(y.shape, k, y.dtype)))] : [],
  );
  const floats = inputs.filter((x) => isFloat(x.dtype));
  const [first, ...rest] = terms;
  return { outputs, gradients: first && floats.length > 0 ? gradients(rest.reduce(add, first), floats) : [] };
}

function compare(
  what: string,
  actual: NDArray,
  expected: OperationCase["outputs"][number],
  tolerance: number,
) {
  expect(actual.shape, `${what}: shape`).toEqual(expected.shape);
  expectClose(what, toNumbers(actual), expected.data, tolerance);
}

async function check(op: string, cases: readonly OperationCase[], float: DType, tolerance: number) {
  const inputs = cases.map((stored) => stored.inputs.map((input) => toArray(input, float)));
  const run = compile(
    (all: readonly (readonly Tensor[])[]) => all.map((list, i) => trace(op, cases[i]!, list)),
    {
      runtime,
    },
  );
  const results = await run(inputs);
  for (const [i, stored] of cases.entries()) {
    const what = `${op} case ${i} (${JSON.stringify(stored.attributes)})`;
    stored.outputs.forEach((output, k) => {
      const actual = results[i]!.outputs[k]!;
      expect(actual.dtype, `${what}: dtype of output ${k}`).toBe(output.dtype ?? float);
      compare(`${what}, output ${k}`, actual, output, tolerance);
    });
    expect(results[i]!.outputs).toHaveLength(stored.outputs.length);
    const wanted = stored.gradients.filter((_, k) => isFloat(stored.inputs[k]?.dtype ?? float));
    wanted.forEach((gradient, k) => {
      const actual = results[i]!.gradients[k];
      if (gradient && actual) compare(`${what}, gradient ${k}`, actual, gradient, tolerance);
      else if (gradient) throw new Error(`${what}: no gradient ${k}`);
      else if (actual)
        expectClose(`${what}, gradient ${k}`, toNumbers(actual), new Array(actual.data.length).fill(0), 0);
    });
  }
}

describe("values and gradients equal those of PyTorch", () => {
  for (const [op, cases] of operationCases()) {
    test(`${op}, float32`, () => check(op, cases, "float32", 3e-5));
    if (FLOAT32_ONLY.has(op))
      test(`${op} refuses float64`, async () => {
        await expect(check(op, cases, "float64", 1e-8)).rejects.toThrow(DTypeError);
      });
    else if (cases.some(({ inputs }) => inputs.some(({ dtype }) => dtype === undefined)))
      test(`${op}, float64`, () => check(op, cases, "float64", 1e-8));
  }
});

describe("every exported operation is tested", async () => {
  const source = new URL("../src/", import.meta.url);
  const folders = ["ops", "optim"].map((folder) => new URL(`${folder}/`, source));
  const files = [
    ...folders.flatMap((folder) => readdirSync(folder).map((file) => new URL(file, folder))),
    new URL("random/graph.ts", source),
  ].filter(({ pathname }) => pathname.endsWith(".ts") && !pathname.endsWith(".test.ts"));
  const defined = await Promise.all(
    files.map((file) => import(/* @vite-ignore */ file.href) as Promise<object>),
  );
  const operations = new Set(
    defined
      .flatMap((module) => Object.entries(module))
      .filter(([name, value]) => typeof value === "function" && name in engine)
      .map(([name]) => name),
  );
  const cases = operationCases();

  test.each([...operations])("%s", (name) => {
    const file = TESTED_ELSEWHERE[name];
    if (file === undefined) expect([...cases.keys()], "operations with fixtures").toContain(name);
    else expect(readFileSync(new URL(file, import.meta.url), "utf8")).toMatch(new RegExp(`\\b${name}\\(`));
  });

  test("and the lists name nothing else", () => {
    expect(operations).toEqual(new Set([...cases.keys(), ...Object.keys(TESTED_ELSEWHERE)]));
  });
});
