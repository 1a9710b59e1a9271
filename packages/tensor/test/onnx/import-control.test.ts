import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { importOnnx, ndarray, toNumbers } from "../../src/index.ts";
import type { ModelProto } from "../../src/onnx/onnx_pb.ts";
import { FunctionProtoSchema, TensorProtoSchema } from "../../src/onnx/onnx_pb.ts";
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

describe("functions of the model", () => {
  const own = "pkg.own";
  /** scaled(a) = max(a · factor, 0) + inner(a), inner(b) = b²; the factor is an attribute. */
  function model(): ModelProto {
    const graph = graphOf({
      nodes: [
        { op: "scaled", domain: own, inputs: ["x"], outputs: ["h"], attributes: { factor: { float: 2 } } },
        { op: "scaled", domain: own, inputs: ["h"], outputs: ["y"], attributes: { factor: { float: -1 } } },
      ],
      inputs: { x: { shape: ["n", 3] } },
      outputs: ["y"],
    });
    const body = graphOf({
      nodes: [
        { op: "Constant", inputs: [], outputs: ["f"], attributes: { value_float: { float: 0 } } },
        { op: "Mul", inputs: ["a", "f"], outputs: ["m"] },
        { op: "Relu", inputs: ["m"], outputs: ["r"] },
        { op: "inner", domain: own, inputs: ["a"], outputs: ["s"] },
        { op: "Add", inputs: ["r", "s"], outputs: ["result"] },
      ],
      outputs: [],
    });
    const [factor] = body.node[0]?.attribute ?? [];
    if (factor) Object.assign(factor, { f: 0, refAttrName: "factor" });
    const inner = graphOf({ nodes: [{ op: "Mul", inputs: ["b", "b"], outputs: ["m"] }], outputs: [] });
    const result = modelOf(graph, 17, { [own]: 1 });
    const opsetImport = result.opsetImport;
    result.functions = [
      create(FunctionProtoSchema, {
        name: "scaled",
        domain: own,
        input: ["a"],
        output: ["result"],
        attribute: ["factor"],
        node: body.node,
        opsetImport,
      }),
      create(FunctionProtoSchema, {
        name: "inner",
        domain: own,
        input: ["b"],
        output: ["m"],
        node: inner.node,
        opsetImport,
      }),
    ];
    return result;
  }

  it("are put in place of their calls", async () => {
    await expectSameAsOrt(bytesOf(model()), { x: numbers([2, 3]) });
  });

  it("must not call themselves, nor need another opset", async () => {
    const endless = model();
    const [first] = endless.functions;
    const call = first?.node.find(({ opType }) => opType === "inner");
    if (call) call.opType = "scaled";
    await expect(importOnnx(bytesOf(endless))).rejects.toThrow(
      /'scaled' is called within 16 others|more than 200000/,
    );
    const other = model();
    const inner = other.functions[1];
    const [entry] = inner?.opsetImport ?? [];
    if (inner && entry) inner.opsetImport = [{ ...entry, version: 13n }];
    await expect(importOnnx(bytesOf(other))).rejects.toThrow(
      /function 'inner' is of opset 13 of '', the model of 17/,
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
