import { asTensor, evaluate, type NDArray, reshape, resize, transpose } from "@concord/tensor";

/**
 * Position embeddings for another grid of patches: the row of the class token stays, the others are resampled as a
 * picture by bicubic interpolation with antialiasing (a = -1/2).
 *
 * @param position  [1 + H W, D], the class token first, then patches row by row
 * @param oldGrid   [H, W], e.g. [16, 16]
 * @param newGrid   [H', W'], e.g. [9, 74] for a spectrogram of 126 bins and 1036 frames
 * @returns [1 + H' W', D]
 * @throws RangeError when the rows do not fit the old grid or a side is no integer >= 1
 * @source released code, model/process_clip.py:600-661
 */
export async function positionResize(
  position: NDArray,
  oldGrid: readonly [number, number],
  newGrid: readonly [number, number],
): Promise<NDArray<"float32">> {
  const [rows, D] = position.shape as [number, number];
  const [H, W] = oldGrid;
  if ([...oldGrid, ...newGrid].some((side) => !Number.isInteger(side) || side < 1))
    throw new RangeError(
      `positionResize: sides must be integers >= 1, got [${oldGrid.join(", ")}] and [${newGrid.join(", ")}]`,
    );
  if (position.shape.length !== 2 || rows !== 1 + H * W)
    throw new RangeError(
      `positionResize: a grid of ${H} x ${W} and a class token need [${1 + H * W}, D], got [${position.shape.join(", ")}]`,
    );
  const values = Float32Array.from(position.data as Float32Array);
  const grid: NDArray<"float32"> = { dtype: "float32", shape: [1, H, W, D], data: values.slice(D) };
  const planes = transpose(asTensor(grid), [0, 3, 1, 2]);
  const { patches } = await evaluate({
    patches: reshape(
      transpose(resize(planes, { size: newGrid, mode: "cubic", antialias: true }), [0, 2, 3, 1]),
      [-1],
    ),
  });
  const data = new Float32Array((1 + newGrid[0] * newGrid[1]) * D);
  data.set(values.subarray(0, D));
  data.set(patches.data as Float32Array, D);
  return { dtype: "float32", shape: [1 + newGrid[0] * newGrid[1], D], data };
}
