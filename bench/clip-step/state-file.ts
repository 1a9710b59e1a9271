import { readFileSync } from "node:fs";

export interface StoredArray {
  readonly shape: number[];
  readonly data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
}

export interface StoredState {
  /** By path, such as "image/blocks/layers/0/expand/weight". */
  readonly params: ReadonlyMap<string, StoredArray>;
  readonly images: StoredArray;
  readonly ids: StoredArray;
}

/** Reads the file that the benchmark hands to each engine. It does so without Concord, whose memory would be counted. */
export function readState(path: string): StoredState {
  const bytes = new Uint8Array(readFileSync(path));
  const headerLength = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const start = 8 + headerLength;
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start))) as Record<
    string,
    { readonly dtype: string; readonly shape: number[]; readonly data_offsets: readonly [number, number] }
  >;
  const arrays = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, { dtype, shape, data_offsets: offsets }]): [string, StoredArray] => {
      const buffer = bytes.buffer.slice(start + offsets[0], start + offsets[1]);
      return [name, { shape, data: dtype === "I32" ? new Int32Array(buffer) : new Float32Array(buffer) }];
    });
  const named = new Map(arrays);
  const get = (name: string): StoredArray => {
    const array = named.get(name);
    if (!array) throw new Error(`${path} holds no array '${name}'`);
    return array;
  };
  const prefix = "/params/";
  return {
    params: new Map(
      arrays
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, array]) => [name.slice(prefix.length), array]),
    ),
    images: get("/images"),
    ids: get("/ids"),
  };
}
