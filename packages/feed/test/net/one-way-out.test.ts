import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
/** The guarded way itself. */
const ALLOWED = /^packages\/feed\/src\/net\//;
/** A call of the global fetch, or a module that opens connections. */
const WAYS_OUT: readonly (readonly [RegExp, string])[] = [
  [/(?<![\w.$#])fetch\s*\(/, "calls fetch"],
  [/\bglobalThis\s*\.\s*fetch\b/, "uses the global fetch"],
  [
    /(?:from|import|require)\s*\(?\s*["'](?:node:)?(?:https|http2|dgram|tls)["']/,
    "imports a module that connects",
  ],
  [
    /import\s+(?!type)[^;]*\b(?:request|get|Agent|ClientRequest)\b[^;]*["']node:http["']/,
    "asks by node:http",
  ],
  [
    /import\s+(?!type)[^;]*\b(?:connect|createConnection|Socket)\b[^;]*["']node:net["']/,
    "connects by node:net",
  ],
  [/["'](?:undici|axios|got|node-fetch)["']/, "imports an HTTP client"],
  [/\bnew\s+(?:WebSocket|EventSource|XMLHttpRequest)\b/, "opens a connection"],
];

function waysOutOf(source: string): string[] {
  const code = source
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/(^|[^:])\/\/.*$/gm, "$1")
    .replace(/^import type [^;]*;/gm, "");
  return WAYS_OUT.filter(([pattern]) => pattern.test(code)).map(([, what]) => what);
}

describe("requests to other servers", () => {
  it("go through safeFetch alone, in the feed and on the site's server", async () => {
    const found: string[] = [];
    let looked = 0;
    for (const folder of ["packages/feed/src", "apps/site/src"]) {
      for (const entry of await readdir(join(root, folder), { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.tsx?$/.test(entry.name) || entry.name.includes(".test.")) continue;
        const path = join(entry.parentPath, entry.name).slice(root.length).replaceAll("\\", "/");
        if (ALLOWED.test(path)) continue;
        looked++;
        // A function that was given safeFetch may be called `fetch`: it then stands in the file as a parameter.
        const source = await readFile(join(root, path), "utf8");
        const ways = waysOutOf(source).filter(
          (way) =>
            way !== "calls fetch" || !/\bfetch\b\??:\s*SafeFetch|\{[^}]*\bfetch\b[^}]*\}\s*[:=]/.test(source),
        );
        found.push(...ways.map((way) => `${path}: ${way}`));
      }
    }
    expect(looked).toBeGreaterThan(20);
    expect(found).toEqual([]);
  });

  it.each([
    ["const a = await fetch(url);", ["calls fetch"]],
    ["return globalThis.fetch(url)", ["uses the global fetch"]],
    ['import { request } from "node:https";', ["imports a module that connects"]],
    ['import { request } from "node:http";', ["asks by node:http"]],
    ['import { createServer } from "node:http";', []],
    ['import type { TLSSocket } from "node:tls";', []],
    ['import { Agent } from "undici";', ["imports an HTTP client"]],
    ["app.fetch(request); // fetch(url)", []],
    ["await context.fetch(url)", []],
  ])("are noticed in %j", (source, expected) => {
    expect(waysOutOf(source)).toEqual(expected);
  });
});
