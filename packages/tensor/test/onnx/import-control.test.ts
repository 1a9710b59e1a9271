import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { importOnnx, ndarray, toNumbers } from "../../src/index.ts";
import { TensorProtoSchema } from "../../src/onnx/onnx_pb.ts";
import type { GraphInput } from "./support.ts";
import { bytesOf, expectSameAsOrt, graphOf, modelOf, numbers, runLayer } from "./support.ts";

const int = (value: number) => ({ tensor: ndarray([value], { shape: [], dtype: "int64" }) });
const bool = (value: number) => ({ tensor: ndarray([value], { shape: [], dtype: "bool" }) });

describe("control flow that follows from shapes", () => {
  const branch = (op: string): GraphInput => ({
    nodes: [{ op, inputs: ["x"], outputs: ["r"] }],
    outputs: ["r"],
  });

  it("If takes one branch, which reads values around it", async () => {
    for (const rows of [2, 5]) {
      const graph = graphOf({
        nodes: [
          { op: "Shape", inputs: ["x"], outputs: ["shape"] },
          { op: "Constant", inputs: [], outputs: ["zero"], attributes: { value: int(0) } },
          { op: "Constant", inputs: [], outputs: ["three"], attributes: { value: int(3) } },
          { op: "Gather", inputs: ["shape", "zero"], outputs: ["rows"] },
          { op: "Less", inputs: ["rows", "three"], outputs: ["few"] },
          {
            op: "If",
            inputs: ["few"],
            outputs: ["y"],
            attributes: {
              then_branch: { graph: graphOf(branch("Tanh")) },
              else_branch: { graph: graphOf(branch("Exp")) },
            },
          },
        ],
        inputs: { x: { shape: ["n", 3] } },
        outputs: ["y"],
      });
      await expectSameAsOrt(bytesOf(modelOf(graph)), { x: numbers([rows, 3]) });
    }
  });

  it("Loop is written out, with carried and scanned values", async () => {
    const body = graphOf(
      {
        nodes: [
          { op: "Add", inputs: ["carried", "x"], outputs: ["next"] },
          { op: "Cast", inputs: ["turn"], outputs: ["number"], attributes: { to: 1 } },
          { op: "Mul", inputs: ["next", "number"], outputs: ["scanned"] },
          { op: "Identity", inputs: ["goOn"], outputs: ["still"] },
        ],
        inputs: {
          turn: { dtype: "int64", shape: [] },
          goOn: { dtype: "bool", shape: [] },
          carried: { shape: [3] },
        },
        outputs: ["still", "next", "scanned"],
      },
      { still: "bool" },
    );
    const graph = graphOf({
      nodes: [
        { op: "Constant", inputs: [], outputs: ["turns"], attributes: { value: int(4) } },
        { op: "Constant", inputs: [], outputs: ["go"], attributes: { value: bool(1) } },
        {
          op: "Loop",
          inputs: ["turns", "go", "x"],
          outputs: ["last", "all"],
          attributes: { body: { graph: body } },
        },
      ],
      inputs: { x: { shape: [3] } },
      outputs: ["last", "all"],
    });
    await expectSameAsOrt(bytesOf(modelOf(graph)), { x: numbers([3]) });
  });

  it("refuses conditions that depend on the data", async () => {
    const graph = graphOf({
      nodes: [
        { op: "ReduceSum", inputs: ["x"], outputs: ["s"], attributes: { keepdims: 0 } },
        { op: "Cast", inputs: ["s"], outputs: ["c"], attributes: { to: 9 } },
        {
          op: "If",
          name: "choice",
          inputs: ["c"],
          outputs: ["y"],
          attributes: {
            then_branch: { graph: graphOf(branch("Tanh")) },
            else_branch: { graph: graphOf(branch("Exp")) },
          },
        },
      ],
      inputs: { x: { shape: [3] } },
      outputs: ["y"],
    });
    const layer = await importOnnx(bytesOf(modelOf(graph)));
    expect(() => layer.apply({}, { x: numbers([3]) })).toThrow(
      /node 'choice' \(If, opset 17\): its condition depends on the data/,
    );
  });
});

describe("element types", () => {
  const halves = [0x3c00, 0xc000, 0x3555, 0x0001, 0x7bff, 0x8000];
  const values = [1, -2, 0.333251953125, 2 ** -24, 65504, -0];

  it("16-bit floats become float32", async () => {
    const half = create(TensorProtoSchema, {
      name: "w",
      dims: [6n],
      dataType: 10,
      rawData: new Uint8Array(Uint16Array.from(halves).buffer),
    });
    const brain = create(TensorProtoSchema, {
      name: "b",
      dims: [2n],
      dataType: 16,
      int32Data: [0x3f80, 0xc040],
    });
    const graph = graphOf({
      nodes: [
        { op: "Cast", inputs: ["w"], outputs: ["y"], attributes: { to: 1 } },
        { op: "Cast", inputs: ["b"], outputs: ["z"], attributes: { to: 1 } },
      ],
      outputs: ["y", "z"],
    });
    graph.initializer = [half, brain];
    const layer = await importOnnx(bytesOf(modelOf(graph)));
    const { y, z } = await runLayer(layer, {});
    expect(toNumbers(y as never)).toEqual(values);
    expect(toNumbers(z as never)).toEqual([1, -3]);
    expect(layer.params.w?.dtype).toBe("float32");
  });

  it("small integers are widened, numbers stored one by one are read", async () => {
    const tensors = [
      { name: "a", dims: [3n], dataType: 3, rawData: Uint8Array.from([255, 1, 128]) },
      { name: "b", dims: [2n], dataType: 12, uint64Data: [4294967295n, 7n] },
      { name: "c", dims: [2n], dataType: 9, int32Data: [5, 0] },
      { name: "d", dims: [2n], dataType: 1, floatData: [0.5, -1] },
    ].map((fields) => create(TensorProtoSchema, fields));
    const names = ["a", "b", "c", "d"];
    const graph = graphOf({
      nodes: names.map((name) => ({ op: "Identity", inputs: [name], outputs: [`y${name}`] })),
      outputs: names.map((name) => `y${name}`),
    });
    graph.initializer = tensors;
    const outputs = await runLayer(await importOnnx(bytesOf(modelOf(graph))), {});
    expect(Object.values(outputs).map(({ dtype }) => dtype)).toEqual(["int32", "int64", "bool", "float32"]);
    expect(Object.values(outputs).map(toNumbers)).toEqual([
      [-1, 1, -128],
      [4294967295, 7],
      [1, 0],
      [0.5, -1],
    ]);
  });

  it("names types that it does not know", async () => {
    const graph = graphOf({
      nodes: [{ op: "Identity", inputs: ["s"], outputs: ["y"] }],
      outputs: ["y"],
    });
    graph.initializer = [
      create(TensorProtoSchema, { name: "s", dims: [1n], dataType: 8, stringData: [new Uint8Array(1)] }),
    ];
    await expect(importOnnx(bytesOf(modelOf(graph)))).rejects.toThrow(
      /initializer 's' has element type string; supported are float32, uint8/,
    );
  });
});
