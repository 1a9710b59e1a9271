import { basename, extname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

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

export interface Asset {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly contentType: string;
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
  const { outputFiles } = await build({
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
  const files = new Map<string, Asset>();
  const urls = new Map<string, string>();
  for (const { path, contents } of outputFiles) {
    const fileName = basename(path);
    files.set(fileName, {
      body: new Uint8Array(contents),
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
