import {
  type AttributeName,
  attributeNames,
  type CaptionedImageSet,
  captionedShapes,
  type TextTokenizer,
  trainWordTokenizer,
  zeroShotClasses,
} from "@concord/data";
import { foldIn, type Key } from "@concord/tensor";

/** A zero-shot classification of the evaluation images. */
export interface Classification {
  readonly name: string;
  /** Class index of each evaluation image, -1 where it is not known. */
  readonly labels: Int32Array;
  /** Prompts of each class. */
  readonly prompts: readonly (readonly string[])[];
  /** `old`: stage B's captions never speak of it. */
  readonly knowledge: "new" | "old";
}

/** Everything that training and evaluation need to know of the data. */
export interface Task {
  readonly pretraining: CaptionedImageSet;
  readonly refinement: CaptionedImageSet;
  readonly evaluation: CaptionedImageSet;
  readonly classifications: readonly Classification[];
  readonly tokenizer: TextTokenizer;
  /** Tokens per text. */
  readonly context: number;
}

/** Attributes that stage B's captions of the generated world name. */
export const NEW_KNOWLEDGE: readonly AttributeName[] = ["shape", "colour", "background"];

const streams = { pretraining: 0, refinement: 1, evaluation: 2 } as const;

/**
 * The generated world: stage A sees rich captions, stage B new pictures whose captions name shape, colour and
 * background by one word each, evaluation new pictures with rich captions.
 */
export function generatedTask(
  key: Key,
  counts: { readonly pretraining: number; readonly refinement: number; readonly evaluation: number },
): Task {
  const rich = captionedShapes({ captions: "rich" });
  const narrow = captionedShapes({ captions: "narrow" });
  const pretraining = rich
    .split(foldIn(key, streams.pretraining), "pre-training", counts.pretraining)
    .collect();
  const refinement = narrow.split(foldIn(key, streams.refinement), "refinement", counts.refinement).collect();
  const evaluation = rich.split(foldIn(key, streams.evaluation), "evaluation", counts.evaluation).collect();
  const classifications = attributeNames.map(
    (name): Classification => ({
      name,
      labels: (evaluation.labels[name] as { readonly indices: Int32Array }).indices,
      prompts: zeroShotClasses(name).map(({ prompts }) => prompts),
      knowledge: NEW_KNOWLEDGE.includes(name) ? "new" : "old",
    }),
  );
  const tokenizer = trainWordTokenizer(pretraining.captions.flat());
  return {
    pretraining,
    refinement,
    evaluation,
    classifications,
    tokenizer,
    context: longestText(tokenizer, [pretraining, refinement, evaluation], classifications),
  };
}

/** Most tokens of any caption or prompt. */
export function longestText(
  tokenizer: TextTokenizer,
  sets: readonly CaptionedImageSet[],
  classifications: readonly Classification[],
): number {
  const texts = [
    ...sets.flatMap((set) => set.captions.flat()),
    ...classifications.flatMap(({ prompts }) => prompts.flat()),
  ];
  return texts.reduce((longest, text) => Math.max(longest, tokenizer.encode(text).length), 1);
}
