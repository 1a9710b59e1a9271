import { infoNCE, whiten } from "@concord/align";
import { type LinearParams, linear, linearInit } from "@concord/nn";
import {
  add,
  argsort,
  foldInTensor,
  type Key,
  l2Normalize,
  mul,
  type Tensor,
  type Traced,
  tanh,
  uniform,
} from "@concord/tensor";
import { type SentenceEncoderParams, sentenceFeatures } from "./model.ts";

/** The encoder, and the head that only training uses. */
export interface TrainedParams {
  readonly encoder: SentenceEncoderParams;
  readonly head: LinearParams;
}

export function headInit(key: Key, width: number): LinearParams {
  return linearInit(key, { inputs: width, outputs: width });
}

export interface ObjectiveOptions {
  readonly temperature: number;
  readonly dropout: number;
  /** Channels that are whitened together. */
  readonly groupSize: number;
  /** How much the whitened contrast counts beside that of the vectors themselves. */
  readonly whitened: number;
}

interface TracedView {
  readonly ids: Tensor;
  readonly mask: Tensor;
}

/**
 * What the encoder learns from a batch: the views of one paper find each other among those of the others.
 *
 *   L = Σ_m NCE(v_0, v_m) + λ Σ_m NCE(z_0, z_m),    z_m = tanh(W SGW_m(f_m) + b)
 *
 * v are the vectors that search compares (features at length 1), z WhitenedCSE's: each view has its own dropout, its
 * own shuffle of channels and its own batch statistics (SGW, shuffled group whitening), and the head is used in training
 * alone. The first sum trains what is searched with; the second keeps channels from saying the same. Where the paper
 * has copies of one sentence, a piece of the abstract (v_0), the title and an excerpt are the views: a title is a
 * paraphrase that no dropout makes.
 *
 * @source Zhuo et al. 2023 (WhitenedCSE); titles as queries: Cohan et al. 2020 use citations likewise
 */
export function viewsLoss(
  params: Traced<TrainedParams>,
  batch: {
    readonly anchor: TracedView;
    readonly title: TracedView;
    readonly excerpt: TracedView;
    readonly key: Tensor;
  },
  { temperature, dropout, groupSize, whitened }: ObjectiveOptions,
): Tensor {
  const features = [batch.anchor, batch.title, batch.excerpt].map(({ ids, mask }, m) =>
    sentenceFeatures(params.encoder, ids, mask, { dropout, key: foldInTensor(batch.key, m) }),
  );
  const contrast = (views: readonly Tensor[], symmetric: boolean): Tensor => {
    const [anchor, ...others] = views as [Tensor, ...Tensor[]];
    return others.map((view) => infoNCE(anchor, view, { temperature, symmetric })).reduce(add);
  };
  const direct = contrast(
    features.map((x) => l2Normalize(x)),
    true,
  );
  if (whitened === 0) return direct;
  const width = features[0]?.shape[1] as number;
  const white = features.map((x, m) => {
    const permutation = argsort(uniform(foldInTensor(batch.key, 100 + m), [width]));
    const y = whiten(x, { groups: width / groupSize, permutation, stopMatrix: true });
    return l2Normalize(tanh(linear(params.head, y)));
  });
  return add(direct, mul(contrast(white, false), whitened));
}
