import {
  adamw,
  add,
  compile,
  createTrainer,
  evaluate,
  matmul,
  mean,
  mul,
  normalArray,
  randomKey,
  square,
  sub,
  sum,
  type Tensor,
  type Traced,
  tanh,
  valueAndGrad,
  zerosArray,
} from "@concord/tensor";

/**
 * Memory over many steps of a small trainer, with an evaluation, calls of a compiled function with ever new
 * shapes and a new compiled function now and then: what a leak would show in. Prints a line every tenth of the steps
 * and at the end one of JSON. Arguments: steps (default 10,000), and
 * how many steps there are between those other calls (default 20; 0 for none). Run with --expose-gc for steady figures.
 */
const [steps = 10_000, every = 20] = process.argv.slice(2).map(Number);
const collect = (globalThis as { gc?: () => void }).gc;

const params = {
  w: normalArray(randomKey(1), [32, 64], 0, 0.2),
  v: normalArray(randomKey(2), [64, 8], 0, 0.2),
  b: zerosArray([64]),
};
const optimiser = adamw({ learningRate: 1e-3 });
type Batch = { readonly x: Tensor; readonly y: Tensor };
const predict = (p: Traced<typeof params>, x: Tensor): Tensor => matmul(tanh(add(matmul(x, p.w), p.b)), p.v);
const trainer = createTrainer({
  state: { params, optimiser: optimiser.init(params) },
  step: (state, batch: Batch) => {
    const { value, gradients } = valueAndGrad((p: Traced<typeof params>) =>
      mean(square(sub(predict(p, batch.x), batch.y))),
    )(state.params);
    const next = optimiser.update(state.params, gradients, state.optimiser);
    return { state: { params: next.params, optimiser: next.state }, metrics: { loss: value } };
  },
  options: { guard: "all", threads: 1 },
});
const norms = compile((x: Tensor) => sum(mul(x, x)), { threads: 1 });

/** Memory in MiB after garbage collection: resident, and without what JavaScript's heap keeps in reserve. */
function memory(): { readonly resident: number; readonly used: number } {
  collect?.();
  const { rss, heapTotal, heapUsed } = process.memoryUsage();
  return { resident: rss / 2 ** 20, used: (rss - heapTotal + heapUsed) / 2 ** 20 };
}

const samples: { readonly step: number; readonly resident: number; readonly used: number }[] = [];
for (let i = 0; i < steps; i++) {
  const batch = { x: normalArray(randomKey(i), [16, 32]), y: normalArray(randomKey(i + 1), [16, 8]) };
  await trainer.step(batch);
  if (every > 0 && i % every === 0) {
    await norms(normalArray(randomKey(i), [1 + (i % 999)]));
    await evaluate({ x: mul(batch.x, 2) });
    const once = compile((x: Tensor) => add(x, i), { threads: 1 });
    await once(batch.x);
    await once.close();
  }
  // A step of another shape compiles another graph; most are released again.
  if (every > 0 && i % (10 * every) === 0)
    await trainer.step({ x: zerosArray([1 + (i % 97), 32]), y: zerosArray([1 + (i % 97), 8]) });
  if ((i + 1) % Math.ceil(steps / 20) === 0) {
    const { resident, used } = memory();
    samples.push({ step: i + 1, resident, used });
    console.error(`step ${i + 1}: ${resident.toFixed(1)} MiB resident, ${used.toFixed(1)} MiB used`);
  }
}
await trainer.close();
await norms.close();

/** Least-squares slope of the memory used over the second half of the samples, when the allocator has settled. */
const settled = samples.slice(samples.length / 2);
const middle = settled.reduce((total, { step }) => total + step, 0) / settled.length;
const level = settled.reduce((total, { used }) => total + used, 0) / settled.length;
const slope =
  settled.reduce((total, { step, used }) => total + (step - middle) * (used - level), 0) /
  settled.reduce((total, { step }) => total + (step - middle) ** 2, 0);
console.log(
  JSON.stringify({
    steps,
    first: samples[0],
    last: samples.at(-1),
    kibibytesPerStep: slope * 1024,
  }),
);
