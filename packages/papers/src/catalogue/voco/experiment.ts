import { ALIKE_ORGANS } from "@concord/data";
import { foldIn } from "@concord/tensor";
import { writeFileAtomic } from "../../harness/atomic-file.ts";
import type { Claim, Experiment, Preset, PresetName, UnitContext } from "../../harness/contract.ts";
import type { TrainLoopReport } from "../../harness/train-loop.ts";
import { armById, arms } from "./arms.ts";
import { defaultConfig, paperConfig, smokeConfig, type VocoConfig } from "./config.ts";
import { encoderModel } from "./encoder-model.ts";
import { evaluateArm, metrics } from "./evaluation.ts";
import { fineTune } from "./fine-tuning.ts";
import { type EncoderParams, type SegmenterParams, segmenterInit } from "./network.ts";
import { inputs, loadOwnTask, type OwnRun, ownRun, validateOwnRun } from "./own-data.ts";
import { type PretrainedParams, pretrain } from "./pretraining.ts";
import { generatedTask, type Task } from "./task.ts";

const PILOT = "aim set for this reproduction; the paper's own tables were not at hand";

export const claims: readonly Claim[] = [
  {
    id: "knows-where",
    statement: "VoCo finds a crop's place in another patient, at least 20 points above random weights.",
    metric: "position-accuracy",
    arm: "voco",
    against: "scratch",
    change: "absolute",
    direction: "higher",
    margin: 20,
    source: `the paper's purpose; ${PILOT}`,
  },
  {
    id: "not-by-shared-voxels",
    statement: "It still does when voxels that crop and base share have brightness and noise of their own.",
    metric: "position-accuracy",
    arm: "own-noise",
    against: "scratch",
    change: "absolute",
    direction: "higher",
    margin: 20,
    source: `control of this reproduction; ${PILOT}`,
  },
  {
    id: "few-labels",
    statement: "With few labelled volumes, segmentation after VoCo gains at least 2 points of Dice.",
    metric: "dice",
    arm: "voco",
    against: "scratch",
    change: "absolute",
    direction: "higher",
    margin: 2,
    source: `the paper's fine-tuning experiments (BTCV and others); ${PILOT}`,
  },
  {
    id: "beats-reconstruction",
    statement: "Segmentation after VoCo is better than after masked reconstruction.",
    metric: "dice",
    arm: "voco",
    against: "masked",
    change: "absolute",
    direction: "higher",
    margin: 0,
    source: "the paper's comparison with earlier self-supervised methods",
  },
  {
    id: "beats-regression",
    statement: "Segmentation after VoCo is better than after regressing a crop's position.",
    metric: "dice",
    arm: "voco",
    against: "place-regression",
    change: "absolute",
    direction: "higher",
    margin: 0,
    source: "the paper's argument for contrast with base crops",
  },
  {
    id: "regularisation-parts-bases",
    statement: "Without L_reg base crops are more alike: mean |cosine| higher by at least 0.1.",
    metric: "base-similarity",
    arm: "voco",
    against: "no-regularisation",
    change: "absolute",
    direction: "lower",
    margin: 0.1,
    source: `ablation of the loss terms; ${PILOT}`,
  },
  {
    id: "regularisation-helps",
    statement: "Without L_reg crops find their place less often.",
    metric: "position-accuracy",
    arm: "voco",
    against: "no-regularisation",
    change: "absolute",
    direction: "higher",
    margin: 0,
    source: `ablation of the loss terms; ${PILOT}`,
  },
];

/** What the arms of a seed have in common. */
export interface Prepared {
  readonly task: Task;
  /** Random weights of encoder and heads, from which every arm starts. */
  readonly start: SegmenterParams;
}

const streams = { volumes: 0, start: 1, pretraining: 2, fineTuning: 3 } as const;

