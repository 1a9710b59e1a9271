// Bundles browser code that uses Concord and serves it. Run it: `node --conditions=source examples/browser-training/serve.ts`
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = import.meta.dirname;
const ortFolder = dirname(fileURLToPath(import.meta.resolve("onnxruntime-web")));
/** What ONNX Runtime loads when a device starts: `cpu` the first two, `webgpu` the others. */
export const ortFiles = [
  "ort-wasm-simd-threaded.mjs",
  "ort-wasm-simd-threaded.wasm",
  "ort-wasm-simd-threaded.asyncify.mjs",
  "ort-wasm-simd-threaded.asyncify.wasm",
] as const;

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
  ".json": "application/json",
  ".png": "image/png",
};

/** Files by their names on the server. */
export type Files = ReadonlyMap<string, Uint8Array>;

/**
 * Bundles entry points with everything that they import. The condition `onnxruntime-web-use-extern-wasm` leaves the
 * code around ONNX Runtime's WebAssembly in a file of its own, which its threads load too.
 */
export async function bundle(entryPoints: Readonly<Record<string, string>>): Promise<Files> {
  const { outputFiles } = await build({
    entryPoints,
    outdir: here,
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    conditions: ["source", "onnxruntime-web-use-extern-wasm"],
    write: false,
    logLevel: "warning",
  });
  return new Map(outputFiles.map(({ path, contents }) => [path.slice(here.length + 1), contents]));
}

export async function readOrtFiles(): Promise<Files> {
  return new Map(
    await Promise.all(ortFiles.map(async (name) => [name, await readFile(join(ortFolder, name))] as const)),
  );
}

/** Allows what ONNX Runtime needs (WebAssembly, workers of the own origin) and nothing else. */
const policy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:";

/**
 * Serves files on this machine.
 *
 * @param options.isolated  whether pages get the two headers that make them cross-origin isolated. Default true:
 *   without them ONNX Runtime has one thread.
 */
export async function serve(
  files: Files,
  { port = 0, isolated = true }: { readonly port?: number; readonly isolated?: boolean } = {},
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const compressed = new Map<string, Uint8Array>();
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname.slice(1) || "index.html";
    const body = files.get(path);
    if (!body) {
      response.writeHead(404).end();
      return;
    }
    const text = !path.endsWith(".wasm");
    if (text && !compressed.has(path)) compressed.set(path, gzipSync(body));
    response.writeHead(200, {
      "Content-Type": contentTypes[extname(path)] ?? "application/octet-stream",
      "Content-Security-Policy": policy,
      "X-Content-Type-Options": "nosniff",
      ...(text ? { "Content-Encoding": "gzip" } : {}),
      ...(isolated
        ? {
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Embedder-Policy": "require-corp",
            "Cross-Origin-Resource-Policy": "same-origin",
          }
        : {}),
    });
    response.end(text ? compressed.get(path) : body);
  });
  await new Promise<void>((listening) => server.listen(port, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/** The files of the example's page. */
export async function exampleFiles(): Promise<Files> {
  const page = await Promise.all(
    ["index.html", "style.css"].map(async (name) => [name, await readFile(join(here, name))] as const),
  );
  const scripts = await bundle({ page: join(here, "page.ts"), training: join(here, "training.ts") });
  return new Map([...page, ...scripts, ...(await readOrtFiles())]);
}

if (import.meta.main) {
  const { url } = await serve(await exampleFiles(), { port: 4200 });
  console.log(`A page that trains: ${url}`);
}
