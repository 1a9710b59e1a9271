import {
  adamw,
  compile,
  createTrainer,
  foldIn,
  type Key,
  type NDArray,
  RandomStream,
  softmax,
  type Tensor,
  type Traced,
  valueAndGrad,
} from "@concord/tensor";
import type { UnitContext } from "../../harness/contract.ts";
import { stepTrainer, type TrainLoopReport, trainLoop } from "../../harness/train-loop.ts";
import type { FineTuningConfig } from "./config.ts";
import {
  augmentCrop,
  type CropGeometry,
  cropSizeOf,
  extractCrop,
  PAPER_AUGMENTATION,
  randomCentre,
} from "./crops.ts";
import { diceCrossEntropy } from "./dice-loss.ts";
import { type NetworkConfig, type SegmenterParams, segment } from "./network.ts";
import type { PreparedVolume } from "./task.ts";
import { stackCrops } from "./volume-batches.ts";
import { warmupCosine } from "./warmup-cosine.ts";

/** Only brightness: labels would have to turn with the crop. */
const AUGMENTATION = { ...PAPER_AUGMENTATION, flip: 0, rotate: 0, shift: 0.5 };
/** Share of the patches around a voxel of a class, without which small organs hardly come. */
const FOREGROUND = 0.5;
/** Share of the steps that warm up. */
const WARMUP = 0.1;

interface PatchBatch {
  /** [P, 1, S, S, D] */
  readonly inputs: NDArray<"float32">;
  /** [P, S, S, D] */
  readonly labels: NDArray<"int32">;
}

export interface FineTuningRequest {
  /** Encoder from pre-training, heads random. */
  readonly start: SegmenterParams;
  readonly labelled: readonly PreparedVolume[];
  readonly geometry: CropGeometry;
  readonly network: NetworkConfig;
  readonly config: FineTuningConfig;
  readonly key: Key;
}

/** A labelled volume with the classes that it has. */
interface Labelled {
  readonly volume: NDArray<"float32">;
  readonly labels: NDArray<"int32">;
  readonly classes: readonly number[];
}

function withClasses({ name, volume, labels }: PreparedVolume): Labelled {
  if (!labels) throw new TypeError(`voco: ${name} has no labels to be fine-tuned on`);
  return { volume, labels, classes: [...new Set(labels.data)].filter((label) => label > 0) };
}

/** The centre of a patch around a voxel of a class drawn by chance, as far as the border allows. */
function labelledCentre(
  random: RandomStream,
  { labels: { shape, data }, classes }: Labelled,
  geometry: CropGeometry,
): [number, number] {
  const [, Y = 0, Z = 0] = shape;
  const half = cropSizeOf(geometry) / 2;
  const wanted = random.pick(classes);
  // A random start and the next voxel of the class after it: no list of all of them is made.
  const found = data.indexOf(wanted, random.integer(data.length));
  const voxel = found >= 0 ? found : data.indexOf(wanted);
  const inside = (at: number): number => Math.min(geometry.side - half, Math.max(half, at));
  return [inside(Math.floor(voxel / (Y * Z))), inside(Math.floor(voxel / Z) % Y)];
}

/** Patches of a step: a pure function of key and step. */
function patchesAt(
  step: number,
  labelled: readonly Labelled[],
  { geometry, config, key }: FineTuningRequest,
): PatchBatch {
  const random = new RandomStream(foldIn(key, step));
  const cuts = Array.from({ length: config.patches }, () => {
    const one = random.pick(labelled);
    const centre =
      random.chance(FOREGROUND) && one.classes.length > 0
        ? labelledCentre(random, one, geometry)
        : randomCentre(random, geometry);
    return {
      input: augmentCrop(extractCrop(one.volume, centre, geometry), random, AUGMENTATION),
      label: extractCrop(one.labels, centre, geometry),
    };
  });
  const { inputSide: S, inputDepth: D } = geometry;
  const labels = new Int32Array(cuts.length * S * S * D);
  cuts.forEach(({ label }, i) => {
    labels.set(label.data, i * S * S * D);
  });
  return {
    inputs: stackCrops(
      cuts.map(({ input }) => input),
      geometry,
    ),
    labels: { dtype: "int32", shape: [cuts.length, S, S, D], data: labels },
  };
}

