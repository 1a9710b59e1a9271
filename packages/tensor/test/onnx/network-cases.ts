import { ndarray } from "../../src/index.ts";
import type { Case } from "./array-cases.ts";
import { image, ints, x } from "./array-cases.ts";
import { numbers } from "./support.ts";

/** Products, windows, resampling, norms, sequences, fused operators. */
export const networkCases: readonly Case[] = [
  // Products.
  { op: "MatMul", feeds: [x, numbers([4, 5], 2)] },
  { op: "MatMul", feeds: [numbers([4]), numbers([2, 4, 3], 2)] },
  { op: "MatMul", feeds: [numbers([2, 3, 4]), numbers([4], 2)] },
  {
    op: "Gemm",
    feeds: [numbers([4, 3]), numbers([5, 4], 2)],
    stored: [numbers([5], 3)],
    attributes: { transA: 1, transB: 1, alpha: { float: 0.5 }, beta: { float: 2 } },
  },
  {
    op: "FusedMatMul",
    domain: "com.microsoft",
    feeds: [x, numbers([2, 5, 4], 2)],
    attributes: { transB: 1, alpha: { float: 0.3 } },
  },
  { op: "Einsum", feeds: [x, numbers([2, 5, 4], 2)], attributes: { equation: "bij, bkj -> bik" } },
  { op: "Einsum", feeds: [x], attributes: { equation: "...i->..." } },
  ...["zeros", "border", "reflection"].map(
    (padding): Case => ({
      op: "GridSample",
      feeds: [image, numbers([2, 3, 5, 2], 8)],
      attributes: { padding_mode: padding, align_corners: padding === "border" ? 1 : 0 },
    }),
  ),
  // Windows.
  {
    op: "Conv",
    feeds: [image],
    stored: [numbers([5, 4, 3, 2], 2), numbers([5], 3)],
    attributes: { pads: [0, 1, 2, 0], strides: [2, 1] },
  },
  {
    op: "Conv",
    feeds: [image],
    stored: [numbers([4, 1, 3, 3], 2)],
    attributes: { group: 4, dilations: [2, 1], pads: [2, 1, 2, 1] },
  },
  {
    op: "Conv",
    feeds: [numbers([2, 3, 9])],
    stored: [numbers([4, 3, 3], 2)],
    attributes: { auto_pad: "VALID" },
  },
  {
    op: "Conv",
    feeds: [numbers([1, 2, 4, 5, 4])],
    stored: [numbers([3, 2, 2, 3, 2], 2)],
    attributes: { pads: [1, 1, 0, 0, 1, 1] },
  },
  ...["SAME_UPPER", "SAME_LOWER"].map(
    (mode): Case => ({
      op: "Conv",
      feeds: [image],
      stored: [numbers([2, 4, 4, 3], 2)],
      attributes: { auto_pad: mode, strides: [2, 2] },
    }),
  ),
  {
    op: "ConvTranspose",
    feeds: [image],
    stored: [numbers([4, 3, 3, 2], 2), numbers([3], 3)],
    attributes: { strides: [2, 3], pads: [1, 0, 0, 1], output_padding: [1, 0] },
  },
  {
    op: "ConvTranspose",
    feeds: [image],
    stored: [numbers([4, 2, 3, 3], 2)],
    attributes: { group: 2, strides: [2, 2], auto_pad: "SAME_UPPER" },
  },
  {
    op: "ConvTranspose",
    feeds: [image],
    stored: [numbers([4, 2, 3, 3], 2)],
    attributes: { strides: [2, 2], output_shape: [14, 12] },
  },
  {
    op: "MaxPool",
    feeds: [image],
    attributes: { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 0, 1] },
  },
  { op: "MaxPool", feeds: [image], attributes: { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 } },
  {
    op: "MaxPool",
    feeds: [image],
    attributes: { kernel_shape: [3, 3], strides: [2, 2], auto_pad: "SAME_UPPER" },
  },
  {
    op: "AveragePool",
    feeds: [image],
    attributes: { kernel_shape: [3, 3], strides: [2, 1], pads: [1, 1, 1, 1] },
  },
  {
    op: "AveragePool",
    feeds: [image],
    attributes: { kernel_shape: [3, 3], strides: [2, 1], pads: [1, 0, 0, 1], count_include_pad: 1 },
  },
  {
    op: "AveragePool",
    feeds: [image],
    attributes: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1, pads: [0, 1, 0, 1] },
  },
  {
    op: "AveragePool",
    feeds: [image],
    attributes: { kernel_shape: [2, 3], strides: [2, 2], auto_pad: "SAME_LOWER" },
  },
  { op: "GlobalAveragePool", feeds: [image] },
  { op: "GlobalMaxPool", feeds: [image] },
  // Resampling.
  ...["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"].flatMap((mode) =>
    ["nearest", "linear", "cubic"].map(
      (kind): Case => ({
        op: "Resize",
        feeds: [numbers([1, 2, 5, 4], 7)],
        stored: [null, ndarray([1, 1, 1.6, 2.25])],
        attributes: { mode: kind, coordinate_transformation_mode: mode },
      }),
    ),
  ),
  { op: "Resize", feeds: [image], stored: [null, null, ints([2, 4, 3, 11])], attributes: { mode: "linear" } },
  ...["floor", "ceil", "round_prefer_ceil"].map(
    (mode): Case => ({
      op: "Resize",
      feeds: [image],
      stored: [null, ndarray([1, 1, 2, 0.5])],
      attributes: { mode: "nearest", nearest_mode: mode, coordinate_transformation_mode: "asymmetric" },
    }),
  ),
  // Norms.
  {
    op: "BatchNormalization",
    feeds: [image],
    stored: [numbers([4], 1), numbers([4], 2), numbers([4], 3), ndarray([0.5, 1, 2, 3])],
    attributes: { epsilon: { float: 1e-3 } },
  },
  { op: "LayerNormalization", feeds: [x], stored: [numbers([4], 1), numbers([4], 2)] },
  { op: "LayerNormalization", feeds: [x], stored: [numbers([3, 4], 1)], attributes: { axis: 1 } },
  { op: "InstanceNormalization", feeds: [image], stored: [numbers([4], 1), numbers([4], 2)] },
  {
    op: "GroupNormalization",
    feeds: [image],
    stored: [numbers([4], 1), numbers([4], 2)],
    attributes: { num_groups: 2 },
    opset: 21,
  },
  { op: "RMSNormalization", feeds: [x], stored: [numbers([4], 1)], opset: 23 },
  { op: "LpNormalization", feeds: [x], attributes: { axis: 1, p: 1 } },
  { op: "LpNormalization", feeds: [x] },
  { op: "MeanVarianceNormalization", feeds: [image] },
  // Sequences.
  {
    op: "GRU",
    feeds: [numbers([5, 2, 3])],
    stored: [
      numbers([1, 12, 3], 2),
      numbers([1, 12, 4], 3),
      numbers([1, 24], 4),
      null,
      numbers([1, 2, 4], 5),
    ],
    attributes: { hidden_size: 4, linear_before_reset: 1, direction: "reverse" },
    outputs: ["float32", "float32"],
  },
  {
    op: "GRU",
    feeds: [numbers([5, 2, 3])],
    stored: [numbers([2, 12, 3], 2), numbers([2, 12, 4], 3), null, ndarray([5, 3], { dtype: "int32" })],
    attributes: { hidden_size: 4, linear_before_reset: 1, direction: "bidirectional" },
    outputs: ["float32", "float32"],
  },
  {
    op: "LSTM",
    feeds: [numbers([5, 2, 3])],
    stored: [
      numbers([2, 16, 3], 2),
      numbers([2, 16, 4], 3),
      numbers([2, 32], 4),
      null,
      numbers([2, 2, 4], 5),
      numbers([2, 2, 4], 6),
    ],
    attributes: { hidden_size: 4, direction: "bidirectional" },
    outputs: ["float32", "float32", "float32"],
  },
  // Stored in few bits.
  {
    op: "DequantizeLinear",
    feeds: [ndarray([1, 200, 3, 4, 5, 6], { shape: [2, 3], dtype: "uint8" })],
    stored: [ndarray([0.5, 0.25, 2]), ndarray([3, 2, 1], { dtype: "uint8" })],
    attributes: { axis: 1 },
  },
  // Fused by ONNX Runtime's optimisers.
  { op: "BiasGelu", domain: "com.microsoft", feeds: [x], stored: [numbers([4], 2)] },
  { op: "FastGelu", domain: "com.microsoft", feeds: [x], stored: [numbers([4], 2)], tolerance: 1e-4 },
  { op: "Gelu", domain: "com.microsoft", feeds: [x] },
  { op: "QuickGelu", domain: "com.microsoft", feeds: [x] },
  {
    op: "SkipLayerNormalization",
    domain: "com.microsoft",
    feeds: [x, numbers([2, 3, 4], 6)],
    stored: [numbers([4], 2), numbers([4], 3), numbers([4], 4)],
    attributes: { epsilon: { float: 1e-5 } },
  },
  {
    op: "SkipSimplifiedLayerNormalization",
    domain: "com.microsoft",
    feeds: [x, numbers([2, 3, 4], 6)],
    stored: [numbers([4], 2)],
    attributes: { epsilon: { float: 1e-5 } },
  },
  { op: "SimplifiedLayerNormalization", feeds: [x], stored: [numbers([4], 2)] },
  {
    op: "Attention",
    domain: "com.microsoft",
    feeds: [x],
    stored: [
      numbers([4, 12], 2),
      numbers([12], 3),
      ndarray(
        [
          [1, 1, 0],
          [1, 1, 1],
        ],
        { dtype: "int32" },
      ),
    ],
    attributes: { num_heads: 2 },
    tolerance: 1e-4,
  },
  {
    op: "Attention",
    domain: "com.microsoft",
    feeds: [x],
    stored: [numbers([4, 12], 2), numbers([12], 3)],
    attributes: { num_heads: 2, unidirectional: 1 },
    tolerance: 1e-4,
  },
  {
    op: "Attention",
    domain: "com.microsoft",
    feeds: [x],
    stored: [numbers([4, 12], 2), numbers([12], 3), ndarray([2, 3], { dtype: "int32" })],
    attributes: { num_heads: 2 },
    tolerance: 1e-4,
  },
  {
    op: "EmbedLayerNormalization",
    domain: "com.microsoft",
    feeds: [
      ndarray(
        [
          [1, 2, 0],
          [4, 3, 2],
        ],
        { dtype: "int32" },
      ),
      ndarray(
        [
          [0, 1, 1],
          [0, 0, 1],
        ],
        { dtype: "int32" },
      ),
    ],
    stored: [
      numbers([5, 4], 2),
      numbers([6, 4], 3),
      numbers([2, 4], 4),
      numbers([4], 5),
      numbers([4], 6),
      ndarray(
        [
          [1, 1, 0],
          [1, 1, 1],
        ],
        { dtype: "int32" },
      ),
    ],
    attributes: { epsilon: { float: 1e-6 } },
    outputs: ["float32", "int32"],
  },
  ...(
    [
      ["Relu", []],
      ["Clip", [-0.5, 1]],
      ["LeakyRelu", [0.2]],
      ["HardSigmoid", [0.3, 0.4]],
      ["Tanh", []],
      ["Sigmoid", []],
    ] as const
  ).map(
    ([activation, params]): Case => ({
      op: "FusedConv",
      domain: "com.microsoft",
      feeds: [image],
      stored: [numbers([3, 4, 2, 2], 2), numbers([3], 3)],
      attributes: { activation, ...(params.length > 0 && { activation_params: { floats: params } }) },
    }),
  ),
  {
    op: "FusedGemm",
    domain: "com.microsoft",
    feeds: [numbers([3, 4])],
    stored: [numbers([5, 4], 2), numbers([5], 3)],
    attributes: { transB: 1, activation: "LeakyRelu", activation_alpha: { float: 0.3 } },
  },
];
