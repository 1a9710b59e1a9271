import { infoNCE } from "@concord/align";
import { captionedBatches, clipStatistics } from "@concord/data";
import {
  adamw,
  cosineSchedule,
  createTrainer,
  foldIn,
  l2Normalize,
  type Tensor,
  valueAndGradWithAux,
} from "@concord/tensor";
import type { UnitContext } from "../../harness/contract.ts";
import { stepTrainer, trainLoop } from "../../harness/train-loop.ts";
import type { PretrainingConfig } from "./config.ts";
import type { DualEncoder, DualEncoderParams } from "./encoders.ts";
import { endsOf, type Task } from "./task.ts";

/** Independent uses of a seed's key. */
const streams = { initialisation: 10, batches: 11 } as const;

const WARMUP = 0.1;
const WEIGHT_DECAY = 0.01;

/** Stage A: InfoNCE of images and plain texts, all parameters, from random weights. */
export async function pretrain(
  context: UnitContext<unknown>,
  request: { readonly dual: DualEncoder; readonly task: Task; readonly config: PretrainingConfig },
): Promise<DualEncoderParams> {
  const { dual, task, config } = request;
  const set = task.pretraining;
  await using batches = captionedBatches(set, {
    key: foldIn(context.key, streams.batches),
    batchSize: Math.min(config.batchSize, set.count),
    tokenizer: task.tokenizer,
    length: task.context,
    statistics: clipStatistics,
  });
  const steps = config.epochs * batches.stepsPerEpoch;
  const optimiser = adamw({
    learningRate: cosineSchedule({
      peak: config.learningRate,
      steps,
      warmup: Math.floor(WARMUP * steps),
    }),
    weightDecay: WEIGHT_DECAY,
  });
  const start = dual.init(foldIn(context.key, streams.initialisation));
  const trainer = createTrainer({
    state: { params: start, optimiser: optimiser.init(start) },
    step: (state, batch: { readonly images: Tensor; readonly tokens: Tensor; readonly ends: Tensor }) => {
      const { aux, gradients } = valueAndGradWithAux(({ frozen, tuned }: typeof state.params) => {
        const image = dual.images(frozen, tuned, batch.images);
        const text = dual.plainText(frozen, tuned, batch.tokens, batch.ends);
        const loss = infoNCE(l2Normalize(image), l2Normalize(text), { temperature: config.temperature });
        return { value: loss, aux: { loss } };
      })(state.params);
      const next = optimiser.update(state.params, gradients, state.optimiser);
      return { state: { params: next.params, optimiser: next.state }, metrics: aux };
    },
    options: { name: "pre-training" },
  });
  await trainLoop(context, {
    name: "pre-training",
    steps,
    trainer: stepTrainer(trainer),
    batchAt: async (step) => {
      const { images, tokens, mask } = await batches.batch(step);
      return { images, tokens, ends: endsOf(mask) };
    },
    samplesPerStep: Math.min(config.batchSize, set.count),
  });
  const { params } = trainer.state();
  await trainer.close();
  return params;
}
