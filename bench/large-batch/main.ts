import { compareGradients } from "./equality.ts";
import { type Memory, measured } from "./measured.ts";
import { defaultShape } from "./towers.ts";

/**
 * What large batches take on a small machine: InfoNCE over 8,192 pairs by blocks of rows and as a whole, and a step of
 * two 4-layer towers on 8,192 pairs by cached gradients. Each is measured in a process of its own.
 *
 *   node --conditions=source bench/large-batch/main.ts [pairs] [rows a chunk] [width of the loss]
 */
const [batch = 8192, chunkRows = 64, width = 256] = process.argv.slice(2).map(Number);

interface LossRecord extends Memory {
  readonly seconds: number;
}
const line = (name: string, { mebibytesPeak, mebibytesBefore }: LossRecord, seconds: number): void =>
  console.log(
    `${name.padEnd(44)} peak ${mebibytesPeak.toFixed(0).padStart(6)} MiB` +
      ` (before the first step ${mebibytesBefore.toFixed(0)} MiB), ${seconds.toFixed(2)} s`,
  );

for (const blockRows of [0, 128, 512]) {
  const record = await measured<LossRecord>("./loss-process.ts", [batch, width, blockRows, 3]);
  line(
    `InfoNCE ${batch} × ${width}, ${blockRows === 0 ? "whole" : `${blockRows} rows a block`}`,
    record,
    record.seconds,
  );
}
const towers = await measured<Omit<LossRecord, "seconds"> & { readonly seconds: readonly number[] }>(
  "./towers-process.ts",
  [batch, chunkRows, 2],
);
line(
  `two towers, ${batch} pairs, ${chunkRows} rows a chunk`,
  { ...towers, seconds: 0 },
  Math.min(...towers.seconds),
);
const { largestDifference, parameter, lossDifference } = await compareGradients(200, 64, defaultShape);
console.log(
  `gradient of 200 pairs in chunks of 64 against one graph, dropout on: largest difference ` +
    `${largestDifference.toExponential(1)} of the largest entry (in ${parameter}), loss ${lossDifference.toExponential(1)}`,
);
