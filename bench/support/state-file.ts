import { readFileSync } from "node:fs";

export interface StoredArray {
  readonly shape: number[];
  readonly data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
}

/** The arrays of the file by path, such as "params/image/head/weight". */
export type StoredState = ReadonlyMap<string, StoredArray>;

/** Reads the file that the benchmark hands to each engine. It does so without Concord, whose memory would be counted. */
export function readState(path: string): StoredState {
  const bytes = new Uint8Array(readFileSync(path));
  const headerLength = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const start = 8 + headerLength;
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start))) as Record<
    string,
    { readonly dtype: string; readonly shape: number[]; readonly data_offsets: readonly [number, number] }
  >;
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(([name, { dtype, shape, data_offsets: offsets }]): [string, StoredArray] => {
        const buffer = bytes.buffer.slice(start + offsets[0], start + offsets[1]);
        const data = dtype === "I32" ? new Int32Array(buffer) : new Float32Array(buffer);
        return [name.slice(1), { shape, data }];
      }),
  );
}

/** The arrays below a path, by the rest of theirs. */
export function below(state: StoredState, folder: string): Map<string, StoredArray> {
  const prefix = `${folder}/`;
  return new Map(
    [...state]
      .filter(([path]) => path.startsWith(prefix))
      .map(([path, array]) => [path.slice(prefix.length), array]),
  );
}

/**
 * The array at a path.
 *
 * @throws Error when the file has none there
 */
export function arrayAt(state: StoredState, path: string): StoredArray {
  const array = state.get(path);
  if (!array) throw new Error(`the state file holds no array '${path}'`);
  return array;
}
