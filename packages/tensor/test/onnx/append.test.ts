import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  add,
  appendOnnx,
  exportOnnx,
  importOnnx,
  l2Normalize,
  matmul,
  max,
  mean,
  mul,
  type NDArray,
  normalArray,
  openOnnx,
  randomKey,
  sub,
  type Tensor,
  where,
} from "../../src/index.ts";
import { ModelProtoSchema } from "../../src/onnx/onnx_pb.ts";

const WIDTH = 4;
const x: NDArray<"float32"> = normalArray(randomKey(1), [2, 3, WIDTH]);
const weights = normalArray(randomKey(2), [WIDTH, 5]);

/** Unit mean over tokens, through a matrix: reductions of three kinds. */
const tail = exportOnnx(
  (p, { features }) => {
    const pooled = l2Normalize(mean(features, { axes: 1 }));
    // A maximum over tokens, less itself: nothing but an operator more.
    const highest = max(features, { axes: 1 });
    return { vector: matmul(add(pooled, sub(highest, highest)), p.weights) };
  },
  { params: { weights }, inputs: { features: { shape: ["batch", "sequence", WIDTH] } } },
);

type Node = NonNullable<NonNullable<MessageInitShape<typeof ModelProtoSchema>["graph"]>["node"]>[number];
interface Written {
  readonly nodes: readonly Node[];
  readonly opset: number;
  readonly output: string;
  readonly elemType?: number;
}

const value = (name: string, elemType: number, dims: readonly (number | string)[]) => ({
  name,
  type: {
    tensorType: {
      elemType,
      shape: {
        dim: dims.map((dim) => ({
          value:
            typeof dim === "number"
              ? { case: "dimValue" as const, value: BigInt(dim) }
              : { case: "dimParam" as const, value: dim },
        })),
      },
    },
  },
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "append-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function write(name: string, { nodes, opset, output, elemType = 1 }: Written): Promise<string> {
  const model = create(ModelProtoSchema, {
    irVersion: 7n,
    opsetImport: [{ domain: "", version: BigInt(opset) }],
    graph: {
      name,
      node: [...nodes],
      input: [value("x", 1, ["batch", "sequence", WIDTH])],
      output: [value(output, elemType, ["batch", "sequence", WIDTH])],
    },
  });
  const path = join(folder, `${name}.onnx`);
  await writeFile(path, toBinary(ModelProtoSchema, model));
  return path;
}

/** By loops, of tokens [2, 3, 4]. */
function expected(tokens: ArrayLike<number>): number[] {
  return [0, 1].flatMap((row) => {
    const sums = [0, 1, 2, 3].map((d) =>
      [0, 1, 2].reduce((sum, t) => sum + (tokens[(row * 3 + t) * WIDTH + d] as number) / 3, 0),
    );
    const norm = Math.hypot(...sums);
    return [0, 1, 2, 3, 4].map((e) =>
      sums.reduce((sum, v, d) => sum + (v / norm) * (weights.data[d * 5 + e] as number), 0),
    );
  });
}

async function ran(bytes: Uint8Array): Promise<number[]> {
  await using session = await openOnnx(bytes);
  expect(session.outputs.map(({ name }) => name)).toEqual(["vector"]);
  return Array.from((await session.run({ x })).vector?.data as Float32Array);
}

function close(actual: readonly number[], wanted: readonly number[], tolerance: number): void {
  expect(actual).toHaveLength(wanted.length);
  actual.forEach((v, i) => {
    expect(Math.abs(v - (wanted[i] as number)), `${i}`).toBeLessThan(tolerance);
  });
}

describe("a second model behind a first", () => {
  it.each([9, 11, 13, 17, 18, 21])("in opset %i", async (opset) => {
    const first = await write(`plain-${opset}`, {
      opset,
      output: "hidden",
      nodes: [{ opType: "Identity", input: ["x"], output: ["hidden"] }],
    });
    close(
      await ran(await appendOnnx(first, tail, { connect: { features: "hidden" } })),
      expected(x.data),
      1e-5,
    );
  });

  it("of 16-bit floats, whose output is cast", async () => {
    const to = (type: number) => [{ name: "to", type: 2, i: BigInt(type) }];
    const first = await write("half", {
      opset: 13,
      output: "hidden",
      elemType: 10,
      nodes: [{ opType: "Cast", input: ["x"], output: ["hidden"], attribute: to(10) }],
    });
    // A 16-bit float has 11 bits.
    close(
      await ran(await appendOnnx(first, tail, { connect: { features: "hidden" } })),
      expected(x.data),
      5e-3,
    );
  });

  it("that is quantised and cannot be taken apart", async () => {
    const first = await write("quantised", {
      opset: 13,
      output: "hidden",
      nodes: [
        { opType: "DynamicQuantizeLinear", input: ["x"], output: ["q", "scale", "zero"] },
        { opType: "DequantizeLinear", input: ["q", "scale", "zero"], output: ["hidden"] },
      ],
    });
    await expect(importOnnx(first)).rejects.toThrow("DynamicQuantizeLinear");
    const whole = await appendOnnx(first, tail, { connect: { features: "hidden" } });
    await using session = await openOnnx(first);
    const tokens = (await session.run({ x })).hidden as NDArray;
    close(await ran(whole), expected(tokens.data as Float32Array), 1e-5);
  });

  it("gives way where names meet, also a second time", async () => {
    const first = await write("clash", {
      opset: 17,
      output: "vector",
      nodes: [
        { opType: "Neg", input: ["x"], output: ["append/features"] },
        { opType: "Neg", input: ["append/features"], output: ["vector"] },
      ],
    });
    const once = await appendOnnx(first, tail, {
      connect: { features: "vector" },
      metadata: { recipe: "r" },
    });
    close(await ran(once), expected(x.data), 1e-5);
    expect(fromBinary(ModelProtoSchema, once).metadataProps).toMatchObject([{ key: "recipe", value: "r" }]);
    const path = join(folder, "once.onnx");
    await writeFile(path, once);
    const double = exportOnnx((_, { given }: { given: Tensor }) => ({ vector: mul(given, 2) }), {
      inputs: { given: { shape: ["batch", 5] } },
    });
    const twice = await appendOnnx(path, double, { connect: { given: "vector" } });
    close(
      await ran(twice),
      expected(x.data).map((v) => 2 * v),
      1e-5,
    );
  });

  it("brings an input that the first does without", async () => {
    const first = await write("unmasked", {
      opset: 14,
      output: "hidden",
      nodes: [{ opType: "Identity", input: ["x"], output: ["hidden"] }],
    });
    const masked = exportOnnx(
      (_, { features, keep }: { features: Tensor; keep: Tensor }) => ({ vector: where(keep, features, 0) }),
      {
        inputs: {
          features: { shape: ["batch", "sequence", WIDTH] },
          keep: { shape: ["batch", "sequence", 1], dtype: "bool" },
        },
      },
    );
    const whole = await appendOnnx(first, masked, { connect: { features: "hidden", keep: "keep" } });
    await using session = await openOnnx(whole);
    expect(session.inputs.map(({ name }) => name)).toEqual(["x", "keep"]);
    await expect(appendOnnx(first, masked, { connect: { features: "hidden" } })).rejects.toThrow(
      "nothing is connected to 'keep'",
    );
    await expect(appendOnnx(first, masked, { connect: { features: "no", keep: "keep" } })).rejects.toThrow(
      "makes no 'no'",
    );
  });
});
