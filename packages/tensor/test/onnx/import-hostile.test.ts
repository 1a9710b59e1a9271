import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { NDArray } from "../../src/index.ts";
import { add, importOnnx, ndarray, OnnxImportError, supportedOnnxOps, toNumbers } from "../../src/index.ts";
import { TensorProtoSchema } from "../../src/onnx/onnx_pb.ts";
import type { GraphInput, NodeInput } from "./support.ts";
import { bytesOf, fixture, graphOf, modelOf, numbers, runLayer } from "./support.ts";

const x = { x: { shape: [2, 3] } };
const relu: NodeInput = { op: "Relu", inputs: ["x"], outputs: ["y"] };

function bytes(graph: GraphInput, opset = 17, domains = {}): Uint8Array {
  return bytesOf(modelOf(graphOf(graph), opset, domains));
}

async function refusal(model: Uint8Array, options = {}): Promise<string> {
  const error = await importOnnx(model, options).then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(OnnxImportError);
  return (error as Error).message;
}

/** What tracing says of a graph without inputs. */
async function traceRefusal(
  nodes: readonly NodeInput[],
  initializers: Record<string, NDArray> = {},
  limits = {},
) {
  const layer = await importOnnx(bytes({ nodes, outputs: ["y"], initializers }), { limits });
  let message = "";
  try {
    layer.apply({}, {});
  } catch (error) {
    expect(error).toBeInstanceOf(OnnxImportError);
    message = (error as Error).message;
  }
  return message;
}

const int64 = (...values: number[]): NDArray => ndarray(values, { shape: [values.length], dtype: "int64" });

describe("broken structure", () => {
  it("no ONNX at all", async () => {
    expect(await refusal(new TextEncoder().encode("<html>not a model</html>"))).toMatch(
      /this is no ONNX model/,
    );
    expect(await refusal(new Uint8Array(0))).toMatch(/it has no graph/);
    expect(await refusal(new Uint8Array(100).fill(0xff))).toMatch(/this is no ONNX model/);
  });

  it("every truncation of a valid file", async () => {
    const whole = await fixture("gru-text.onnx");
    for (let length = 1; length < whole.length; length += 97)
      await expect(importOnnx(whole.slice(0, length))).rejects.toThrow(OnnxImportError);
  });

  it("cycles, values made twice or never, doubled names", async () => {
    const cycle: NodeInput[] = [
      { op: "Add", name: "first", inputs: ["x", "b"], outputs: ["a"] },
      { op: "Relu", name: "second", inputs: ["a"], outputs: ["b"] },
      { op: "Relu", inputs: ["b"], outputs: ["y"] },
    ];
    expect(await refusal(bytes({ nodes: cycle, inputs: x, outputs: ["y"] }))).toMatch(
      /nodes form a cycle: 'first', 'second'/,
    );
    expect(await refusal(bytes({ nodes: [relu, relu], inputs: x, outputs: ["y"] }))).toMatch(
      /makes 'y', which is made elsewhere too/,
    );
    expect(
      await refusal(
        bytes({
          nodes: [{ op: "Add", name: "sum", inputs: ["x", "z"], outputs: ["y"] }],
          inputs: x,
          outputs: ["y"],
        }),
      ),
    ).toMatch(/node 'sum' \(Add\) reads 'z', which nothing makes/);
    expect(await refusal(bytes({ nodes: [relu], inputs: x, outputs: ["y", "y"] }))).toMatch(/name one twice/);
    expect(await refusal(bytes({ nodes: [relu], inputs: x, outputs: ["y", ""] }))).toMatch(
      /an output has no name/,
    );
    expect(await refusal(bytes({ nodes: [relu], inputs: x, outputs: ["lost"] }))).toMatch(
      /the list of outputs reads 'lost', which nothing makes/,
    );
    const doubled = modelOf(
      graphOf({ nodes: [relu], inputs: x, outputs: ["y"], initializers: { w: int64(1) } }),
    );
    doubled.graph?.initializer.push(...(doubled.graph?.initializer ?? []));
    expect(await refusal(bytesOf(doubled))).toMatch(/initializer 'w' is there twice/);
  });

  it("nodes out of order are put in order", async () => {
    const nodes: NodeInput[] = [
      { op: "Neg", inputs: ["a"], outputs: ["y"] },
      { op: "Relu", inputs: ["x"], outputs: ["a"] },
    ];
    const layer = await importOnnx(bytes({ nodes, inputs: x, outputs: ["y"] }));
    const { y } = await runLayer(layer, { x: ndarray([1, -2, 3, -4, 5, -6], { shape: [2, 3] }) });
    expect(toNumbers(y as NDArray).map((v) => v + 0)).toEqual([-1, 0, -3, 0, -5, 0]);
  });

  it("opsets that it does not know", async () => {
    expect(await refusal(bytes({ nodes: [relu], inputs: x, outputs: ["y"] }, 9))).toMatch(
      /of opset 9; supported are 11 to 23/,
    );
    expect(
      await refusal(bytes({ nodes: [{ ...relu, domain: "org.other" }], inputs: x, outputs: ["y"] })),
    ).toMatch(/is of domain 'org.other', for which the model states no version/);
  });

  it("one error lists all that is not supported", async () => {
    const nodes: NodeInput[] = [
      { op: "Wish", name: "one", inputs: ["x"], outputs: ["a"] },
      { op: "Fancy", name: "two", domain: "org.other", inputs: ["a"], outputs: ["b"] },
      { op: "Softmax", name: "three", inputs: ["b"], outputs: ["c"], attributes: { temperature: 2 } },
      { op: "HardSwish", name: "four", inputs: ["c"], outputs: ["y"] },
      { op: "Unreached", name: "five", inputs: ["x"], outputs: ["dead"] },
    ];
    const message = await refusal(bytes({ nodes, inputs: x, outputs: ["y"] }, 13, { "org.other": 3 }));
    expect(message.split("\n")).toEqual([
      "importOnnx: 4 nodes cannot be imported (supportedOnnxOps() and docs/onnx-import.md list what can):",
      "  'one': Wish, opset 13: operator is not supported",
      "  'two': org.other.Fancy, opset 3: operator is not supported",
      "  'three': Softmax, opset 13: attribute 'temperature' not supported",
      "  'four': HardSwish, opset 13: operator is supported from opset 14",
    ]);
    expect(supportedOnnxOps().find(({ op }) => op === "HardSwish")?.opsets).toEqual([14, 23]);
  });
});

