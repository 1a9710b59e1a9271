// Exact search among many rows, beside a plain loop in JavaScript:
//   CONCORD_THREADS=2 node --conditions=source packages/align/bench/search.ts [rows=100000] [width=384]
import { normalArray, randomKey } from "@concord/tensor";
import { createExactIndex, createHammingIndex, packCodes } from "../src/index.ts";

const [n = 100_000, width = 384] = process.argv.slice(2).map(Number);
const QUERIES = 200;
const K = 10;

/** Standard normal values, a small table of them again and again: drawing them all would take longer than the test. */
function rowsOf(count: number, seed: number): Float32Array {
  const table = normalArray(randomKey(seed), [4_194_301]).data;
  const data = new Float32Array(count * width);
  for (let at = 0; at < data.length; at += table.length)
    data.set(table.subarray(0, Math.min(table.length, data.length - at)), at);
  return data;
}

function report(name: string, times: number[]): void {
  times.sort((a, b) => a - b);
  const at = (share: number) => (times[Math.floor(share * (times.length - 1))] as number).toFixed(2);
  console.log(`${name.padEnd(34)} median ${at(0.5)} ms, p95 ${at(0.95)} ms, least ${at(0)} ms`);
}

const data = rowsOf(n, 1);
const queries = rowsOf(QUERIES, 2);
const query = (i: number) => queries.subarray(i * width, (i + 1) * width);
console.log(`${n} rows of ${width}, k = ${K}, threads ${process.env.CONCORD_THREADS ?? "all"}`);

await using index = createExactIndex({ dtype: "float32", shape: [n, width], data });
for (let i = 0; i < 5; i++)
  await index.search({ dtype: "float32", shape: [width], data: query(i) }, { k: K });
const times: number[] = [];
for (let i = 0; i < QUERIES; i++) {
  const began = performance.now();
  await index.search({ dtype: "float32", shape: [width], data: query(i) }, { k: K });
  times.push(performance.now() - began);
}
report("engine, one query at a time", times);

const batches: number[] = [];
for (let round = 0; round < 4; round++) {
  const began = performance.now();
  await index.search(
    { dtype: "float32", shape: [64, width], data: queries.subarray(0, 64 * width) },
    { k: K },
  );
  if (round > 0) batches.push((performance.now() - began) / 64);
}
report("engine, 64 at a time, each", batches);

const loops: number[] = [];
for (let i = 0; i < 10; i++) {
  const began = performance.now();
  const q = query(i);
  const best: { index: number; score: number }[] = [];
  for (let row = 0; row < n; row++) {
    let score = 0;
    for (let d = 0, at = row * width; d < width; d++, at++) score += (data[at] as number) * (q[d] as number);
    if (best.length === K && score <= (best[K - 1]?.score as number)) continue;
    best.push({ index: row, score });
    best.sort((a, b) => b.score - a.score);
    best.length = Math.min(best.length, K);
  }
  loops.push(performance.now() - began);
}
report("plain loop", loops);

const bits = 64;
const count = 4_000_000;
const bytes = new Uint8Array((count * bits) / 8).map((_, i) => Math.imul(i, 0x9e3779b1) >>> 24);
const codes = createHammingIndex({ count, bits, bytes });
const hamming: number[] = [];
for (let i = 0; i < 20; i++) {
  const packed = packCodes({ dtype: "float32", shape: [1, bits], data: query(i).slice(0, bits) });
  const began = performance.now();
  codes.search(packed, { k: K });
  hamming.push(performance.now() - began);
}
report(`Hamming, ${count / 1e6} million codes of ${bits}`, hamming);
