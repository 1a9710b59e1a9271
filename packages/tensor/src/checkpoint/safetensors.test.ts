import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DType, NDArray } from "../core/ndarray.ts";
import { allocate, ndarray, sizeOf } from "../core/ndarray.ts";
import type { Tree } from "../core/tree.ts";
import { decodeSafetensors, encodeSafetensors, SafetensorsError } from "./safetensors.ts";

function encode(tree: Tree<NDArray>, metadata?: Record<string, string>): Uint8Array {
  return new Uint8Array(Buffer.concat(encodeSafetensors(tree, metadata)));
}

/** A file from a header that was written by hand. */
function file(header: unknown, dataBytes = 0): Uint8Array {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(json.length));
  return new Uint8Array(Buffer.concat([head, json, Buffer.alloc(dataBytes)]));
}

const array = fc
  .record({
    dtype: fc.constantFrom<DType>("float32", "float64", "int32", "int64", "uint8", "bool"),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    seed: fc.integer({ min: 0, max: 255 }),
  })
  .map(({ dtype, shape, seed }): NDArray => {
    const data = allocate(dtype, sizeOf(shape));
    for (let i = 0; i < data.length; i++) {
      if (data instanceof BigInt64Array) data[i] = BigInt(seed - i) ** 3n;
      else data[i] = dtype === "bool" ? (seed + i) % 2 : seed - i / 8;
    }
    return { dtype, shape, data };
  });
const { tree } = fc.letrec<{ tree: Tree<NDArray> }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    array,
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("__proto__", "a/b", "~1", "")), tie("tree"), {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  ),
}));

describe("safetensors", () => {
  it("gives back any tree bit for bit", () => {
    fc.assert(
      fc.property(tree, (original) => {
        const decoded = decodeSafetensors(encode(original));
        expect(decoded.tree).toStrictEqual(original);
      }),
    );
  });

  it("keeps NaN, infinities and negative zero, and user metadata", () => {
    const original = { x: ndarray([Number.NaN, -0, Infinity, -Infinity]) };
    const { tree: copy, metadata } = decodeSafetensors(encode(original, { step: "7" }));
    expect(copy).toStrictEqual(original);
    expect(metadata.step).toBe("7");
  });

  it("writes the published layout: length, JSON padded to 8 bytes, wide elements first", () => {
    const bytes = encode({ flag: ndarray([1], { dtype: "uint8" }), weight: ndarray([1.5, 2]) });
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    expect(header["/weight"]).toEqual({ dtype: "F32", shape: [2], data_offsets: [0, 8] });
    expect(header["/flag"]).toEqual({ dtype: "U8", shape: [1], data_offsets: [8, 9] });
    expect(new Float32Array(bytes.slice(8 + length, 16 + length).buffer)).toEqual(new Float32Array([1.5, 2]));
  });

  it("reads a file of other origin as a record of names", () => {
    const bytes = file({ "model.weight": { dtype: "F32", shape: [2, 1], data_offsets: [0, 8] } }, 8);
    expect(decodeSafetensors(bytes).tree).toEqual({ "model.weight": ndarray([[0], [0]]) });
  });

  it("rejects every truncation", () => {
    const bytes = encode({ a: ndarray([1, 2, 3]), b: [ndarray([4], { dtype: "int64" })] });
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeSafetensors(bytes.subarray(0, length)), `${length} bytes`).toThrow(SafetensorsError);
    }
  });

  const entry = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
  it.each([
    ["not JSON", file("{", 0), "not JSON"],
    ["a list as header", file([], 0), "not a JSON object"],
    ["an unknown element type", file({ a: { ...entry, dtype: "F8_E4M3" } }, 8), "'F8_E4M3' is none of F32"],
    ["a size that does not match the shape", file({ a: { ...entry, shape: [3] } }, 8), "takes 12 bytes"],
    ["a negative extent", file({ a: { ...entry, shape: [-2] } }, 8), "no list of counts"],
    ["a shape that overflows", file({ a: { ...entry, shape: [2 ** 40, 2 ** 40] } }, 8), "takes"],
    ["offsets past the end", file({ a: { ...entry, data_offsets: [8, 16] } }, 8), "begins at byte"],
    ["two arrays on the same bytes", file({ a: entry, b: entry }, 8), "begins at byte"],
    ["bytes that no array owns", file({ a: entry }, 9), "the file at"],
    ["metadata that is not text", file({ __metadata__: { a: 1 } }), "object of strings"],
    ["a structure that names nothing", file({ __metadata__: { structure: '{"a":null}' } }), "missing"],
    ["a structure that is not JSON", file({ __metadata__: { structure: "{" } }), "not JSON"],
    ["a structure of numbers", file({ __metadata__: { structure: "3" } }), "holds number"],
    [
      "a structure without an array of the file",
      file({ __metadata__: { structure: "{}" }, "/a": entry }, 8),
      "names 0 arrays",
    ],
    [
      "a structure nested too deep",
      file({ __metadata__: { structure: `${"[".repeat(100)}${"]".repeat(100)}` } }),
      "deeper than",
    ],
  ])("rejects %s", (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes)).toThrow(SafetensorsError);
    expect(() => decodeSafetensors(bytes)).toThrow(message);
  });

  it("rejects a header larger than the file before reading it", () => {
    const bytes = new Uint8Array(16).fill(0xff);
    expect(() => decodeSafetensors(bytes)).toThrow("the header announces 18446744073709551615 bytes");
  });

  it("refuses to write what it could not read", () => {
    const hole = { a: undefined } as unknown as Tree<NDArray>;
    expect(() => encodeSafetensors(hole)).toThrow("'/a' must be an array");
    const short = { dtype: "float32", shape: [3], data: new Float32Array(2) } as const;
    expect(() => encodeSafetensors([short])).toThrow("'/0' has 2 values, which do not fill [3]");
  });
});
