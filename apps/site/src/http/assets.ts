import { basename, extname } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";
import { build, stop } from "esbuild";

const siteFolder = new URL("../../", import.meta.url);
const pathOf = (relative: string) => fileURLToPath(new URL(relative, siteFolder));

const entryPoints = {
  style: pathOf("src/styles/index.css"),
  theme: pathOf("client/theme.ts"),
  main: pathOf("client/main.ts"),
  run: pathOf("client/run.ts"),
  icon: pathOf("src/styles/icon.svg"),
};
export type AssetName = keyof typeof entryPoints;

const contentTypes: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** How browsers can take an asset, the smallest first. */
export type AssetEncoding = "br" | "gzip";

export interface Asset {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly contentType: string;
  /** The same, compressed once, as well as it goes. */
  readonly encoded: Readonly<Record<AssetEncoding, Uint8Array<ArrayBuffer>>>;
}

const compressors = { br: promisify(brotliCompress), gzip: promisify(gzip) };

/** esbuild works in a process of its own, which is ended when nobody builds any more. */
let building = 0;

async function bundle() {
  building += 1;
  try {
    return await build({
      entryPoints,
      outdir: pathOf("."),
      entryNames: "[name]-[hash]",
      loader: { ".svg": "copy" },
      bundle: true,
      minify: true,
      write: false,
      format: "iife",
      conditions: ["source"],
      target: "es2022",
      logLevel: "silent",
    });
  } finally {
    building -= 1;
    if (building === 0) await stop();
  }
}

/** The encoding to answer with: the smallest that the browser's Accept-Encoding takes. */
export function acceptedEncoding(header: string | undefined): AssetEncoding | null {
  const accepted = (header ?? "").split(",").flatMap((part) => {
    const [name = "", ...parameters] = part
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/);
    return parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)) ? [] : [name];
  });
  if (accepted.includes("br")) return "br";
  return accepted.includes("gzip") ? "gzip" : null;
}

/** Scripts, style sheet and icon, bundled once and kept in memory. */
export interface Assets {
  /** The URL of an asset; it contains a hash of the content, so it may be cached for ever. */
  url(name: AssetName): string;
  /** The asset with this file name, if there is one. */
  file(fileName: string): Asset | undefined;
}

/** Bundles the browser code and the style sheet. Takes a fraction of a second; nothing is written to disk. */
export async function buildAssets(): Promise<Assets> {
  const { outputFiles } = await bundle();
  const files = new Map<string, Asset>();
  const urls = new Map<string, string>();
  for (const { path, contents } of outputFiles) {
    const fileName = basename(path);
    const [br, zipped] = await Promise.all([compressors.br(contents), compressors.gzip(contents)]);
    files.set(fileName, {
      body: new Uint8Array(contents),
      encoded: { br: new Uint8Array(br), gzip: new Uint8Array(zipped) },
      contentType: contentTypes[extname(fileName)] ?? "application/octet-stream",
    });
    urls.set(fileName.slice(0, fileName.lastIndexOf("-")), `/assets/${fileName}`);
  }
  return {
    url(name) {
      const url = urls.get(name);
      if (!url)
        throw new Error(`The asset '${name}' was not built; there are: ${[...urls.keys()].join(", ")}.`);
      return url;
    },
    file: (fileName) => files.get(fileName),
  };
}
