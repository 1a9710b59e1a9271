// Compiles every room to dist/ (ESM and types), lower rooms first, because a room is typed by the dist of those below it.
import { spawnSync } from "node:child_process";
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const rooms = [
  "packages/tensor",
  "packages/nn",
  "packages/align",
  "packages/plots",
  "packages/data",
  "packages/papers",
  "packages/toolkit",
  "packages/feed",
  "apps/site",
  "apps/cli",
];
// What a room reads at run time besides its code.
const assets = { "apps/site": ["src/styles"] };

for (const room of rooms) {
  const folder = join(root, room);
  rmSync(join(folder, "dist"), { recursive: true, force: true });
  const config = join(folder, "tsconfig.build.json");
  writeFileSync(
    config,
    JSON.stringify({
      extends: "../../tsconfig.base.json",
      compilerOptions: { rootDir: "src", outDir: "dist", declaration: true, sourceMap: true },
      include: ["src"],
      exclude: ["src/**/*.test.ts", "src/**/tune.ts"],
    }),
  );
  const { status } = spawnSync(
    process.execPath,
    [join(root, "node_modules/typescript/bin/tsc"), "-p", config],
    { stdio: "inherit" },
  );
  rmSync(config);
  if (status !== 0) process.exit(status ?? 1);
  for (const asset of assets[room] ?? []) {
    cpSync(join(folder, asset), join(folder, asset.replace(/^src/, "dist")), { recursive: true });
  }
  console.log(`built ${room}`);
}
