import { readdirSync } from "node:fs";
import fc from "fast-check";
import type { DType } from "../../src/index.ts";
import { RandomStream, randomKey } from "../../src/index.ts";
import { FLOAT32_ONLY, OTHER_GRADIENT } from "./families.ts";
import type { Program } from "./random-graph.ts";
import { smallerPrograms } from "./random-graph.ts";
import type { Choices, Use, Uses } from "./random-graph-draft.ts";
import { Draft } from "./random-graph-draft.ts";

const folder = new URL("../comparison/uses/", import.meta.url);
const modules = await Promise.all(
  readdirSync(folder)
    .filter((file) => file.endsWith(".ts"))
    .map(
      (file) =>
        import(/* @vite-ignore */ new URL(file, folder).href) as Promise<{
          readonly uses: Uses;
          readonly gradientByIntent?: readonly string[];
          readonly float32Only?: readonly string[];
          readonly notComposed?: Readonly<Record<string, string>>;
        }>,
    ),
);

/** How random programs use each operation, from the files of `comparison/uses/`. */
export const uses: Uses = Object.assign({}, ...modules.map((module) => module.uses));

/** Operations that no random program uses, each with the reason. */
export const NOT_COMPOSED: Readonly<Record<string, string>> = Object.assign(
  {},
  ...modules.map(({ notComposed }) => notComposed ?? {}),
);

const SINGLE = new Set([...FLOAT32_ONLY, ...modules.flatMap(({ float32Only }) => float32Only ?? [])]);

/** Operations whose gradient is, by intent, not the derivative of their value. */
const BY_INTENT = new Set([
  ...OTHER_GRADIENT,
  ...modules.flatMap(({ gradientByIntent }) => gradientByIntent ?? []),
]);

export interface ProgramOptions {
  /** Precision in which it will run: float64 leaves out operations that have no such kernel. */
  readonly float: DType;
  readonly longest?: number;
  /** Leave out operations whose gradient is not the derivative of their value. */
  readonly derivatives?: boolean;
  /** Use only these operations (and those that their uses add). */
  readonly only?: readonly string[];
}

/** A random program: each step applies some operation to values before it or to new inputs. */
export function randomProgram(choices: Choices, options: ProgramOptions): Program {
  const { float, longest = 10, derivatives = false, only } = options;
  const usable: [string, Use][] = Object.entries(uses).filter(
    ([op]) =>
      !(float === "float64" && SINGLE.has(op)) &&
      !(derivatives && BY_INTENT.has(op)) &&
      (only?.includes(op) ?? true),
  );
  const draft = new Draft(choices, float);
  const length = choices.integer(1, longest);
  for (let i = 0; i < length; i++) draft.pick(usable)[1](draft);
  return draft.program;
}

/** The same program for the same seed, on every machine. */
export function programOfSeed(seed: number, options: ProgramOptions): Program {
  const stream = new RandomStream(randomKey(seed));
  const integer = (low: number, high: number): number =>
    Math.min(high, Math.floor(stream.uniform(low, high + 1)));
  return randomProgram({ integer, uniform: (low, high) => stream.uniform(low, high) }, options);
}

/** Random programs that shrink to the smallest part that fails. */
class ProgramArbitrary extends fc.Arbitrary<Program> {
  readonly #options: ProgramOptions;

  constructor(options: ProgramOptions) {
    super();
    this.#options = options;
  }

  override generate(random: fc.Random): fc.Value<Program> {
    const choices: Choices = {
      integer: (low, high) => random.nextInt(low, high),
      uniform: (low, high) => low + (high - low) * random.nextDouble(),
    };
    return new fc.Value(randomProgram(choices, this.#options), undefined);
  }

  override canShrinkWithoutContext(_value: unknown): _value is Program {
    return true;
  }

  override shrink(program: Program): fc.Stream<fc.Value<Program>> {
    return fc.stream(smallerPrograms(program)).map((smaller) => new fc.Value(smaller, undefined));
  }
}

export function randomPrograms(options: ProgramOptions): fc.Arbitrary<Program> {
  return new ProgramArbitrary(options);
}