/** Trains encoder and heads on patches of the few labelled volumes. */
export async function fineTune(
  context: UnitContext<unknown>,
  request: FineTuningRequest,
): Promise<{ readonly params: SegmenterParams; readonly report: TrainLoopReport }> {
  const { start, network, config } = request;
  const labelled = request.labelled.map(withClasses);
  const optimiser = adamw({
    learningRate: warmupCosine({
      peak: config.learningRate,
      warmup: Math.floor(WARMUP * config.steps),
      steps: config.steps,
    }),
    weightDecay: config.weightDecay,
  });
  type State = { params: SegmenterParams; optimiser: ReturnType<typeof optimiser.init<SegmenterParams>> };
  const trainer = createTrainer({
    state: { params: start, optimiser: optimiser.init(start) } as State,
    step: (state, batch: Traced<PatchBatch>) => {
      const { value: loss, gradients } = valueAndGrad((params: Traced<SegmenterParams>) =>
        diceCrossEntropy(segment(params, batch.inputs, network), batch.labels),
      )(state.params);
      const next = optimiser.update(state.params, gradients, state.optimiser);
      return { state: { params: next.params, optimiser: next.state }, metrics: { loss } };
    },
    options: { name: "fine-tuning" },
  });
  const report = await trainLoop(context, {
    name: "fine-tuning",
    steps: config.steps,
    trainer: stepTrainer(trainer),
    batchAt: (step) => patchesAt(step, labelled, request),
    samplesPerStep: config.patches,
  });
  const params = trainer.state().params;
  await trainer.close();
  return { params, report };
}

/** Centres of windows along an axis: evenly spread, border to border, neighbours with at least this overlap. */
export function windowCentres(side: number, size: number, overlap: number): number[] {
  if (!(overlap >= 0 && overlap < 1))
    throw new RangeError(`voco: overlap must lie in [0, 1), got ${overlap}`);
  const reach = side - size;
  const count = 1 + Math.ceil(reach / Math.max(1, Math.floor(size * (1 - overlap))));
  return Array.from(
    { length: count },
    (_, i) => size / 2 + (count === 1 ? 0 : Math.round((i * reach) / (count - 1))),
  );
}

/** Windows of one run of the network. */
const WINDOWS = 16;

/** Segments volumes window by window; where windows overlap, probabilities add up. */
export function createSegmenter(
  geometry: CropGeometry,
  network: NetworkConfig,
  overlap: number,
): {
  /** Classes of all voxels, [X, Y, Z] as one row. Sizes of windows must be those of crops. */
  predict(params: SegmenterParams, volume: NDArray<"float32">): Promise<Int32Array>;
  close(): Promise<void>;
} {
  const run = compile(
    (params: Traced<SegmenterParams>, x: Tensor) => softmax(segment(params, x, network), 1),
    {
      name: "segmentation",
    },
  );
  const size = cropSizeOf(geometry);
  const line = windowCentres(geometry.side, size, overlap);
  const centres = line.flatMap((x) => line.map((y) => [x, y] as const));
  const { side, depth, inputSide, inputDepth } = geometry;

  /** Adds the probabilities of a window, [C, S, S, D], to those of the volume, [side, side, depth, C]. */
  function addWindow(sums: Float32Array, part: Float32Array, [cx, cy]: readonly [number, number]): void {
    const voxels = inputSide * inputSide * inputDepth;
    const classes = part.length / voxels;
    const [fromX, fromY] = [cx - size / 2, cy - size / 2];
    // The window may have been resized; each voxel of the volume takes the nearest one of it.
    const near = (i: number, from: number, to: number): number => Math.floor(((i + 0.5) * to) / from);
    for (let x = 0; x < size; x++)
      for (let y = 0; y < size; y++)
        for (let z = 0; z < depth; z++) {
          const source =
            (near(x, size, inputSide) * inputSide + near(y, size, inputSide)) * inputDepth +
            near(z, depth, inputDepth);
          const target = (((fromX + x) * side + fromY + y) * depth + z) * classes;
          for (let c = 0; c < classes; c++)
            sums[target + c] = (sums[target + c] as number) + (part[c * voxels + source] as number);
        }
  }

  return {
    async predict(params, volume) {
      let sums = new Float32Array(0);
      let classes = 0;
      for (let first = 0; first < centres.length; first += WINDOWS) {
        // The last run is filled up with windows that are there already, so that one graph serves all.
        const chosen = Array.from(
          { length: Math.min(WINDOWS, centres.length) },
          (_, i) => centres[Math.min(first + i, centres.length - 1)] as readonly [number, number],
        );
        const inputs = stackCrops(
          chosen.map((centre) => extractCrop(volume, centre, geometry)),
          geometry,
        );
        const { data, shape } = await run(params, inputs);
        classes = shape[1] as number;
        if (sums.length === 0) sums = new Float32Array(side * side * depth * classes);
        const each = data.length / chosen.length;
        for (let i = 0; i < chosen.length && first + i < centres.length; i++)
          addWindow(
            sums,
            (data as Float32Array).subarray(i * each, (i + 1) * each),
            chosen[i] as readonly [number, number],
          );
      }
      return Int32Array.from({ length: side * side * depth }, (_, voxel) => {
        let best = 0;
        for (let c = 1; c < classes; c++)
          if ((sums[voxel * classes + c] as number) > (sums[voxel * classes + best] as number)) best = c;
        return best;
      });
    },
    close: () => run.close(),
  };
}
