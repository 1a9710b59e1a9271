// How many of the true nearest rows the graph of neighbours finds, and how long that takes:
//   node --conditions=source packages/toolkit/bench/recall.ts [rows=210000] [width=64]
import { createExactIndex } from "@concord/align";
import { normalArray, randomKey } from "@concord/tensor";
import { openApproximateIndex } from "../src/search/approximate-index.ts";

const [n = 210_000, width = 64] = process.argv.slice(2).map(Number);
const [QUERIES, K, CENTRES] = [200, 10, 1000];

/** Rows around some centres, as embeddings lie: at a third of the distance between two centres. */
const centres = normalArray(randomKey(1), [CENTRES, width]).data;
const table = normalArray(randomKey(2), [4_194_301]).data;
const rows = new Float32Array((n + QUERIES) * width).map(
  (_, i) =>
    (centres[(Math.floor(i / width) % CENTRES) * width + (i % width)] as number) +
    0.5 * (table[i % table.length] as number),
);
const [data, queries] = [rows.subarray(0, n * width), rows.subarray(n * width)];

await using exact = createExactIndex({ dtype: "float32", shape: [n, width], data });
const truth = await exact.search({ dtype: "float32", shape: [QUERIES, width], data: queries }, { k: K });
let began = performance.now();
const graph = await openApproximateIndex(data, width, { metric: "cosine", saveAs: null, digest: "" });
console.log(`${n} rows of ${width}: built in ${((performance.now() - began) / 1000).toFixed(1)} s`);
began = performance.now();
const found = graph.search(queries, K);
const milliseconds = (performance.now() - began) / QUERIES;
let hits = 0;
for (let q = 0; q < QUERIES; q++) {
  const own = new Set(found.indices.subarray(q * K, (q + 1) * K));
  for (const index of truth.indices.subarray(q * K, (q + 1) * K)) hits += Number(own.has(index));
}
console.log(`recall@${K} ${(hits / (QUERIES * K)).toFixed(4)}, ${milliseconds.toFixed(2)} ms a query`);
