// How fast the site answers, and what it takes: its own process under autocannon. Run from the root of the repository,
// on a machine with nothing else to do:
//
//   node --conditions=source apps/site/bench/load.ts DATA_FOLDER [seconds a page] [connections]
//
// DATA_FOLDER has a store (`concord ingest ... --data DATA_FOLDER`). Latencies are those of the client.
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import autocannon from "autocannon";

const [folder, seconds = "5", connections = "8"] = process.argv.slice(2);
if (!folder) throw new Error("Give the data folder of a site.");
const command = fileURLToPath(new URL("../../cli/src/main.ts", import.meta.url));
const server = spawn(
  process.execPath,
  [
    "--conditions=source",
    "--disable-warning=ExperimentalWarning",
    ...[command, "start", "--port", "0", "--data", folder, "--runs", `${folder}/runs`],
  ],
  { stdio: ["ignore", "pipe", "ignore"], env: { ...process.env, CONCORD_LOG_LEVEL: "error" } },
);

const url = await new Promise<string>((resolve, reject) => {
  let text = "";
  server.stdout.on("data", (chunk: Buffer) => {
    text += chunk;
    const found = /http:\/\/127\.0\.0\.1:\d+/.exec(text);
    if (found) resolve(found[0]);
  });
  server.once("exit", (code) => reject(new Error(`the site ended with ${code}`)));
});

async function memory(): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}

const first = (await (await fetch(`${url}/api/v1/papers?limit=1`)).json()) as {
  papers: { id: string; day: string }[];
};
const paper = first.papers[0];
const pages = [
  "/",
  `/day/${paper?.day}`,
  "/trending",
  `/papers/${paper?.id}`,
  "/search?q=contrastive+learning",
  "/api/daily_papers",
];
const idle = await memory();
console.log(`idle: ${idle} MiB; load average of the machine: ${loadavg()[0]?.toFixed(1)}`);
console.log("page                              req/s   p50 ms   p97.5 ms p99 ms   not 2xx");
for (const path of pages) {
  for (const alone of [true, false]) {
    const result = await autocannon({
      url: url + path,
      connections: alone ? 1 : Number(connections),
      duration: alone ? Math.max(2, Number(seconds) / 2) : Number(seconds),
    });
    const { p50, p97_5, p99 } = result.latency;
    const label = `${path} × ${alone ? 1 : connections}`;
    console.log(
      `${label.padEnd(32)} ${result.requests.average.toFixed(0).padStart(6)} ${String(p50).padStart(8)} ${String(p97_5).padStart(8)} ${String(p99).padStart(8)} ${String(result.non2xx).padStart(9)}`,
    );
  }
}
console.log(`after: ${await memory()} MiB; load average: ${loadavg()[0]?.toFixed(1)}`);
server.kill("SIGTERM");
