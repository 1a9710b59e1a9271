// Paired vectors with known faults, and small encoders that make them.
import { writeFile } from "node:fs/promises";
import {
  concat,
  exportOnnx,
  foldIn,
  matmul,
  type NDArray,
  normalArray,
  randomKey,
  softmax,
  type Tensor,
  tanh,
} from "@concord/tensor";

export const WIDTH = 16;
const LATENT = 6;
/** Turned by about this angle in each of four planes. */
const ANGLE = 1.4;

export interface PairedWorld {
  readonly a: NDArray<"float32">;
  readonly b: NDArray<"float32">;
  /** What both show, [rows, 6]. */
  readonly latent: NDArray<"float32">;
  readonly labels: readonly (readonly string[])[];
}

/**
 * Both sides show the same latent vector through one random matrix; side b is turned in four planes and moved by one
 * vector (a modality gap), and each side has noise of its own.
 */
export function pairedWorld(rows: number, seed = 1): PairedWorld {
  const key = randomKey(seed);
  const latent = normalArray(foldIn(key, 0), [rows, LATENT]);
  const mixing = normalArray(foldIn(key, 1), [LATENT, WIDTH], 0, 1 / Math.sqrt(LATENT));
  const gap = normalArray(foldIn(key, 2), [WIDTH]);
  const a = normalArray(foldIn(key, 3), [rows, WIDTH], 0, 0.15);
  const b = normalArray(foldIn(key, 4), [rows, WIDTH], 0, 0.15);
  for (let row = 0; row < rows; row++) {
    const shown = Array.from({ length: WIDTH }, (_, d) => {
      let sum = 0;
      for (let k = 0; k < LATENT; k++)
        sum += (latent.data[row * LATENT + k] as number) * (mixing.data[k * WIDTH + d] as number);
      return sum;
    });
    const turned = [...shown];
    for (let plane = 0; plane < 4; plane++) {
      const [x, y] = [shown[2 * plane] as number, shown[2 * plane + 1] as number];
      turned[2 * plane] = Math.cos(ANGLE) * x - Math.sin(ANGLE) * y;
      turned[2 * plane + 1] = Math.sin(ANGLE) * x + Math.cos(ANGLE) * y;
    }
    for (let d = 0; d < WIDTH; d++) {
      const at = row * WIDTH + d;
      a.data[at] = (a.data[at] as number) + (shown[d] as number);
      b.data[at] = (b.data[at] as number) + (turned[d] as number) + (gap.data[d] as number);
    }
  }
  const labels = Array.from({ length: rows }, (_, row) =>
    Array.from({ length: 4 }, (_, k) =>
      (latent.data[row * LATENT + k] as number) > 0.3 ? [`c${k}`] : [],
    ).flat(),
  );
  return { a, b, latent, labels };
}

/** A model [batch, 16] -> [batch, 16] of vectors: x W, or tanh(x W) V with a hidden layer. */
export function vectorModel(seed: number, hidden = 0): Uint8Array {
  const key = randomKey(seed);
  const scale = 1 / Math.sqrt(WIDTH);
  // Weights of nested parameters have names with slashes.
  const params = {
    layers: {
      first: normalArray(foldIn(key, 0), [WIDTH, hidden || WIDTH], 0, scale),
      second: normalArray(foldIn(key, 1), [hidden || 1, WIDTH], 0, 1 / Math.sqrt(hidden || 1)),
    },
  };
  return exportOnnx(
    ({ layers }, { vector }) => {
      const x = matmul(vector, layers.first);
      return { embedding: hidden === 0 ? x : matmul(tanh(x), layers.second) };
    },
    { params, inputs: { vector: { shape: ["batch", WIDTH] } } },
  );
}

/** Rows of a matrix as lists. */
export function rowsOf({ shape, data }: NDArray<"float32">): number[][] {
  const [rows = 0, width = 0] = shape;
  return Array.from({ length: rows }, (_, row) => Array.from(data.slice(row * width, (row + 1) * width)));
}

/** Pairs whose cells are vectors, as JSONL. */
export async function writeVectorPairs(path: string, { a, b, labels }: PairedWorld): Promise<void> {
  const [left, right] = [rowsOf(a), rowsOf(b)];
  const lines = left.map((row, i) =>
    JSON.stringify({
      left: JSON.stringify(row),
      right: JSON.stringify(right[i]),
      label: labels[i]?.join("|"),
    }),
  );
  await writeFile(path, `${lines.join("\n")}\n`);
}

/**
 * A model [batch, 16] -> [batch, 32] that runs but cannot be imported: x W beside a one-hot of its largest number, by an
 * operator (Hardmax) that the engine does not have.
 */
export function closedModel(seed: number): Uint8Array {
  const weights = normalArray(randomKey(seed), [WIDTH, WIDTH], 0, 1 / Math.sqrt(WIDTH));
  const bytes = exportOnnx(
    (p, { vector }: { vector: Tensor }) => {
      const hidden = matmul(vector, p.weights);
      return { embedding: concat([hidden, softmax(hidden, 1)], 1) };
    },
    { params: { weights }, inputs: { vector: { shape: ["batch", WIDTH] } } },
  );
  // Both names have seven letters, so that no length in the file changes.
  const model = Buffer.from(bytes);
  for (let at = model.indexOf("Softmax"); at >= 0; at = model.indexOf("Softmax", at))
    model.write("Hardmax", at);
  return model;
}
