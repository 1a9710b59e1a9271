import { describe, expect, test } from "vitest";
import type { Tensor } from "../src/index.ts";
import { einsum, ones, sizeOf, tensor } from "../src/index.ts";
import { reachable } from "../src/onnx/lower.ts";
import { randomArrays, valuesOf } from "./support/arrays.ts";
import { nodesOf } from "./support/graph-nodes.ts";

async function opsOf(equation: string, ...shapes: readonly (readonly number[])[]): Promise<string[]> {
  const nodes = await nodesOf(
    (...x: Tensor[]) => einsum(equation, ...x),
    randomArrays(1, shapes, { dtype: "float32" }),
  );
  return nodes.filter((op) => op !== "Reshape");
}

describe("einsum", () => {
  test("transposes nothing where the layouts fit", async () => {
    expect(await opsOf("ij,jk->ik", [2, 3], [3, 4])).toEqual(["MatMul"]);
    expect(await opsOf("ji,kj->ki", [3, 2], [4, 3])).toEqual(["MatMul"]);
    expect(await opsOf("ij,jk->ki", [2, 3], [3, 4])).toEqual(["FusedMatMul"]);
    expect(await opsOf("bhqd,bhkd->bhqk", [2, 3, 4, 5], [2, 3, 6, 5])).toEqual(["FusedMatMul"]);
    expect(await opsOf("bhqk,bhkd->bhqd", [2, 3, 4, 6], [2, 3, 6, 5])).toEqual(["MatMul"]);
    expect(await opsOf("btd,dk->btk", [2, 3, 4], [4, 5])).toEqual(["MatMul"]);
    // Heads between the axes of the product: both operands have to be turned.
    const heads = await opsOf("bqhd,bkhd->bhqk", [2, 3, 4, 5], [2, 6, 4, 5]);
    expect(heads).toEqual(["Transpose", "Transpose", "MatMul"]);
  });

  test("multiplies the cheapest pair first", () => {
    // (A B) c would make a matrix on the way, A (B c) makes vectors only.
    const operands = [ones([9, 9]), ones([9, 9]), ones([9])];
    const sizes = reachable([einsum("ij,jk,k->i", ...operands)])
      .filter(({ source }) => source.kind === "op" && source.op.name === "matmul")
      .map(({ outputs }) => sizeOf(outputs[0]?.shape ?? []));
    expect(sizes).toEqual([9, 9]);
  });

  test("keeps integers", async () => {
    const x = tensor(
      [
        [1, 2],
        [3, 4],
      ],
      { dtype: "int32" },
    );
    expect(await valuesOf(einsum("ij,ij->i", x, x))).toEqual([5, 25]);
  });

  test("names the letter, the operands and their sizes", () => {
    const [a, b] = [ones([2, 3]), ones([4, 5])];
    expect(() => einsum("ij,jk->ik", a, b)).toThrow(
      "einsum: 'j' in 'ij,jk->ik' is 3 in operand 0 [2, 3] and 4 in operand 1 [4, 5]",
    );
    expect(() => einsum("...i,...j->...", a, b)).toThrow(
      "einsum: an axis of '...' in '...i,...j->...' is 2 in operand 0 [2, 3] and 4 in operand 1 [4, 5]",
    );
    expect(() => einsum("ii->i", a)).toThrow(
      "einsum: 'i' in 'ii->i' is 2 in operand 0 [2, 3] and 3 in operand 0",
    );
    expect(() => einsum("ij,jk->ik", a)).toThrow("einsum: 'ij,jk->ik' names 2 operands, got 1");
    expect(() => einsum("ijk->i", a)).toThrow(
      "einsum: operand 0 'ijk' has shape [2, 3], but 3 axes are named",
    );
    expect(() => einsum("...ijk->i", a)).toThrow(
      "einsum: operand 0 '...ijk' has shape [2, 3], but at least 3 axes are named",
    );
    expect(() => einsum("ij->k", a)).toThrow("einsum: 'k' in the result of 'ij->k' is in no operand");
    expect(() => einsum("ij->...", a)).not.toThrow();
    expect(() => einsum("ij->ii", a)).toThrow("einsum: 'i' stands twice in the result of 'ij->ii'");
    expect(() => einsum("i2->i", a)).toThrow(
      "einsum: 'i2' in 'i2->i' is no list of letters with at most one '...'",
    );
    expect(() => einsum("ij->i->j", a)).toThrow("einsum: 'ij->i->j' has more than one '->'");
    expect(() => einsum("ij,ij->i", a, ones([2, 3], "float64"))).toThrow(
      "einsum: operands have dtypes float32, float64; convert with cast()",
    );
  });
});
