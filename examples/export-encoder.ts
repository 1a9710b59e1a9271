// A text encoder becomes an ONNX file, for batches and texts of any size, and runs with ONNX Runtime alone.
import { type TextTransformerParams, textTransformer, textTransformerInit } from "@concord/nn";
import {
  compile,
  exportOnnx,
  l2Normalize,
  ndarray,
  randomKey,
  slice,
  type Tensor,
  type Traced,
} from "@concord/tensor";
import * as ort from "onnxruntime-node";

const CONTEXT = 16;
const WIDTH = 32;
const params = textTransformerInit(randomKey(0), {
  vocabulary: 100,
  context: CONTEXT,
  width: WIDTH,
  layers: 2,
  outputs: 24,
});

/** Texts of any length up to the context: positions beyond the text are cut off. */
function encode(p: Traced<TextTransformerParams>, { ids, mask }: { ids: Tensor; mask: Tensor }) {
  const positions = slice(p.positions, [0, 0], [ids.shape[1] as number, WIDTH]);
  return { embedding: l2Normalize(textTransformer({ ...p, positions }, ids, mask, { heads: 4 })) };
}

const model = exportOnnx(encode, {
  inputs: {
    ids: { shape: ["batch", "tokens"], dtype: "int64" },
    mask: { shape: ["batch", "tokens"] },
  },
  params,
  axes: { tokens: { maximum: CONTEXT } },
  producerVersion: "0.1.0",
  metadata: { task: "sentence embedding", normalised: "true" },
});
console.log(`${model.length} bytes`);

// From here on nothing but ONNX Runtime is needed.
const session = await ort.InferenceSession.create(model);
const embed = compile(encode);
for (const [batch, tokens] of [
  [1, 4],
  [3, 16],
] as const) {
  const ids = BigInt64Array.from({ length: batch * tokens }, (_, i) => BigInt((7 * i) % 100));
  const mask = new Float32Array(batch * tokens).fill(1);
  const { embedding } = await session.run({
    ids: new ort.Tensor(ids, [batch, tokens]),
    mask: new ort.Tensor(mask, [batch, tokens]),
  });
  const own = await embed(params, {
    ids: { dtype: "int64", shape: [batch, tokens], data: ids },
    mask: ndarray(mask, { shape: [batch, tokens] }),
  });
  const found = embedding?.data as Float32Array;
  const difference = Math.max(...found.map((v, i) => Math.abs(v - Number(own.embedding.data[i]))));
  console.log(
    `${batch} texts of ${tokens} tokens: [${embedding?.dims.join(", ")}], difference ${difference.toExponential(1)}`,
  );
}
