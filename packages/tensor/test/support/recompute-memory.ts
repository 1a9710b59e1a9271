// Trains a deep network for three steps and prints the process's peak memory: the part of a test that needs a process
// of its own. Argument: "kept" or "recomputed".
import * as e from "../../src/index.ts";

const [LAYERS, BATCH, WIDTH, HIDDEN] = [24, 2048, 64, 256];
const recomputed = process.argv[2] === "recomputed";
const weights = (i: number, shape: number[]): e.NDArray =>
  e.normalArray(e.foldIn(e.randomKey(1), i), shape, 0, 0.05);

const layers = Array.from({ length: LAYERS }, (_, i) => ({
  w: weights(2 * i, [WIDTH, HIDDEN]),
  v: weights(2 * i + 1, [HIDDEN, WIDTH]),
}));

const trainer = e.createTrainer({
  state: { layers },
  step: (state, batch: { readonly x: e.Tensor; readonly key: e.Tensor }) => {
    const { value: loss, gradients } = e.valueAndGrad((params: typeof state.layers) => {
      let x = batch.x;
      for (const [i, { w, v }] of params.entries()) {
        const block = (input: e.Tensor): e.Tensor =>
          e.add(input, e.matmul(e.dropout(e.foldInTensor(batch.key, i), e.gelu(e.matmul(input, w)), 0.1), v));
        x = (recomputed ? e.recompute(block) : block)(x);
      }
      return e.mean(e.square(x));
    })(state.layers);
    const { gradients: clipped } = e.clipByGlobalNorm(gradients, 1);
    const next = state.layers.map(({ w, v }, i) => ({
      w: e.sub(w, clipped[i]?.w as e.Tensor),
      v: e.sub(v, clipped[i]?.v as e.Tensor),
    }));
    return { state: { layers: next }, metrics: { loss } };
  },
  options: { threads: 1 },
});
const batch = { x: weights(99, [BATCH, WIDTH]), key: e.keyArray(e.randomKey(2)) };
const losses: number[] = [];
for (let i = 0; i < 3; i++) losses.push((await trainer.step(batch)).loss);
await trainer.close();
console.log(JSON.stringify({ megabytes: process.resourceUsage().maxRSS / 1024, losses }));
