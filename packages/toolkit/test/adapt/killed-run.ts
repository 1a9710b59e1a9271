// A process of its own that adapts, and kills itself in the middle when told to.
import { adapt } from "../../src/index.ts";
import { pairedWorld } from "./worlds.ts";

const [out, mode] = process.argv.slice(2) as [string, string?];
const { a, b } = pairedWorld(200, 3);
await adapt(
  {
    recipe: "languagebind",
    towers: { image: { vectors: a }, text: { vectors: b } },
    out,
    steps: 60,
    evaluateEvery: 20,
    resume: mode === "resume",
  },
  {
    ...(mode === "kill" && { saveEverySeconds: 0 }),
    onProgress: ({ phase, done }) => {
      if (phase === "training" && done > 3 && mode === "kill") process.kill(process.pid, "SIGKILL");
    },
  },
);
