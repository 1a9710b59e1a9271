import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript-reader";
import { describe, expect, test } from "vitest";
import { fragmentsOf, programOf } from "./support/document-code.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const pages = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
const textOf = (name: string): string => readFileSync(join(root, "docs", name), "utf8");

/** Pages that show fragments, with declarations of the names that the fragments take as given. */
const FRAGMENTS: Readonly<Record<string, string>> = {
  "onnx.md": `
    import type { ExportInputs, Key, NDArray, Tensor, Traced } from "@concord/tensor";
    import type { LoraParams } from "@concord/nn";
    declare const params: Record<string, NDArray>;
    declare const encode: (p: Traced<Record<string, NDArray>>, ids: Tensor, mask: Tensor) => Tensor;
    declare const image: Tensor;
    declare const key: Key;
    declare const trained: LoraParams;
    declare const map: NDArray;
    declare const inputs: ExportInputs;`,
  "runtimes.md": `
    import type { Tensor } from "@concord/tensor";
    declare const fn: (x: Tensor) => Tensor;`,
  "choosing-a-loss.md": `
    import { readQueue, sinkhornCodes, swappedPrediction, type QueueState } from "@concord/align";
    import { l2Normalize, matmul, valueAndGrad, type NDArray, type Tensor } from "@concord/tensor";
    type Params = { readonly prototypes: Tensor; readonly encoder: Tensor };
    declare const images: NDArray;
    declare const captions: NDArray;
    declare const state: { readonly params: Params; readonly queue: QueueState };
    declare const views: Tensor[];
    declare const embed: (p: Params, view: Tensor) => Tensor;`,
};

/** Where the fragments of a page begin that has a program above them. */
const FRAGMENTS_FROM: Readonly<Record<string, string>> = { "choosing-a-loss.md": "\n## Components\n" };

/** The part of a page that is a program, and the part that shows fragments. */
function partsOf(name: string): readonly [program: string, fragments: string] {
  const text = textOf(name);
  if (!(name in FRAGMENTS)) return [text, ""];
  const from = FRAGMENTS_FROM[name];
  const start = from === undefined ? 0 : text.indexOf(from);
  if (start < 0) throw new Error(`${name} has lost the heading ${from?.trim()}`);
  return [text.slice(0, start), text.slice(start)];
}

/** The code of every page that has a program, as one module each. */
const programs = new Map(
  pages.flatMap((name) => {
    const code = programOf(partsOf(name)[0]);
    return code === "" ? [] : [[name, code] as const];
  }),
);

/** Runs the code of a page as one module. */
function run(page: string): string {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ["--conditions=source", "--disable-warning=ExperimentalWarning", "--input-type=module-typescript", "-"],
    { cwd: root, input: programs.get(page) ?? "", encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`the code of ${page} failed:\n${stderr}`);
  return stdout;
}

describe("the code of the documents", () => {
  test("has no type errors", () => {
    const base = ts.readConfigFile(join(root, "tsconfig.base.json"), ts.sys.readFile).config.compilerOptions;
    const given = { ...base, customConditions: ["source"], noEmit: true, noUnusedLocals: false };
    const { options } = ts.convertCompilerOptionsFromJson(given, root);
    const modules = [
      ...programs,
      ...Object.entries(FRAGMENTS).flatMap(([name, context]) =>
        fragmentsOf(partsOf(name)[1], context).map((code, i) => [`${name}.${i}`, code] as const),
      ),
    ];
    const files = new Map(
      modules.map(([name, code]) => [join(root, "examples", `${name}.ts`), `${code}\nexport {};\n`]),
    );
    const host = ts.createCompilerHost(options);
    const { fileExists, readFile, getSourceFile } = host;
    host.fileExists = (name) => files.has(name) || fileExists(name);
    host.readFile = (name) => files.get(name) ?? readFile(name);
    host.getSourceFile = (name, target, ...rest) => {
      const text = files.get(name);
      return text === undefined
        ? getSourceFile(name, target, ...rest)
        : ts.createSourceFile(name, text, target, true);
    };
    const program = ts.createProgram([...files.keys()], options, host);
    const errors = [...files.keys()].flatMap((name) => {
      const file = program.getSourceFile(name);
      return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
    });
    expect(ts.formatDiagnostics(errors, { ...host, getNewLine: () => "\n" })).toBe("");
  });

  test("engine-from-nothing.md finds the weights, and its gradient is that of differences", () => {
    const output = run("engine-from-nothing.md");
    expect(output).toContain("found 1.000, -2.000, 0.500, 3.000, -1.000, 0.250");
    const [, nudged, derived] = /by nudging (\S+), by reading backwards (\S+)/.exec(output) ?? [];
    expect(Number(derived)).not.toBe(0);
    expect(Math.abs(Number(nudged) - Number(derived))).toBeLessThan(5e-3);
  });

  test.each(["when-steps-fail.md", "choosing-a-loss.md"])("%s asserts what it says", (page) => {
    expect(run(page)).toBe("");
  });

  test("adding-an-op.md begins with a composition", () => {
    expect(run("adding-an-op.md").replace(/\s+/g, " ")).toMatch(/-1\.5, -?0, 0\.199\d+/);
  });
});
