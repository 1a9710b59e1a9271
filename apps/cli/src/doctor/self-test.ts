import {
  compile,
  matmul,
  normalArray,
  type Runtime,
  randomKey,
  slice,
  sum,
  type Tensor,
  zerosArray,
} from "@concord/tensor";
import { REFERENCE_LOSSES, referenceTraining } from "./reference-training.ts";

/** Largest difference to the stored losses: processors sum in different orders. */
const LOSS_TOLERANCE = 1e-4;
const MATRIX_SIZE = 1024;
const VECTOR_LENGTH = 2 ** 24;

/** One line of the report: `ok` is null for a figure that cannot be wrong. */
export interface Finding {
  readonly id: string;
  readonly label: string;
  readonly text: string;
  readonly ok: boolean | null;
  readonly value?: number;
}

export interface SelfTestOptions {
  /** Seconds spent on each measurement. */
  readonly secondsEach: number;
  readonly threads: number;
  /** Told what is being done next. */
  readonly onStart?: (label: string) => void;
}

/** Shortest of the calls that fit into the time, in seconds; at least two, after one to warm up. */
async function shortest(work: () => Promise<unknown>, seconds: number): Promise<number> {
  await work();
  const end = performance.now() + 1000 * seconds;
  let best = Number.POSITIVE_INFINITY;
  for (let calls = 0; calls < 2 || performance.now() < end; calls++) {
    const start = performance.now();
    await work();
    best = Math.min(best, performance.now() - start);
  }
  return best / 1000;
}

async function matrixProduct(runtime: Runtime, threads: number, seconds: number): Promise<Finding> {
  const size = MATRIX_SIZE;
  const [a, b] = [normalArray(randomKey(1), [size, size]), normalArray(randomKey(2), [size, size])];
  // One number comes out: results are copied on their way to JavaScript, which is not what is measured.
  const product = compile((x: Tensor, y: Tensor) => slice(matmul(x, y), [0, 0], [1, 1]), {
    runtime,
    threads,
  });
  const time = await shortest(() => product(a, b), seconds);
  const value = (2 * size ** 3) / time / 1e9;
  const label = `Matrix product, ${threads === 1 ? "1 thread" : `${threads} threads`}`;
  return {
    id: `matmul-${threads}`,
    label,
    text: `${value.toFixed(0)} GFLOP/s (float32, ${size} × ${size})`,
    ok: null,
    value,
  };
}

async function memoryBandwidth(runtime: Runtime, threads: number, seconds: number): Promise<Finding> {
  const x = zerosArray([VECTOR_LENGTH]);
  // Pages of memory that were never written are all one page.
  x.data.fill(1);
  const total = compile((v: Tensor) => sum(v), { runtime, threads });
  const value = x.data.byteLength / (await shortest(() => total(x), seconds)) / 1e9;
  return {
    id: "memory",
    label: "Memory",
    text: `${value.toFixed(1)} GB/s read (sum of 64 MiB)`,
    ok: null,
    value,
  };
}

/** Trains twice: the first time against stored losses, the second time against the first, bit by bit. */
async function trainingFindings(runtime: Runtime): Promise<readonly [Finding, Finding]> {
  const first = await referenceTraining(runtime);
  const second = await referenceTraining(runtime);
  const differences = REFERENCE_LOSSES.map((loss, step) =>
    Math.abs(loss - (first.losses[step] ?? Number.NaN)),
  );
  const worst = differences.some(Number.isNaN) ? Number.NaN : Math.max(...differences);
  const close = worst <= LOSS_TOLERANCE;
  const same = first.state.every((array, i) => {
    const other = second.state[i]?.data as ArrayLike<number>;
    return Array.prototype.every.call(array.data, (value: number, k: number) => Object.is(value, other[k]));
  });
  const distance = Number.isNaN(worst) ? "not a number" : worst.toExponential(0);
  return [
    {
      id: "training",
      label: "Training",
      text: `${REFERENCE_LOSSES.length} steps give ${close ? "the stored losses" : "other losses than stored"} (largest difference ${distance}, allowed ${LOSS_TOLERANCE})`,
      ok: close,
      value: worst,
    },
    {
      id: "repeatable",
      label: "Repeatability",
      text: same
        ? "the same training twice gives the same bits"
        : "the same training twice gives different bits",
      ok: same,
    },
  ];
}

/** Computes on a runtime: is it right, is it repeatable, how fast is it? */
export async function selfTest(runtime: Runtime, options: SelfTestOptions): Promise<readonly Finding[]> {
  const { secondsEach, threads, onStart = () => {} } = options;
  const findings: Finding[] = [];
  onStart("training, twice");
  findings.push(...(await trainingFindings(runtime)));
  for (const count of new Set([1, threads])) {
    onStart(`matrix product on ${count === 1 ? "one thread" : `${count} threads`}`);
    findings.push(await matrixProduct(runtime, count, secondsEach));
  }
  onStart("memory bandwidth");
  findings.push(await memoryBandwidth(runtime, threads, secondsEach));
  return findings;
}
