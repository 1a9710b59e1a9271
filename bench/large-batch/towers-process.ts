import { adamw, createCachedTrainer, randomKey } from "@concord/tensor";
import { contrast, defaultShape, initialParams, pairs, towers } from "./towers.ts";

/**
 * Steps of two towers on a large batch by cached gradients, in a process of its own, whose peak memory is then its own
 * too. Arguments: batch, rows a chunk, steps, layers (default 4). Prints one line of JSON.
 */
const [batch = 0, chunkRows = 0, steps = 1, layers = defaultShape.layers] = process.argv.slice(2).map(Number);
const shape = { ...defaultShape, layers };
const trainer = createCachedTrainer({
  params: initialParams(shape),
  optimiser: adamw({ learningRate: 1e-4 }),
  towers,
  loss: contrast,
  chunkRows,
  key: randomKey(1),
});
const data = pairs(batch, shape);
const peak = (): number => process.resourceUsage().maxRSS / 1024;
const before = peak();
const seconds: number[] = [];
const losses: number[] = [];
for (let i = 0; i < steps; i++) {
  const start = performance.now();
  losses.push((await trainer.step(data)).loss);
  seconds.push((performance.now() - start) / 1000);
}
await trainer.close();
console.log(
  JSON.stringify({ batch, chunkRows, losses, seconds, mebibytesBefore: before, mebibytesPeak: peak() }),
);
