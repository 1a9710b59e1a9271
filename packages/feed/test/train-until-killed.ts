import { trainEncoder } from "../src/encoder/index.ts";
import { synonymWorld } from "./synonym-world.ts";

/** Trains slowly enough to be killed: a checkpoint after every step, each told to the parent. */
const [checkpoints = "", settings = "{}"] = process.argv.slice(2);
let told = 0;
await trainEncoder(synonymWorld(120), {
  settings: JSON.parse(settings),
  checkpoints,
  checkpointSeconds: 0,
  onProgress: ({ step }) => {
    for (; told < step; told++) console.log(`step ${told + 1}.`);
  },
});
