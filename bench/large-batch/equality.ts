import {
  concat,
  createCachedTrainer,
  foldIn,
  keyTensor,
  minimise,
  type NDArray,
  narrow,
  randomKey,
  sgd,
  type Tensor,
  treeEntries,
} from "@concord/tensor";
import { contrast, initialParams, pairs, type TowerShape, type TwoTowers, towers } from "./towers.ts";

/** How far the gradient by cached embeddings is from that of one graph over the whole batch, dropout on. */
export interface Equality {
  /** Of each parameter the largest difference over the largest entry of its gradient; the largest of those. */
  readonly largestDifference: number;
  readonly parameter: string;
  /** Difference of the losses over the loss. */
  readonly lossDifference: number;
}

/** Gradients by the paths of the parameters, from one step of gradient descent with rate 1. */
function slopes(before: unknown, after: unknown): Map<string, Float64Array> {
  const ends = new Map(treeEntries(after) as [string, NDArray][]);
  return new Map(
    (treeEntries(before) as [string, NDArray][]).map(([path, { data }]) => [
      path,
      Float64Array.from(data as Float32Array, (x, i) => x - Number(ends.get(path)?.data[i])),
    ]),
  );
}

export async function compareGradients(
  batch: number,
  chunkRows: number,
  shape: TowerShape,
): Promise<Equality> {
  // A rate that makes the step large beside the rounding of the parameters; it cancels.
  const params = initialParams(shape);
  const optimiser = sgd({ learningRate: 1000 });
  const key = randomKey(1);
  const data = pairs(batch, shape);
  const cached = createCachedTrainer({ params, optimiser, towers, loss: contrast, chunkRows, key });
  const whole = minimise({
    params,
    optimiser,
    loss: (p: TwoTowers, inputs: { readonly image: Tensor; readonly text: Tensor }) => {
      const embed = (name: "image" | "text", tower: number): Tensor => {
        const parts: Tensor[] = [];
        for (let start = 0; start < batch; start += chunkRows) {
          const chunkKey = foldIn(foldIn(foldIn(key, 0), tower), start / chunkRows);
          const rows = narrow(inputs[name], 0, start, Math.min(chunkRows, batch - start));
          parts.push(towers[name](p, rows, keyTensor(chunkKey)));
        }
        return concat(parts);
      };
      return contrast({ image: embed("image", 0), text: embed("text", 1) }, p).loss;
    },
  });
  const [one, other] = [await cached.step(data), await whole.step(data)];
  const found = slopes(params, cached.state().params);
  let [largestDifference, parameter] = [0, ""];
  for (const [path, expected] of slopes(params, whole.state().params)) {
    const largest = expected.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
    const difference = expected.reduce(
      (m, x, i) => Math.max(m, Math.abs(x - Number(found.get(path)?.[i]))),
      0,
    );
    if (difference / largest > largestDifference) {
      [largestDifference, parameter] = [difference / largest, path];
    }
  }
  await cached.close();
  await whole.close();
  return { largestDifference, parameter, lossDifference: Math.abs(one.loss / other.loss - 1) };
}
