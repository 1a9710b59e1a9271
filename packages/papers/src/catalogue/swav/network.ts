import { normalizeRows } from "@concord/align";
import {
  type BatchNormMode,
  type ConvParams,
  convInit,
  type LinearParams,
  linear,
  linearInit,
  type NormParams,
  normalizeBatch,
  normInit,
  type ResNetParams,
  type ResNetStatistics,
  type RunningStatistics,
  resnet,
  resnetInit,
  resnetPresets,
  resnetStatistics,
  runningStatistics,
  samePadding,
} from "@concord/nn";
import {
  concat,
  conv2d,
  foldIn,
  globalAveragePool,
  type Key,
  type NDArray,
  normalArray,
  relu,
  type Tensor,
  type Traced,
} from "@concord/tensor";

export type BackboneConfig =
  | {
      readonly kind: "convolutional";
      /** 3×3 convolutions with batch normalisation and ReLU. */
      readonly blocks: readonly { readonly filters: number; readonly stride: number }[];
    }
  | { readonly kind: "resnet50" };

export interface NetworkConfig {
  readonly backbone: BackboneConfig;
  /** Hidden width of the head. */
  readonly hidden: number;
  /** D, width of the embeddings. */
  readonly width: number;
  /** K */
  readonly prototypes: number;
}

interface ConvBlock {
  readonly conv: ConvParams;
  readonly norm: NormParams;
}

interface HeadParams {
  readonly first: LinearParams;
  readonly norm: NormParams;
  readonly second: LinearParams;
}

export interface SwavParams {
  readonly backbone: readonly ConvBlock[] | ResNetParams;
  readonly head: HeadParams;
  /** C [K, D] */
  readonly prototypes: NDArray;
}

/** Running statistics of all batch normalisations: state, not parameters. */
export interface SwavStatistics {
  readonly backbone: readonly RunningStatistics[] | ResNetStatistics;
  readonly head: RunningStatistics;
}

/** What the network makes of crops. */
export interface EncodedCrops {
  /** [V·B, H] pooled output of the backbone: what one uses afterwards. */
  readonly features: Tensor;
  /** [V·B, D] output of the head, not normalised. */
  readonly projections: Tensor;
  readonly statistics: Traced<SwavStatistics>;
}

/** Backbone, head and prototypes as pure functions of their parameters. */
export interface Network {
  /** H */
  readonly features: number;
  init(key: Key): { readonly params: SwavParams; readonly statistics: SwavStatistics };
  encode(
    params: Traced<SwavParams>,
    statistics: Traced<SwavStatistics>,
    groups: readonly Tensor[],
    mode?: BatchNormMode,
  ): EncodedCrops;
}

const RESNET50_WIDTH = 2048;

interface Encoded<S> {
  readonly y: Tensor;
  readonly statistics: S;
}

function convolutional(
  blocks: Traced<readonly ConvBlock[]>,
  strides: readonly number[],
  statistics: Traced<readonly RunningStatistics[]>,
  images: Tensor,
  mode: BatchNormMode,
): Encoded<Traced<readonly RunningStatistics[]>> {
  const next: Traced<RunningStatistics>[] = [];
  const map = blocks.reduce((x, { conv, norm }, i) => {
    const filtered = conv2d(x, conv.weight, {
      stride: strides[i] as number,
      padding: samePadding(conv.weight),
    });
    const known = statistics[i] as Traced<RunningStatistics>;
    const normed = normalizeBatch(norm, known, filtered, mode);
    next.push(normed.statistics);
    return relu(normed.y);
  }, images);
  return { y: globalAveragePool(map), statistics: next };
}

/**
 * Backbone, projection head and prototypes.
 *
 *   h = pool(backbone(x)),   u = W₂ relu(norm(W₁ h))
 *
 * Crops of one size go through the backbone together, so batch statistics are those of their size; the running ones
 * see one size after the other. The head sees all crops at once.
 *
 * @throws RangeError when a width or stride is no count, or there is no block
 * @source section 4 and appendix; grouping of the crops and ResNet-50: released code
 */
export function swavNetwork(config: NetworkConfig): Network {
  const { backbone, hidden, width, prototypes } = config;
  const blocks = backbone.kind === "convolutional" ? backbone.blocks : [];
  if (backbone.kind === "convolutional" && blocks.length === 0)
    throw new RangeError("swavNetwork: a convolutional backbone needs at least one block");
  const counts = [hidden, width, prototypes, ...blocks.flatMap(({ filters, stride }) => [filters, stride])];
  if (counts.some((count) => !Number.isInteger(count) || count < 1))
    throw new RangeError(
      `swavNetwork: widths and strides must be integers >= 1, got ${JSON.stringify(config)}`,
    );
  const features = blocks.at(-1)?.filters ?? RESNET50_WIDTH;
  const strides = blocks.map(({ stride }) => stride);
  return {
    features,
    init(key) {
      const stream = (i: number): Key => foldIn(key, i);
      const resnetParams =
        backbone.kind === "resnet50" ? resnetInit(stream(0), { preset: resnetPresets.resnet50 }) : null;
      const params: SwavParams = {
        backbone:
          resnetParams ??
          blocks.map(({ filters }, i) => ({
            conv: convInit(foldIn(stream(0), i), {
              inputs: blocks[i - 1]?.filters ?? 3,
              outputs: filters,
              kernel: [3, 3],
            }),
            norm: normInit(filters),
          })),
        head: {
          first: linearInit(stream(1), { inputs: features, outputs: hidden }),
          norm: normInit(hidden),
          second: linearInit(stream(2), { inputs: hidden, outputs: width }),
        },
        prototypes: normalizeRows(normalArray(stream(3), [prototypes, width])),
      };
      const statistics: SwavStatistics = {
        backbone: resnetParams
          ? resnetStatistics(resnetParams)
          : blocks.map(({ filters }) => runningStatistics(filters)),
        head: runningStatistics(hidden),
      };
      return { params, statistics };
    },
    encode(params, statistics, groups, mode = {}) {
      let known = statistics.backbone;
      const pooled = groups.map((images) => {
        if (backbone.kind === "resnet50") {
          const given = known as Traced<ResNetStatistics>;
          const result = resnet(params.backbone as Traced<ResNetParams>, given, images, mode);
          known = result.statistics;
          return result.y;
        }
        const layers = params.backbone as Traced<readonly ConvBlock[]>;
        const given = known as Traced<readonly RunningStatistics[]>;
        const result = convolutional(layers, strides, given, images, mode);
        known = result.statistics;
        return result.y;
      });
      const all = pooled.length === 1 ? (pooled[0] as Tensor) : concat(pooled);
      const { first, norm, second } = params.head;
      const normed = normalizeBatch(norm, statistics.head, linear(first, all), mode);
      return {
        features: all,
        projections: linear(second, relu(normed.y)),
        statistics: { backbone: known, head: normed.statistics },
      };
    },
  };
}
