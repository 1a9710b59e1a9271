import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  constant,
  EngineError,
  exportOnnx,
  matmul,
  ndarray,
  OnnxImportError,
  openOnnx,
  type Tensor,
  tanh,
} from "../../src/index.ts";
import { ModelProtoSchema } from "../../src/onnx/onnx_pb.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-inference-"));
});
afterAll(() => rm(folder, { recursive: true }));

const weights = ndarray([
  [1, 2, 3],
  [4, 5, 6],
]);

function tensorType(elemType: number, dims: readonly (number | string)[]) {
  const dim = dims.map((size) => ({
    value:
      typeof size === "number"
        ? ({ case: "dimValue", value: BigInt(size) } as const)
        : ({ case: "dimParam", value: size } as const),
  }));
  return { tensorType: { elemType, shape: { dim } } };
}

/** A model of one node; `external` puts its stored vector of two floats into another file. */
function oneNode(
  op: string,
  type: number,
  external?: { readonly location: string; readonly offset?: string },
  depth = 0,
): Uint8Array {
  const reads = external ? ["x", "w"] : ["x"];
  const proto = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: "", version: 17n }],
    graph: {
      name: "one",
      node: [{ name: "node", opType: op, input: reads, output: ["y"] }],
      input: [{ name: "x", type: tensorType(type, ["batch", 2]) }],
      output: [{ name: "y", type: tensorType(type, ["batch", 2]) }],
      initializer: external
        ? [
            {
              name: "w",
              dims: [2n],
              dataType: 1,
              dataLocation: 1,
              externalData: [
                { key: "location", value: external.location },
                { key: "offset", value: external.offset ?? "0" },
                { key: "length", value: "8" },
              ],
            },
          ]
        : [],
    },
  });
  let graph = proto.graph;
  for (let level = 0; level < depth && graph; level++) {
    const inner = create(ModelProtoSchema, { graph: { name: `inner ${level}` } }).graph;
    graph.node.push({ ...(proto.graph?.node[0] as (typeof graph.node)[number]), attribute: [] });
    const last = graph.node.at(-1) as (typeof graph.node)[number];
    last.attribute = create(ModelProtoSchema, {
      graph: { node: [{ attribute: [{ name: "body", type: 5, ...(inner ? { g: inner } : {}) }] }] },
    }).graph?.node[0]?.attribute as typeof last.attribute;
    graph = last.attribute[0]?.g;
  }
  return toBinary(ModelProtoSchema, proto);
}

it("runs a model at any size, and says what it takes and gives", async () => {
  const model = exportOnnx((_, { x }: { x: Tensor }) => ({ y: tanh(matmul(x, constant(weights))) }), {
    inputs: { x: { shape: ["batch", 2] } },
  });
  await using session = await openOnnx(model);
  expect(session.inputs).toEqual([{ name: "x", type: "float32", shape: ["batch", 2] }]);
  expect(session.outputs).toMatchObject([{ name: "y", type: "float32", shape: ["batch", 3] }]);
  expect(session.externalFiles).toEqual([]);
  for (const rows of [1, 3]) {
    const { y } = await session.run({ x: ndarray(Array(rows).fill([0.1, 0])) });
    expect(y?.shape).toEqual([rows, 3]);
    expect(Array.from(y?.data as Float32Array).slice(0, 3)).toEqual(
      [0.1, 0.2, 0.3].map((v) => expect.closeTo(Math.tanh(v), 6)),
    );
  }
  await expect(session.run({})).rejects.toThrow("input 'x' is missing");
  await expect(session.run({ x: ndarray([[1, 2, 3]]) })).rejects.toThrow(EngineError);
  await expect(session.run({ x: ndarray([[1, 2]]) }, ["z"])).rejects.toThrow("no output 'z'; it has y");
  await expect(session.run({ x: ndarray([[1, 2]], { dtype: "int32" }) })).rejects.toThrow(
    "input 'x' is float32, which int32 cannot be fed to",
  );
});

it("converts between the model's types and those of the engine", async () => {
  const feeds = { x: ndarray([[1.5, -2]]) };
  await using half = await openOnnx(oneNode("Neg", 10));
  expect(half.inputs[0]?.type).toBe("float16");
  const { y } = await half.run(feeds);
  expect(y).toMatchObject({ dtype: "float32", shape: [1, 2] });
  expect(Array.from(y?.data as Float32Array)).toEqual([-1.5, 2]);
  await using int64 = await openOnnx(oneNode("Neg", 7));
  const { y: integers } = await int64.run({ x: ndarray([[1, -2]], { dtype: "int32" }) });
  expect(integers).toMatchObject({ dtype: "int64", data: BigInt64Array.from([-1n, 2n]) });
  await using int8 = await openOnnx(oneNode("Neg", 3));
  await expect(int8.run({ x: ndarray([[1, -2]], { dtype: "int32" }) })).rejects.toThrow(
    "is int8, which is not",
  );
});

it("reads external data below the model's folder, and none elsewhere", async () => {
  await mkdir(join(folder, "model/sub"), { recursive: true });
  await writeFile(join(folder, "secret.bin"), Buffer.from(Float32Array.of(9, 9).buffer));
  await writeFile(join(folder, "model/sub/w.bin"), Buffer.from(Float32Array.of(10, 20).buffer));
  await symlink(join(folder, "secret.bin"), join(folder, "model/link.bin"));
  const path = join(folder, "model/model.onnx");
  const opened = async (location: string) => {
    await writeFile(path, oneNode("Add", 1, { location }));
    return openOnnx(path);
  };
  await using session = await opened("sub/w.bin");
  expect(session.externalFiles).toEqual(["sub/w.bin"]);
  const { y } = await session.run({ x: ndarray([[1, 2]]) });
  expect(Array.from(y?.data as Float32Array)).toEqual([11, 22]);
  await expect(opened("../secret.bin")).rejects.toThrow("expected a path below the model's folder");
  await expect(opened("link.bin")).rejects.toThrow("link that leads out");
  await expect(opened("none.bin")).rejects.toThrow("none.bin");
  await expect(openOnnx(oneNode("Add", 1, { location: "sub/w.bin" }))).rejects.toThrow("open it by its path");
});

it.each([
  ["nothing", new Uint8Array(), "no ONNX model"],
  ["text", new TextEncoder().encode("not a model at all"), "no ONNX model"],
  ["an operator that nobody knows", oneNode("Frobnicate", 1), "Frobnicate"],
  ["subgraphs without end", oneNode("Neg", 1, undefined, 12), "nested more than 8 deep"],
])("refuses %s", async (_, bytes, message) => {
  const failure = openOnnx(bytes);
  await expect(failure).rejects.toThrow(OnnxImportError);
  await expect(failure).rejects.toThrow(message);
});

it("keeps to its limits", async () => {
  await expect(openOnnx(oneNode("Neg", 1), { limits: { fileBytes: 10 } })).rejects.toThrow("more than 10");
});
