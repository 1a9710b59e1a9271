#!/usr/bin/env node
// Starts Concord on a Node of at least version 24: the running one, or the one that came with the dependencies.
// Plain JavaScript without newer features, so that an old Node gets as far as saying what it lacks.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const REQUIRED_MAJOR = 24;
const here = dirname(fileURLToPath(import.meta.url));

/** The bundled Node in the nearest node_modules folder that has one, or null. */
function findBundledNode() {
  const platform = process.platform === "win32" ? "win" : process.platform;
  const binary = process.platform === "win32" ? "node.exe" : "node";
  for (let folder = here; ; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", `node-${platform}-${process.arch}`, "bin", binary);
    if (existsSync(candidate)) return candidate;
    if (folder === dirname(folder)) return null;
  }
}

const recent = Number(process.versions.node.split(".")[0]) >= REQUIRED_MAJOR;
const node = recent ? process.execPath : findBundledNode();
if (node === null) {
  console.error(
    `Concord needs Node ${REQUIRED_MAJOR} or newer; this is ${process.version}. Get one from https://nodejs.org`,
  );
  process.exit(1);
}

const compiled = join(here, "..", "dist", "main.js");
const command = existsSync(compiled)
  ? ["--disable-warning=ExperimentalWarning", compiled]
  : ["--conditions=source", "--disable-warning=ExperimentalWarning", join(here, "..", "src", "main.ts")];
const child = spawn(node, [...command, ...process.argv.slice(2)], { stdio: "inherit" });

const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
const passOn = (signal) => child.kill(signal);
for (const signal of signals) process.on(signal, passOn);
child.on("error", (error) => {
  console.error(`Concord could not be started: ${error.message}`);
  process.exitCode = 1;
});
child.on("exit", (code, signal) => {
  for (const name of signals) process.removeListener(name, passOn);
  if (signal === null) process.exitCode = code === null ? 1 : code;
  else process.kill(process.pid, signal);
});
