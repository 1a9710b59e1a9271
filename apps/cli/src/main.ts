import * as papers from "@concord/papers";
import { runCli } from "./cli.ts";

const stopSignals = ["SIGINT", "SIGTERM"] as const;

// `concord papers | head` closes the pipe: nobody reads on, so there is nothing left to say.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit();
  process.stderr.write(`Error: standard output cannot be written: ${error.message}\n`);
  process.exit(1);
});

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  // Opened by those who read it: an open standard input keeps a process alive.
  get stdin() {
    return process.stdin;
  },
  env: process.env,
  papers,
  // Loaded on demand: other commands need no web server.
  loadSettings: async (sources) => (await import("@concord/site/settings")).loadSettings(sources),
  startSite: async (options) => (await import("@concord/site")).startSite(options),
  self: [process.execPath, ...process.execArgv, process.argv[1] as string],
  name: process.env.npm_lifecycle_event === "concord" ? "npm run concord --" : "concord",
  onStopRequest(handler) {
    for (const signal of stopSignals) process.on(signal, handler);
    return () => {
      for (const signal of stopSignals) process.removeListener(signal, handler);
    };
  },
  exit: process.exit,
});
