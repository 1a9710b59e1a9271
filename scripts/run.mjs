// Entry of every npm script. It runs on any Node that npm itself runs on: it installs what the lock file
// names and is not there yet, finds a Node of at least version 24, and hands the task over to that.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const REQUIRED_MAJOR = 24;

function fail(message) {
  console.error(`\n${message}\n`);
  process.exit(1);
}

/** Installs exactly what package-lock.json names, unless that was done for this very file before. */
function install() {
  const wanted = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  const stamp = join(root, "node_modules", ".installed-from");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  console.error("Installing dependencies (first time, or the lock file changed) ...");
  const npm = process.env.npm_execpath;
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const result = npm
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: "inherit" })
    : spawnSync("npm", args, { cwd: root, stdio: "inherit", shell: process.platform === "win32" });
  if (result.status !== 0) fail("`npm ci` failed; its own message is above.");
  writeFileSync(stamp, wanted);
}

/** The running Node where it is new enough, else the one that came with the dependencies. */
function findNode() {
  if (Number(process.versions.node.split(".")[0]) >= REQUIRED_MAJOR) return process.execPath;
  const platform = process.platform === "win32" ? "win" : process.platform;
  const binary = process.platform === "win32" ? "bin/node.exe" : "bin/node";
  const bundled = join(root, "node_modules", `node-${platform}-${process.arch}`, binary);
  if (existsSync(bundled)) return bundled;
  return fail(
    `Concord needs Node ${REQUIRED_MAJOR} or newer; this is ${process.version}, and no bundled Node exists for ` +
      `${process.platform}-${process.arch}. Install one from https://nodejs.org and try again.`,
  );
}

const bin = (path) => join(root, "node_modules", path);
const source = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
const concord = [...source, join(root, "apps/cli/src/main.ts")];
const steps = {
  lint: [[bin("@biomejs/biome/bin/biome"), "check", "--error-on-warnings"]],
  format: [[bin("@biomejs/biome/bin/biome"), "check", "--write"]],
  typecheck: [
    [bin("typescript/bin/tsc"), "-p", "tsconfig.json"],
    [bin("typescript/bin/tsc"), "-p", "apps/site/client/tsconfig.json"],
    [bin("typescript/bin/tsc"), "-p", "examples/browser-training/tsconfig.json"],
    [bin("typescript/bin/tsc"), "-p", "examples/browser-search/tsconfig.json"],
  ],
  "test:unit": [[bin("vitest/vitest.mjs"), "run"]],
  build: [[join(root, "scripts/build.mjs")]],
  bench: [[...source, join(root, "bench/main.ts")]],
  docs: [[...source, join(root, "scripts/reference.ts")]],
  concord: [concord],
  start: [[...concord, "start"]],
};
steps.test = [...steps.lint, ...steps.typecheck, ...steps["test:unit"]];

const [task, ...rest] = process.argv.slice(2);
const commands = steps[task ?? ""];
if (!commands) fail(`Unknown task '${task}'. Known: ${Object.keys(steps).join(", ")}.`);
install();
const node = findNode();
const env = {
  ...process.env,
  PATH: `${dirname(node)}${process.platform === "win32" ? ";" : ":"}${process.env.PATH ?? ""}`,
};
// A server is mostly idle: a smaller young generation keeps a third of its memory free, for a collection more often.
if (task === "start") env.NODE_OPTIONS = `${env.NODE_OPTIONS ?? ""} --max-semi-space-size=8`.trim();
// What was read and compiled once is kept: from the second time on, the command line starts faster and in less memory.
if (task === "start" || task === "concord")
  env.NODE_COMPILE_CACHE ??= join(root, "node_modules", ".cache", "concord");
// 'concord' is used from the folder the user stands in, everything else from the repository.
const cwd = task === "concord" ? (process.env.INIT_CWD ?? process.cwd()) : root;

/** Runs one command to its end. Ctrl-C reaches it by itself, being of the terminal; other requests to stop are passed on. */
function execute(args) {
  return new Promise((resolvePromise) => {
    const child = spawn(node, args, { cwd, stdio: "inherit", env });
    const passOn = () => child.kill("SIGTERM");
    const stay = () => {};
    process.on("SIGTERM", passOn).on("SIGINT", stay);
    child.once("close", (code, signal) => {
      process.off("SIGTERM", passOn).off("SIGINT", stay);
      resolvePromise(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

for (const [index, command] of commands.entries()) {
  const last = index === commands.length - 1;
  if (task === "test") console.log(`\n> ${command.map((part) => part.replace(`${root}/`, "")).join(" ")}`);
  const status = await execute([...command, ...(last ? rest : [])]);
  if (status !== 0) process.exit(status);
}
