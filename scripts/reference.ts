// Writes docs/reference/ from the doc comments of the packages' public functions: npm run docs
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { collectPages } from "./reference/collect.ts";
import { indexOf, pageOf } from "./reference/markdown.ts";

export const PACKAGES = ["tensor", "nn", "align"] as const;

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "docs/reference");

/** The whole reference: files below docs/reference/ by their path. */
export function buildReference(): {
  readonly files: ReadonlyMap<string, string>;
  /** Exported functions and classes without a doc comment, as package/file: name. */
  readonly undocumented: readonly string[];
} {
  const pages = collectPages(root, PACKAGES);
  const files = new Map(pages.map((page) => [page.path, pageOf(page, pages)]));
  files.set("README.md", indexOf(pages));
  const undocumented = pages.flatMap(({ source, entries }) =>
    entries
      .filter(({ kind, doc }) => (kind === "function" || kind === "class") && !doc)
      .map(({ name }) => `${source}: ${name}`),
  );
  return { files, undocumented };
}

/** Files below docs/reference/ as they are now. */
export async function storedReference(): Promise<ReadonlyMap<string, string>> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const pages = names.filter((name) => name.endsWith(".md")).map((name) => name.replaceAll("\\", "/"));
  return new Map(
    await Promise.all(
      pages.map(
        async (name): Promise<[string, string]> => [name, await readFile(join(folder, name), "utf8")],
      ),
    ),
  );
}

if (import.meta.main) {
  const { files, undocumented } = buildReference();
  await rm(folder, { recursive: true, force: true });
  for (const [path, content] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  console.log(`${files.size} pages in docs/reference`);
  for (const name of undocumented) console.log(`without a doc comment: ${name}`);
}
