import { expect, test } from "vitest";
import { compareGradients } from "./equality.ts";
import { type Memory, measured } from "./measured.ts";

interface LossRecord extends Memory {
  readonly loss: number;
  readonly slopeOfScale: number;
}

test("blocks of rows keep the memory of InfoNCE below that of its matrix", async () => {
  const pairs = 4096;
  const [whole, blocked] = [
    await measured<LossRecord>("./loss-process.ts", [pairs, 32, 0, 2]),
    await measured<LossRecord>("./loss-process.ts", [pairs, 32, 64, 2]),
  ];
  const matrix = (pairs * pairs * 4) / 2 ** 20;
  const extra = ({ mebibytesPeak, mebibytesBefore }: LossRecord): number => mebibytesPeak - mebibytesBefore;
  // The whole form holds several copies of the matrix, the blocked one several blocks of 1 MiB and the runtime itself.
  expect(extra(whole)).toBeGreaterThan(4 * matrix);
  expect(extra(blocked)).toBeLessThan(1.5 * matrix);
  expect(Math.abs(blocked.loss / whole.loss - 1)).toBeLessThan(1e-5);
});

test("cached gradients of two towers equal those of the whole batch, dropout on", async () => {
  const shape = { width: 16, layers: 2, patches: 5, patchSize: 6, words: 4, vocabulary: 20 };
  const { largestDifference, parameter, lossDifference } = await compareGradients(21, 8, shape);
  expect(largestDifference, parameter).toBeLessThan(1e-5);
  expect(lossDifference).toBeLessThan(1e-6);
});

test("more chunks take no more memory", async () => {
  interface TowersRecord extends Memory {
    readonly losses: readonly number[];
  }
  const [few, many] = [
    await measured<TowersRecord>("./towers-process.ts", [16, 8, 2, 1]),
    await measured<TowersRecord>("./towers-process.ts", [128, 8, 2, 1]),
  ];
  expect(many.losses[1]).toBeLessThan(many.losses[0] as number);
  // The batch itself is 1.5 MiB larger; activations of 112 rows more in one graph would be some 100 MiB.
  expect(many.mebibytesPeak - few.mebibytesPeak).toBeLessThan(50);
});
