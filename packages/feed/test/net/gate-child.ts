import { fileGate } from "../../src/net/index.ts";

const [path = "", turns = "0", dies = "false"] = process.argv.slice(2);
const gate = fileGate(path);
for (let i = 0; i < Number(turns); i++) {
  const turn = await gate.take({ group: "arxiv.org", intervalMs: 60 }, { holdMs: 300, maxPauseMs: 10_000 });
  process.stdout.write(`${turn.startedAt}\n`);
  if (dies === "true") process.kill(process.pid, "SIGKILL");
  turn.release();
}
gate[Symbol.dispose]();