describe("absurd sizes", () => {
  const tensorModel = (fields: object): Uint8Array => {
    const graph = graphOf({ nodes: [{ op: "Identity", inputs: ["w"], outputs: ["y"] }], outputs: ["y"] });
    graph.initializer = [create(TensorProtoSchema, { name: "w", dataType: 1, ...fields })];
    return bytesOf(modelOf(graph));
  };

  it("of stored tensors", async () => {
    expect(await refusal(tensorModel({ dims: [-1n] }))).toMatch(/initializer 'w' has a negative size/);
    expect(await refusal(tensorModel({ dims: [2n ** 40n, 2n ** 40n] }))).toMatch(
      /more than 2147483648 elements/,
    );
    expect(await refusal(tensorModel({ dims: [0n, 2n ** 60n] }))).toMatch(/more than 2147483648 elements/);
    expect(await refusal(tensorModel({ dims: [1000n], rawData: new Uint8Array(8) }))).toMatch(
      /needs 4000 bytes, but 8 are there/,
    );
    expect(await refusal(tensorModel({ dims: [3n], floatData: [1, 2] }))).toMatch(
      /needs 3 values, but 2 are there/,
    );
    expect(await refusal(tensorModel({ dims: new Array(40).fill(1n), floatData: [1] }))).toMatch(
      /has 40 axes/,
    );
    expect(await refusal(tensorModel({ dims: [1n], dataType: 77 }))).toMatch(/has element type 77/);
  });

  it("of the file, its messages and numbers", async () => {
    const model = await fixture("vit.onnx");
    expect(await refusal(model, { limits: { fileBytes: 1000 } })).toMatch(
      /more than 1000 \(limits.fileBytes\)/,
    );
    expect(await refusal(model, { limits: { messages: 50 } })).toMatch(/more than 50 messages/);
    expect(await refusal(model, { limits: { numbers: 10 } })).toMatch(/more than 10 numbers/);
    expect(await refusal(model, { limits: { nodes: 10 } })).toMatch(/more than 10 \(limits.nodes\)/);
    // Two bytes a node, hundreds of bytes in memory: refused before they are made.
    const nodes = new Uint8Array(5_000_000).map((_, i) => (i % 2 === 0 ? 0x0a : 0));
    const length = [0xc0, 0x96, 0xb1, 0x02];
    const started = performance.now();
    expect(await refusal(Uint8Array.from([0x3a, ...length, ...nodes]))).toMatch(/more than 2000000 messages/);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it("of nested graphs", async () => {
    let inner = graphOf({ nodes: [{ op: "Identity", inputs: ["c"], outputs: ["y"] }], outputs: ["y"] });
    for (let i = 0; i < 10; i++) {
      const branch = { graph: inner };
      inner = graphOf({
        nodes: [
          {
            op: "If",
            inputs: ["c"],
            outputs: ["y"],
            attributes: { then_branch: branch, else_branch: branch },
          },
        ],
        ...(i === 9 && { inputs: { c: { dtype: "bool" as const, shape: [] } } }),
        outputs: ["y"],
      });
    }
    expect(await refusal(bytesOf(modelOf(inner)))).toMatch(/nested more than (8|90) deep/);
  });

  it.each([
    ["ConstantOfShape", [{ op: "ConstantOfShape", inputs: ["n"], outputs: ["y"] }], { n: int64(2 ** 40) }],
    [
      "negative ConstantOfShape",
      [{ op: "ConstantOfShape", inputs: ["n"], outputs: ["y"] }],
      { n: int64(-5) },
    ],
    [
      "Expand",
      [{ op: "Expand", inputs: ["one", "n"], outputs: ["y"] }],
      { one: int64(1), n: int64(2 ** 33, 2 ** 33) },
    ],
    ["Tile", [{ op: "Tile", inputs: ["one", "n"], outputs: ["y"] }], { one: int64(1), n: int64(2 ** 50) }],
    [
      "Range",
      [{ op: "Range", inputs: ["a", "b", "c"], outputs: ["y"] }],
      { a: int64(0), b: int64(2 ** 30), c: int64(1) },
    ],
    ["Pad", [{ op: "Pad", inputs: ["one", "n"], outputs: ["y"] }], { one: int64(1), n: int64(0, 2 ** 45) }],
    [
      "reflected Pad",
      [{ op: "Pad", inputs: ["one", "n"], outputs: ["y"], attributes: { mode: "edge" } }],
      { one: int64(1), n: int64(0, 2 ** 30) },
    ],
    [
      "a grown Trilu",
      [
        { op: "Expand", inputs: ["one", "n"], outputs: ["big"] },
        { op: "Trilu", inputs: ["big"], outputs: ["y"] },
      ],
      { one: numbers([1]), n: int64(1, 2 ** 30) },
    ],
    [
      "OneHot",
      [{ op: "OneHot", inputs: ["one", "n", "v"], outputs: ["y"] }],
      { one: int64(1), n: int64(2 ** 31), v: int64(0, 1) },
    ],
  ] as const)("made by %s", async (_, nodes, initializers) => {
    const started = performance.now();
    expect(await traceRefusal(nodes, initializers)).toMatch(/node 'n\d' \(.*|limits\.folded/);
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it("of work: endless loops, doubling constants", async () => {
    const body = graphOf(
      {
        nodes: [
          { op: "Identity", inputs: ["go"], outputs: ["still"] },
          { op: "Identity", inputs: ["v"], outputs: ["next"] },
        ],
        inputs: {
          i: { dtype: "int64", shape: [] },
          go: { dtype: "bool", shape: [] },
          v: { dtype: "int64", shape: [1] },
        },
        outputs: ["still", "next"],
      },
      { still: "bool" },
    );
    const loop: NodeInput[] = [
      { op: "Loop", inputs: ["", "", "w"], outputs: ["y"], attributes: { body: { graph: body } } },
    ];
    expect(await traceRefusal(loop, { w: int64(1) })).toMatch(/more than 200000 nodes are to be run/);
    const doubling = Array.from(
      { length: 40 },
      (_, i): NodeInput => ({
        op: "Concat",
        inputs: [i === 0 ? "w" : `c${i}`, i === 0 ? "w" : `c${i}`],
        outputs: [i === 39 ? "y" : `c${i + 1}`],
        attributes: { axis: 0 },
      }),
    );
    expect(await traceRefusal(doubling, { w: int64(1) })).toMatch(/at most 2147483648 elements/);
  });

  it("errors of operations name the node", async () => {
    const nodes: NodeInput[] = [{ op: "MatMul", name: "bad", inputs: ["x", "w"], outputs: ["y"] }];
    const layer = await importOnnx(
      bytes({ nodes, inputs: x, outputs: ["y"], initializers: { w: numbers([4, 2]) } }),
    );
    expect(() => layer.apply({}, { x: numbers([2, 3]) })).toThrow(
      /node 'bad' \(MatMul, opset 17\): matmul: .* inner sizes 3 and 4 differ/,
    );
    const shapeFromData: NodeInput[] = [{ op: "Reshape", name: "r", inputs: ["w", "x"], outputs: ["y"] }];
    const dynamic = await importOnnx(
      bytes({
        nodes: shapeFromData,
        inputs: { x: { dtype: "int64", shape: [2] } },
        outputs: ["y"],
        initializers: { w: numbers([4, 2]) },
      }),
    );
    expect(() => dynamic.apply({}, { x: add(int64(8, 1), int64(0, 0)) })).toThrow(
      /node 'r' \(Reshape, opset 17\): its target shape \(input 1, 'x'\) depends on the data/,
    );
  });
});
