import type { Key, Traced } from "@concord/tensor";
import {
  add,
  checkAxes,
  conv2d,
  foldIn,
  globalAveragePool,
  maxPool2d,
  relu,
  type Tensor,
} from "@concord/tensor";
import type { BatchNormMode, NormParams, RunningStatistics } from "./batch-norm.ts";
import { normalizeBatch, normInit, runningStatistics } from "./batch-norm.ts";
import type { ConvParams } from "./convolution.ts";
import { convInit, samePadding } from "./convolution.ts";
import type { LinearParams } from "./linear.ts";
import { linear, linearInit } from "./linear.ts";

/** Blocks of the four stages, and their kind. */
export interface ResNetPreset {
  /** "basic": two 3×3 convolutions; "bottleneck": 1×1, 3×3, 1×1 with four times the width at the end. */
  readonly block: "basic" | "bottleneck";
  readonly blocks: readonly number[];
}

/**
 * The depths of the paper.
 *
 * @source He et al. 2016, table 1
 */
export const resnetPresets = {
  resnet18: { block: "basic", blocks: [2, 2, 2, 2] },
  resnet34: { block: "basic", blocks: [3, 4, 6, 3] },
  resnet50: { block: "bottleneck", blocks: [3, 4, 6, 3] },
} as const satisfies Readonly<Record<string, ResNetPreset>>;

const BOTTLENECK_EXPANSION = 4;

export interface ResNetOptions {
  /** One of `resnetPresets`, or own numbers. */
  readonly preset: ResNetPreset;
  /** Input channels. Default 3. */
  readonly channels?: number;
  /** Widths of the stages. Default 64, doubled by each stage. */
  readonly widths?: readonly number[];
  /**
   * "imagenet" (default): 7×7 of stride 2 and a 3×3 max pooling of stride 2, which quarters the sides; "small": 3×3 of
   * stride 1, for images of about 32 × 32 pixels (He et al. 2016, section 4.2).
   */
  readonly stem?: "imagenet" | "small";
  /** Width of the linear head; without one the features come out as they are. */
  readonly outputs?: number;
}

/** A convolution without bias and the batch normalisation after it. */
export interface NormedConvParams {
  readonly conv: ConvParams;
  readonly norm: NormParams;
}

export interface ResNetBlockParams {
  readonly layers: readonly NormedConvParams[];
  /** A 1×1 convolution where the block changes width or size. */
  readonly shortcut?: NormedConvParams;
}

export interface ResNetParams {
  readonly stem: NormedConvParams;
  readonly stages: readonly (readonly ResNetBlockParams[])[];
  readonly head?: LinearParams;
}

export interface ResNetBlockStatistics {
  readonly layers: readonly RunningStatistics[];
  readonly shortcut?: RunningStatistics;
}

/** Running statistics of every batch normalisation, nested as the parameters are. */
export interface ResNetStatistics {
  readonly stem: RunningStatistics;
  readonly stages: readonly (readonly ResNetBlockStatistics[])[];
}

function normedConvInit(key: Key, inputs: number, outputs: number, kernel: number): NormedConvParams {
  return { conv: convInit(key, { inputs, outputs, kernel: [kernel, kernel] }), norm: normInit(outputs) };
}

/** Only the first block of a stage after the first halves the sides. */
function strideOf(stage: number, block: number): number {
  return stage > 0 && block === 0 ? 2 : 1;
}

function blockInit(
  key: Key,
  kind: ResNetPreset["block"],
  inputs: number,
  width: number,
  stride: number,
): ResNetBlockParams {
  const outputs = kind === "basic" ? width : width * BOTTLENECK_EXPANSION;
  const plan: readonly (readonly [outputs: number, kernel: number])[] =
    kind === "basic"
      ? [
          [width, 3],
          [width, 3],
        ]
      : [
          [width, 1],
          [width, 3],
          [outputs, 1],
        ];
  const layers = plan.map(([filters, kernel], i) =>
    normedConvInit(foldIn(key, i), plan[i - 1]?.[0] ?? inputs, filters, kernel),
  );
  if (stride === 1 && inputs === outputs) return { layers };
  return { layers, shortcut: normedConvInit(foldIn(key, plan.length), inputs, outputs, 1) };
}

/**
 * Parameters of a ResNet.
 *
 *   const params = resnetInit(key, { preset: resnetPresets.resnet18, stem: "small", outputs: 10 });
 *   const statistics = resnetStatistics(params);
 *
 * @throws RangeError when there are no stages, or not one width for each
 */
