// Writes random programs with the values and gradients that Concord computes for them, one JSON object a line:
//
//   node --conditions=source write-cases.ts --count 500 --seed 7 [--longest 10] [--only conv2d,maxPool2d] cases.jsonl
//
// `compare.py` computes the same with PyTorch.
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import { parseArgs } from "node:util";
import type { NDArray, Tensor } from "../../src/index.ts";
import { compile, isFloat } from "../../src/index.ts";
import type { Program } from "../support/random-graph.ts";
import { gradientsOf, inputArrays, runProgram, smallerPrograms } from "../support/random-graph.ts";
import { programOfSeed } from "../support/random-graph-uses.ts";
import { trackedRuntime } from "../support/tracked-runtime.ts";

/** JSON has no NaN and no infinities; they are written as strings, which Python's float() reads. */
function encode({ shape, dtype, data }: NDArray): object {
  const numbers = Array.from(data as ArrayLike<number | bigint>, Number);
  return {
    shape,
    ...(isFloat(dtype) ? {} : { dtype }),
    data: numbers.map((value) => (Number.isFinite(value) ? value : String(value))),
  };
}

/** The first name of every value; further names of one are noted as aliases. */
function distinct(values: ReadonlyMap<string, Tensor>, aliases: Record<string, string>): string[] {
  const first = new Map<string, string>();
  for (const [name, { node, index }] of values) {
    const known = first.get(`${node.id}:${index}`);
    if (known === undefined) first.set(`${node.id}:${index}`, name);
    else aliases[name] = known;
  }
  return [...first.values()];
}

async function solved(program: Program, float: "float32" | "float64"): Promise<object> {
  const runtime = trackedRuntime();
  const aliases: Record<string, string> = {};
  try {
    const run = compile(
      (inputs: Record<string, Tensor>) => {
        const values = runProgram(program, inputs, float);
        const results = program.steps.flatMap((step) => step.results.map(({ name }) => name));
        return {
          values: Object.fromEntries(results.map((name) => [name, values.get(name) as Tensor])),
          gradients: gradientsOf(
            program,
            values,
            distinct(values, aliases).filter((name) => !program.inputs[name]?.constant),
          ),
        };
      },
      { runtime },
    );
    const { values, gradients } = await run(inputArrays(program, float));
    const encoded = (arrays: Record<string, NDArray>): object =>
      Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, encode(array)]));
    return { aliases, values: encoded(values), gradients: encoded(gradients) };
  } finally {
    await runtime.release();
  }
}

/** The smallest part of a program that Concord cannot run. */
async function smallestFailing(program: Program, float: "float32" | "float64"): Promise<Program> {
  for (const smaller of smallerPrograms(program)) {
    const failed = await solved(smaller, float).then(
      () => false,
      () => true,
    );
    if (failed) return smallestFailing(smaller, float);
  }
  return program;
}

const { values: options, positionals } = parseArgs({
  options: {
    count: { type: "string", default: "500" },
    seed: { type: "string", default: "7" },
    longest: { type: "string", default: "10" },
    only: { type: "string" },
  },
  allowPositionals: true,
});
const [path] = positionals;
if (path === undefined) throw new Error("expected the file to write, e.g. cases.jsonl");

const file = createWriteStream(path);
for (let i = 0; i < Number(options.count); i++) {
  const seed = Number(options.seed) * 1_000_003 + i;
  const float = i % 2 === 0 ? "float64" : "float32";
  const program = programOfSeed(seed, {
    float,
    longest: Number(options.longest),
    ...(options.only && { only: options.only.split(",") }),
  });
  const line = await solved(program, float).catch(async (error: Error) => {
    const smallest = await smallestFailing(program, float);
    return { error: error.message, program: smallest };
  });
  file.write(`${JSON.stringify({ seed, float, program, ...line })}\n`);
}
file.end();
await finished(file);
