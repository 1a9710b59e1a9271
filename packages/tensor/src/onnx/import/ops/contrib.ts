import type { Tensor } from "../../../core/tensor.ts";
import { geluTanh, leakyRelu } from "../../../ops/activations.ts";
import { add, cast, clamp, less, lessOrEqual, mul, sub, where } from "../../../ops/arithmetic.ts";
import { arange, zeros } from "../../../ops/create.ts";
import { gather } from "../../../ops/gather.ts";
import { gelu, relu, sigmoid, tanh } from "../../../ops/math.ts";
import { matmul } from "../../../ops/matmul.ts";
import { softmax } from "../../../ops/reduce.ts";
import { narrow, split } from "../../../ops/shape.ts";
import { reshape, sum, transpose } from "../../../ops/structure.ts";
import type { NodeCall, Value } from "../call.ts";
import type { OpEntries } from "./entry.ts";
import { gemm, product } from "./linear.ts";
import { layerNormOver, rmsNormOver } from "./normalisations.ts";
import { conv, WINDOW } from "./windows.ts";

function withBias(call: NodeCall, x: Tensor, index: number): Tensor {
  const bias = call.optional(index);
  return bias ? add(x, bias) : x;
}

/** A residual sum and its norm; the sum is the fourth output. */
function skipNorm(call: NodeCall, simple: boolean): (Value | undefined)[] {
  const total = withBias(call, add(call.float(0), call.float(1)), simple ? 3 : 4);
  const epsilon = call.floatAttribute("epsilon", simple ? 1e-6 : 1e-12);
  const axis = total.rank - 1;
  const y = simple
    ? rmsNormOver(total, call.float(2), axis, epsilon)
    : layerNormOver(total, call.float(2), call.optional(3), axis, epsilon);
  if (call.node.outputs.slice(1, 3).some((name) => name !== ""))
    call.fail("its statistics are not supported");
  return [y, undefined, undefined, total];
}

/** Self-attention with packed weights: [B, N, D_in] to [B, N, D]. */
function attention(call: NodeCall): Tensor {
  const [x, weights] = [call.float(0), call.float(1)];
  if ([4, 5, 6].some((i) => call.has(i))) call.fail("past states and relative biases are not supported");
  if (call.ints("qkv_hidden_sizes")) call.fail("qkv_hidden_sizes is not supported");
  const heads = call.requiredInt("num_heads");
  const [batch, length] = x.shape as [number, number];
  const packed = withBias(call, product(call, x, weights), 2);
  const [q, k, v] = split(packed, 3, -1).map((part) =>
    transpose(reshape(part, [batch, length, heads, (part.shape[2] as number) / heads]), [0, 2, 1, 3]),
  ) as [Tensor, Tensor, Tensor];
  const scale = call.floatAttribute("scale", 0) || 1 / Math.sqrt(q.shape[3] as number);
  const hidden = call.floatAttribute("mask_filter_value", -10000);
  let scores = matmul(q, k, { transposeB: true, scale });
  call.trace.charge(length);
  const at = arange(length, "int32");
  const mask = call.optional(3);
  if (mask) {
    // Either 1 for each position that counts, or the number of positions that count.
    const lengths = mask.rank === 1 && mask.shape[0] === batch;
    if (!lengths && (mask.rank !== 2 || mask.shape[1] !== length))
      call.fail("its mask must be [batch, positions] or [batch]");
    const counts = lengths ? less(at, reshape(cast(mask, "int32"), [batch, 1])) : mask;
    const shown = cast(reshape(counts, [batch, 1, 1, length]), scores.dtype);
    scores = add(scores, mul(sub(1, shown), hidden));
  }
  if (call.flag("unidirectional", false)) {
    scores = where(lessOrEqual(at, reshape(at, [length, 1])), scores, hidden);
  }
  const mixed = transpose(matmul(softmax(scores), v), [0, 2, 1, 3]);
  return reshape(mixed, [batch, length, -1]);
}