export function resnetInit(key: Key, options: ResNetOptions): ResNetParams {
  const { preset, channels = 3, stem = "imagenet", outputs } = options;
  const { block, blocks } = preset;
  const { widths = blocks.map((_, i) => 64 * 2 ** i) } = options;
  const first = widths[0];
  if (first === undefined || widths.length !== blocks.length)
    throw new RangeError(`resnet: needs one width for each of ${blocks.length} stages, got ${widths.length}`);
  const expansion = block === "basic" ? 1 : BOTTLENECK_EXPANSION;
  const stages = blocks.map((count, stage) => {
    const stageKey = foldIn(foldIn(key, 1), stage);
    const width = widths[stage] as number;
    const before = stage === 0 ? first : (widths[stage - 1] as number) * expansion;
    return Array.from({ length: count }, (_, i) =>
      blockInit(foldIn(stageKey, i), block, i === 0 ? before : width * expansion, width, strideOf(stage, i)),
    );
  });
  const trunk = {
    stem: normedConvInit(foldIn(key, 0), channels, first, stem === "imagenet" ? 7 : 3),
    stages,
  };
  if (outputs === undefined) return trunk;
  const inputs = (widths.at(-1) as number) * expansion;
  return { ...trunk, head: linearInit(foldIn(key, 2), { inputs, outputs }) };
}

function statisticsOf({ norm }: NormedConvParams): RunningStatistics {
  return runningStatistics(norm.gain.shape[0] as number);
}

/** The running statistics before the first batch, for the given parameters. */
export function resnetStatistics({ stem, stages }: ResNetParams): ResNetStatistics {
  return {
    stem: statisticsOf(stem),
    stages: stages.map((blocks) =>
      blocks.map(({ layers, shortcut }) => ({
        layers: layers.map(statisticsOf),
        ...(shortcut && { shortcut: statisticsOf(shortcut) }),
      })),
    ),
  };
}

interface Normed {
  readonly y: Tensor;
  readonly statistics: Traced<RunningStatistics>;
}

function normedConv(
  { conv, norm }: Traced<NormedConvParams>,
  statistics: Traced<RunningStatistics>,
  x: Tensor,
  stride: number,
  mode: BatchNormMode,
): Normed {
  const filtered = conv2d(x, conv.weight, { stride, padding: samePadding(conv.weight) });
  return normalizeBatch(norm, statistics, filtered, mode);
}

function applyBlock(
  params: Traced<ResNetBlockParams>,
  statistics: Traced<ResNetBlockStatistics>,
  x: Tensor,
  stride: number,
  mode: BatchNormMode,
): { readonly y: Tensor; readonly statistics: Traced<ResNetBlockStatistics> } {
  // The 3×3 convolution of a bottleneck takes the step, not the 1×1 before it, which would skip three pixels in four.
  const strided = params.layers.length === 3 ? 1 : 0;
  const last = params.layers.length - 1;
  const layers: Traced<RunningStatistics>[] = [];
  let y = x;
  params.layers.forEach((layer, i) => {
    const known = statistics.layers[i] as Traced<RunningStatistics>;
    const normed = normedConv(layer, known, y, i === strided ? stride : 1, mode);
    layers.push(normed.statistics);
    y = i === last ? normed.y : relu(normed.y);
  });
  if (!params.shortcut || !statistics.shortcut) return { y: relu(add(y, x)), statistics: { layers } };
  const shortcut = normedConv(params.shortcut, statistics.shortcut, x, stride, mode);
  return { y: relu(add(y, shortcut.y)), statistics: { layers, shortcut: shortcut.statistics } };
}

/** What a ResNet makes of a batch. */
export interface ResNetResult {
  /** [B, outputs], or without a head the features: [B, D]. Not normalised. */
  readonly y: Tensor;
  /** The last stage's map before pooling: [B, D, h, w]. */
  readonly features: Tensor;
  /** Running statistics after this batch; the given ones outside training. */
  readonly statistics: Traced<ResNetStatistics>;
}

/**
 * ResNet: a stem, stages of residual blocks x ← ReLU(F(x) + x), the mean over positions and, if there is one, a linear
 * head. What the stem and the blocks are follows from the shapes of the parameters.
 *
 *   const { y, statistics } = resnet(params, state.statistics, images);
 *
 * @param statistics  running statistics of the batch normalisations: state that a training step carries along
 * @param images      [B, C, H, W]
 * @param mode        `{ training: false }` normalises by the running statistics
 * @throws ShapeError when the channels differ from those of the parameters
 * @source He et al. 2016; the step of a bottleneck is in its 3×3 convolution
 */
export function resnet(
  params: Traced<ResNetParams>,
  statistics: Traced<ResNetStatistics>,
  images: Tensor,
  mode: BatchNormMode = {},
): ResNetResult {
  checkAxes("resnet", { images: [images, "B C H W"], stem: [params.stem.conv.weight, "O C kh kw"] });
  const fullSize = params.stem.conv.weight.shape[2] === 3;
  const stem = normedConv(params.stem, statistics.stem, images, fullSize ? 1 : 2, mode);
  const activated = relu(stem.y);
  let features = fullSize ? activated : maxPool2d(activated, 3, { stride: 2, padding: 1 });
  const stages = params.stages.map((blocks, stage) =>
    blocks.map((block, i) => {
      const known = statistics.stages[stage]?.[i] as Traced<ResNetBlockStatistics>;
      const result = applyBlock(block, known, features, strideOf(stage, i), mode);
      features = result.y;
      return result.statistics;
    }),
  );
  const pooled = globalAveragePool(features);
  return {
    y: params.head ? linear(params.head, pooled) : pooled,
    features,
    statistics: { stem: stem.statistics, stages },
  };
}
