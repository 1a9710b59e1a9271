// Runs an ONNX file with onnxruntime-node alone: node plain-runtime.mjs MODEL < feeds.json > outputs.json
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-node";

const session = await ort.InferenceSession.create(process.argv[2], { intraOpNumThreads: 1 });
const feeds = JSON.parse(readFileSync(0, "utf8"));
const arrays = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array, bool: Uint8Array };
const results = [];
for (const feed of feeds) {
  const tensors = Object.entries(feed).map(([name, { dtype, shape, values }]) => {
    const numbers = dtype === "int64" ? values.map(BigInt) : values;
    return [name, new ort.Tensor(dtype, arrays[dtype].from(numbers), shape)];
  });
  const outputs = await session.run(Object.fromEntries(tensors));
  results.push(
    Object.fromEntries(
      Object.entries(outputs).map(([name, { type, dims, data }]) => [
        name,
        { dtype: type, shape: dims, values: Array.from(data, Number) },
      ]),
    ),
  );
}
console.log(JSON.stringify({ inputs: session.inputNames, outputs: session.outputNames, results }));