/** Word, position and segment vectors, summed and normalised, and how many positions of each text count. */
function embedLayerNorm(call: NodeCall): (Value | undefined)[] {
  const ids = call.tensor(0);
  const [batch, length] = ids.shape as [number, number];
  const [table, gain, bias] = [call.float(3), call.float(5), call.float(6)];
  if (ids.rank !== 2) call.fail("its ids must be [batch, positions]");
  const positions = call.has(8) ? gather(table, call.tensor(8)) : narrow(table, 0, 0, length);
  const words = add(gather(call.float(2), ids), positions);
  const total = call.has(4) ? add(words, gather(call.float(4), call.tensor(1))) : words;
  const y = layerNormOver(total, gain, bias, 2, call.floatAttribute("epsilon", 1e-12));
  const counts = call.has(7) ? sum(cast(call.tensor(7), "int32"), { axes: 1 }) : zeros([batch], "int32");
  return [y, counts, total];
}

/** The activation that ends a fused operator. */
function activated(call: NodeCall, x: Tensor, params: readonly number[]): Tensor {
  const [alpha, beta] = params as [number, number];
  const name = call.text("activation", "");
  switch (name) {
    case "":
      return x;
    case "Relu":
      return relu(x);
    case "Tanh":
      return tanh(x);
    case "Sigmoid":
      return sigmoid(x);
    case "LeakyRelu":
      return leakyRelu(x, alpha);
    case "Clip":
      return clamp(x, alpha, beta);
    case "HardSigmoid":
      return clamp(add(mul(x, alpha), beta), 0, 1);
    default:
      return call.fail(`activation '${name}' is not supported`);
  }
}

function fusedConv(call: NodeCall): Tensor {
  const y = conv(call);
  return activated(call, withBias(call, y, 3), call.floats("activation_params") ?? []);
}

function fusedGemm(call: NodeCall): Tensor {
  const params = ["activation_alpha", "activation_beta"].map((name) => call.floatAttribute(name, 0));
  return activated(call, gemm(call), params);
}

/** Fused operators that ONNX Runtime's optimisers write. */
export const contribOps: OpEntries = {
  Attention: {
    attributes: [
      "num_heads",
      "scale",
      "unidirectional",
      "mask_filter_value",
      "qkv_hidden_sizes",
      "do_rotary",
    ],
    note: "self-attention without past states; mask [batch, positions] or [batch]",
    lazy: attention,
  },
  BiasGelu: { attributes: [], lazy: (call) => gelu(add(call.float(0), call.float(1))) },
  EmbedLayerNormalization: { attributes: ["epsilon", "mask_index_type"], lazy: embedLayerNorm },
  FastGelu: { attributes: [], lazy: (call) => geluTanh(withBias(call, call.float(0), 1)) },
  FusedConv: {
    attributes: [...WINDOW, "group", "activation", "activation_params"],
    note: "one to three spatial axes",
    lazy: fusedConv,
  },
  FusedGemm: {
    attributes: ["alpha", "beta", "transA", "transB", "activation", "activation_alpha", "activation_beta"],
    lazy: fusedGemm,
  },
  FusedMatMul: {
    attributes: ["alpha", "transA", "transB", "transBatchA", "transBatchB"],
    lazy: (call) => {
      if (call.flag("transBatchA", false) || call.flag("transBatchB", false))
        call.fail("transposed batches are not supported");
      return product(call, call.float(0), call.float(1), {
        transposeA: call.flag("transA", false),
        transposeB: call.flag("transB", false),
        scale: call.floatAttribute("alpha", 1),
      });
    },
  },
  Gelu: { attributes: [], lazy: (call) => gelu(call.float(0)) },
  QuickGelu: {
    attributes: ["alpha"],
    lazy: (call) => mul(call.float(0), sigmoid(mul(call.float(0), call.floatAttribute("alpha", 1.702)))),
  },
  SkipLayerNormalization: { attributes: ["epsilon"], lazy: (call) => skipNorm(call, false) },
  SkipSimplifiedLayerNormalization: { attributes: ["epsilon"], lazy: (call) => skipNorm(call, true) },
};