async function prepare(context: UnitContext<VocoConfig>): Promise<Prepared> {
  const { config, key, inputs: given } = context;
  const own = ownRun(config, given);
  const { data, geometry, network } = own?.config ?? config;
  const task = own
    ? await loadOwnTask(context, own)
    : data.generated
      ? await generatedTask(context, foldIn(key, streams.volumes), data.generated, geometry, ALIKE_ORGANS)
      : null;
  if (!task) throw new Error("This preset trains on your own volumes: give --volumes.");
  return { task, start: segmenterInit(foldIn(key, streams.start), network, task.classes.length + 1) };
}

/** Step time and the share of it that went into waiting for data. */
function noteSpeed(
  context: UnitContext<unknown>,
  phase: string,
  steps: number,
  report: TrainLoopReport,
): void {
  const done = steps - report.resumedAt;
  if (done <= 0) return;
  const seconds = report.dataSeconds + report.computeSeconds;
  const waiting = ((100 * report.dataSeconds) / seconds).toFixed(1);
  context.note(
    `${phase}: ${((1000 * seconds) / done).toFixed(1)} ms a step, ${waiting} % of it waiting for data`,
  );
}

/** The encoder, and how scans were prepared for it, as `concord embed` and `concord adapt` read it. */
async function writeEncoder(
  context: UnitContext<unknown>,
  encoder: EncoderParams,
  { config, preparation: { window, foreground } }: OwnRun,
): Promise<void> {
  const settings = { window: window ?? "auto", foreground };
  await writeFileAtomic(context.artefact("encoder.onnx"), [encoderModel(encoder, config)]);
  await writeFileAtomic(context.artefact("preprocessor_config.json"), [`${JSON.stringify(settings)}\n`]);
}

async function runArm(id: string, { task, start }: Prepared, context: UnitContext<VocoConfig>) {
  const { key } = context;
  const own = ownRun(context.config, context.inputs);
  const config = own?.config ?? context.config;
  const { geometry, network } = config;
  const { recipe } = armById(id);
  let pretrained: PretrainedParams = { encoder: start.encoder };
  if (recipe) {
    const { learningRates } = config.pretraining;
    const learningRate = learningRates[id] ?? config.pretraining.learningRate;
    const { params, report } = await pretrain(context, {
      start: start.encoder,
      recipe,
      volumes: task.unlabelled,
      geometry,
      network,
      config: { ...config.pretraining, learningRate },
      key: foldIn(key, streams.pretraining),
    });
    noteSpeed(context, "pre-training", config.pretraining.steps, report);
    pretrained = params;
    if (own) await writeEncoder(context, params.encoder, own);
  }
  if (task.labelled.length === 0) return evaluateArm(context, task, config, pretrained, null);
  const { params: finetuned, report } = await fineTune(context, {
    start: { ...start, encoder: pretrained.encoder },
    labelled: task.labelled,
    geometry,
    network,
    config: config.fineTuning,
    key: foldIn(key, streams.fineTuning),
  });
  noteSpeed(context, "fine-tuning", config.fineTuning.steps, report);
  return evaluateArm(context, task, config, pretrained, finetuned);
}

const presets: Readonly<Record<PresetName, Preset<VocoConfig>>> = {
  smoke: {
    config: smokeConfig,
    seeds: 2,
    description: "2 seeds, 8 arms, about 7 seconds on 2 cores; checks that everything runs",
  },
  default: {
    config: defaultConfig,
    seeds: 3,
    description: "3 seeds, 8 arms, about 4 minutes on 2 cores",
  },
  paper: {
    config: paperConfig,
    seeds: 1,
    description: "384 × 384 × 96 volumes, 1152 features, 250,000 steps; needs --volumes",
  },
};

export const experiment: Experiment<VocoConfig, Prepared> = {
  slug: "voco",
  arms: arms.map(({ recipe: _, ...arm }) => arm),
  metrics,
  claims,
  inputs,
  presets,
  validate: (given, preset) => validateOwnRun(presets[preset].config, given, preset),
  prepare,
  runArm,
};
