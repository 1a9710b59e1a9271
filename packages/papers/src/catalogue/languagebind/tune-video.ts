/**
 * Why attention along time finds the order of frames, and what it takes: trials on seeds that are never reported.
 *
 *   node --conditions=source tune-video.ts frames    what frames and captions tell of a change before anything is bound
 *   node --conditions=source tune-video.ts trials    LanguageBind's video with one setting changed at a time
 *
 * Further arguments are seeds; default 100. What was found stands in README.md, under "Change in video".
 */
import { linearProbeAccuracy } from "@concord/align";
import { foldIn, type NDArray } from "@concord/tensor";
import { contextInMemory } from "../../harness/memory-context.ts";
import { ATTRIBUTES } from "./attributes.ts";
import { defaultConfig } from "./config.ts";
import { rowsOf } from "./embedder.ts";
import { experiment } from "./experiment.ts";
import { type ModalityEncoderParams, withLoraAdapters, withTemporalAttention } from "./modality-encoder.ts";
import type { Classification, EvaluationSamples, TrainingSamples } from "./task.ts";
import type { Tuning } from "./trainable.ts";
import { bindEncoder } from "./training.ts";
import { zeroShotClassifier } from "./zero-shot-classifier.ts";

const [stage = "", ...wantedSeeds] = process.argv.slice(2);
const seeds = wantedSeeds.length > 0 ? wantedSeeds.map(Number) : [100];
/** Samples that tell what frames show: half of them teach a probe. */
const PROBED = 2000;
const { data } = defaultConfig;
const config =
  stage === "frames" && data.generated
    ? { ...defaultConfig, data: { ...data, generated: { ...data.generated, evaluation: PROBED } } }
    : defaultConfig;
/** The run's own streams of adapters and frame vectors. */
const streams = { adapters: 11, temporal: 12 } as const;

type Prepared = Awaited<ReturnType<typeof experiment.prepare>>;

function videoOf({ task }: Prepared) {
  const change = task.classifications.find(({ sensor, name }) => sensor === "video" && name === "change");
  return {
    training: task.training.video as TrainingSamples,
    evaluation: task.evaluation.video as EvaluationSamples,
    change: change as Classification,
  };
}

/** Zero-shot accuracy of the change in %, by its prompts. */
async function changeTold(prepared: Prepared, features: NDArray): Promise<string> {
  const { labels, prompts } = videoOf(prepared).change;
  const named = await prepared.embedder.texts(prepared.start.language, prompts.flat());
  const perClass = prompts[0]?.length ?? 0;
  const classifier = zeroShotClassifier({
    ...named,
    shape: [prompts.length, perClass, named.shape[1] as number],
  });
  return (100 * ((await classifier.accuracy(features, labels, [1])).get(1) as number)).toFixed(1);
}

/** Frame t of every clip: [N, T, 3, H, W] to [N, 3, H, W]. */
function frameOf(clips: NDArray<"float32">, t: number): NDArray<"float32"> {
  const [count, frames, ...picture] = clips.shape as [number, number, ...number[]];
  const flat = { ...clips, shape: [count * frames, ...picture] };
  return rowsOf(
    flat,
    Array.from({ length: count }, (_, i) => i * frames + t),
  );
}

/** Accuracy in % of a linear probe that learns from one half of the samples and is tested on the other. */
function probed(features: NDArray<"float32">, labels: Int32Array): string {
  const count = labels.length;
  const half = (part: number): number[] => Array.from({ length: count >> 1 }, (_, i) => 2 * i + part);
  const of = (rows: readonly number[]): number[] => rows.map((i) => labels[i] as number);
  const [learn, test] = [half(0), half(1)];
  const { accuracy } = linearProbeAccuracy(
    rowsOf(features, learn),
    of(learn),
    rowsOf(features, test),
    of(test),
    {
      tolerance: 1e-2,
    },
  );
  return (100 * accuracy).toFixed(1);
}

