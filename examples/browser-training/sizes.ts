// Prints what a page loads: `node --conditions=source examples/browser-training/sizes.ts`
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { readOrtFiles } from "./serve.ts";

export interface Size {
  readonly bytes: number;
  readonly gzipped: number;
}

function sizeOf(body: Uint8Array): Size {
  return { bytes: body.length, gzipped: gzipSync(body, { level: 9 }).length };
}

/** The minified size of everything that an entry imports, without ONNX Runtime's own code. */
async function bundled(contents: string): Promise<Size> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname, loader: "ts" },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    conditions: ["source"],
    external: ["onnxruntime-web/*"],
    write: false,
    logLevel: "warning",
  });
  return sizeOf(outputFiles[0]?.contents ?? new Uint8Array());
}

/** Every operation of the engine. */
export function engineSize(): Promise<Size> {
  return bundled('export * from "@concord/tensor";');
}

/** The engine, layers and losses as far as the example uses them. */
export async function exampleSize(): Promise<Size> {
  return bundled(await readFile(join(import.meta.dirname, "training.ts"), "utf8"));
}

if (import.meta.main) {
  const ortFolder = dirname(fileURLToPath(import.meta.resolve("onnxruntime-web")));
  const ortScript = async (name: string) => sizeOf(await readFile(join(ortFolder, name)));
  const rows: [string, Size][] = [
    ["Concord: the whole engine", await engineSize()],
    ["Concord: what the example uses", await exampleSize()],
    ["ort.wasm.min.mjs", await ortScript("ort.wasm.min.mjs")],
    ["ort.webgpu.min.mjs", await ortScript("ort.webgpu.min.mjs")],
    ...[...(await readOrtFiles())].map(([name, body]): [string, Size] => [name, sizeOf(body)]),
  ];
  const kilobytes = (bytes: number) => Math.round(bytes / 1000).toLocaleString("en-GB");
  console.log("| file | kB minified | kB gzip |\n| --- | ---: | ---: |");
  for (const [name, { bytes, gzipped }] of rows) {
    console.log(`| ${name} | ${kilobytes(bytes)} | ${kilobytes(gzipped)} |`);
  }
}
