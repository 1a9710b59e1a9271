import { infoNCE } from "@concord/align";
import {
  compile,
  l2Normalize,
  ndarray,
  normalArray,
  randomKey,
  type Tensor,
  valueAndGrad,
} from "@concord/tensor";

/**
 * Value and gradients of InfoNCE over a batch in a process of its own, whose peak memory is then its own too.
 * Arguments: batch, width, rows a block (0: the whole matrix), repetitions. Prints one line of JSON.
 */
const [batch = 0, width = 0, blockRows = 0, repetitions = 1] = process.argv.slice(2).map(Number);
const [a, b] = [normalArray(randomKey(1), [batch, width]), normalArray(randomKey(2), [batch, width])];
const scale = ndarray([14], { shape: [] });
const loss = (p: { readonly a: Tensor; readonly b: Tensor; readonly scale: Tensor }): Tensor =>
  infoNCE(l2Normalize(p.a), l2Normalize(p.b), {
    logitScale: p.scale,
    blockRows: blockRows || Number.POSITIVE_INFINITY,
  });
const slopes = compile((p: Parameters<typeof loss>[0]) => valueAndGrad(loss)(p));
const peak = (): number => process.resourceUsage().maxRSS / 1024;
const before = peak();
let seconds = Number.POSITIVE_INFINITY;
let result: Awaited<ReturnType<typeof slopes>> | undefined;
for (let i = 0; i < repetitions; i++) {
  const start = performance.now();
  result = await slopes({ a, b, scale });
  seconds = Math.min(seconds, (performance.now() - start) / 1000);
}
const norm = (data: ArrayLike<number | bigint>): number =>
  Math.hypot(...Array.from({ length: 1000 }, (_, i) => Number(data[i])));
console.log(
  JSON.stringify({
    batch,
    width,
    blockRows: blockRows || batch,
    loss: Number(result?.value.data[0]),
    slopeOfScale: Number(result?.gradients.scale.data[0]),
    slope: norm(result?.gradients.a.data ?? []),
    seconds,
    mebibytesBefore: before,
    mebibytesPeak: peak(),
  }),
);