async function tellFrames(prepared: Prepared, seed: number): Promise<void> {
  const { evaluation, change } = videoOf(prepared);
  const { embedder, start } = prepared;
  const captions = await embedder.texts(start.language, evaluation.captions);
  console.log(`seed ${seed}\tcaptions, by prompts\tchange ${await changeTold(prepared, captions)}`);
  const last = (evaluation.inputs.shape[1] as number) - 1;
  const frames: NDArray<"float32">[] = [];
  for (let t = 0; t <= last; t++)
    frames.push(await embedder.samples(start.image, frameOf(evaluation.inputs, t)));
  const [first, final] = [frames[0], frames[last]] as [NDArray<"float32">, NDArray<"float32">];
  const of = (value: (i: number) => number): NDArray<"float32"> => ({
    ...first,
    data: Float32Array.from(first.data, (_, i) => value(i)),
  });
  const difference = of((i) => (final.data[i] as number) - (first.data[i] as number));
  const mean = of((i) => frames.reduce((sum, { data }) => sum + (data[i] as number) / frames.length, 0));
  console.log(
    `seed ${seed}\tlast frame less first, linear probe\tchange ${probed(difference, change.labels)}`,
  );
  console.log(`seed ${seed}\tmean of frames, linear probe\tchange ${probed(mean, change.labels)}`);
}

interface Trial {
  readonly epochs?: number;
  readonly rank?: number;
  readonly learningRate?: number;
  readonly tuning?: Tuning;
  /** Factor on the vectors of the frames at the start. */
  readonly frameScale?: number;
  /** Leaves nothing in the captions but words for the change, where they have any. */
  readonly changeAlone?: true;
}

const trials: readonly Trial[] = [
  { epochs: 2 },
  { epochs: 2, frameScale: 8 },
  { epochs: 2, rank: 16 },
  { epochs: 2, tuning: "full", learningRate: 3e-3 },
  { epochs: 2, changeAlone: true },
  { epochs: 6 },
  { epochs: 6, frameScale: 8 },
];

const changeWords = new Set<string>(ATTRIBUTES.change.flat());

function withFrameScale(params: ModalityEncoderParams, scale: number): ModalityEncoderParams {
  const blocks = params.blocks.map((block) => {
    if (!block.temporal) return block;
    const { frames } = block.temporal;
    const data = Float32Array.from(frames.data as Float32Array, (x) => scale * x);
    return { ...block, temporal: { ...block.temporal, frames: { ...frames, data } } };
  });
  return { ...params, blocks };
}

async function tryVideo(prepared: Prepared, seed: number, trial: Trial): Promise<void> {
  const { embedder, start } = prepared;
  const { training, evaluation } = videoOf(prepared);
  const context = contextInMemory(config, seed);
  const { binding, encoder: sizes } = config;
  const { tuning = "lora", frameScale = 1, changeAlone, ...changes } = trial;
  const settings = { ...binding.sensors.video, ...changes };
  const captions = training.captions.map((caption) => {
    const words = caption.split(" ").filter((word) => changeWords.has(word));
    return changeAlone && words.length > 0 ? words.join(" ") : caption;
  });
  const frames = training.inputs.shape[1] as number;
  const timed = withFrameScale(
    withTemporalAttention(foldIn(context.key, streams.temporal), start.image, frames),
    frameScale,
  );
  const learned = await bindEncoder(context, {
    name: "video",
    encoder:
      tuning === "lora"
        ? withLoraAdapters(foldIn(context.key, streams.adapters), timed, settings.rank)
        : timed,
    tuning,
    bound: [
      {
        name: "video",
        inputs: training.inputs,
        targets: await embedder.texts(start.language, captions),
        patchDropout: settings.patchDropout,
      },
    ],
    settings,
    binding,
    config: sizes,
  });
  const features = await embedder.samples(learned, evaluation.inputs);
  console.log(`seed ${seed}\t${JSON.stringify(trial)}\tchange ${await changeTold(prepared, features)}`);
}

if (stage !== "frames" && stage !== "trials") {
  console.error("usage: node --conditions=source tune-video.ts frames|trials [SEED ...]");
  process.exitCode = 2;
} else {
  for (const seed of seeds) {
    const prepared = await experiment.prepare(contextInMemory(config, seed));
    if (stage === "frames") await tellFrames(prepared, seed);
    else for (const trial of trials) await tryVideo(prepared, seed, trial);
  }
}
