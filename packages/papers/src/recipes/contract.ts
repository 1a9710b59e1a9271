import type { Key, NDArray, Optimiser, Tensor, Traced } from "@concord/tensor";
import type { OptionValues, RecipeOptions } from "./options.ts";

/** What of the user's model learns: parts on top of frozen encoders, LoRA adapters in them besides, or all weights. */
export const TRAIN_MODES = ["head", "adapters", "whole"] as const;
export type TrainMode = (typeof TRAIN_MODES)[number];

/** What a recipe asks of data and encoders. The framework refuses what does not fit before it computes anything. */
export interface RecipeNeeds {
  /**
   * `one`: a single encoder (sentences, pictures, volumes); `two`: both sides of a pair; `anchored`: two or more, one of
   * which, the anchor, stays as it is.
   */
  readonly towers: "one" | "two" | "anchored";
  /** Whether the encoders must already share a space: vectors of one width whose cosines mean something. */
  readonly sharedSpace?: boolean;
  /** Kinds of items that it is for, e.g. volumes; absent for all. */
  readonly modalities?: readonly ("text" | "image" | "volume" | "audio" | "vector")[];
  /** `required`, `optional` (used where given) or `none` (not used). */
  readonly labels: "required" | "optional" | "none";
  /** Ways of training that make sense; the first is the default. */
  readonly train: readonly TrainMode[];
  /**
   * How often each item goes through its encoder in a step, with another dropout each time. Frozen encoders give the
   * same features every time. Default 1.
   */
  readonly copies?: number;
  /** The teacher whose embeddings a batch brings: none (default), the untouched start, or a moving average. */
  readonly teacher?: "start" | { readonly momentum: number };
}

/** Facts about the vectors of the training items as the untouched encoder gives them. */
export interface FeatureStatistics {
  /** [D] */
  readonly mean: NDArray<"float32">;
  /** Mean length of a vector. */
  readonly meanNorm: number;
  /** Whether all have length 1, to 0.1 %. What is exported then has length 1 too. */
  readonly unit: boolean;
}

export interface RecipeTower {
  /** As the user calls it, e.g. "image". */
  readonly name: string;
  /** D, the length of its base features. */
  readonly width: number;
  /** The anchor's features are final: the recipe embeds them as they are. */
  readonly anchor: boolean;
  readonly statistics: FeatureStatistics;
}

/** Everything about a request that a recipe may depend on. */
export interface RecipeContext<O extends RecipeOptions = RecipeOptions> {
  readonly options: OptionValues<O>;
  /** In the user's order; of anchored ones the anchor is first. */
  readonly towers: readonly RecipeTower[];
  readonly train: TrainMode;
  /** Training items. */
  readonly items: number;
  /** [items, C] with 1 where a label holds; null without labels. */
  readonly labels: NDArray<"float32"> | null;
  readonly batchSize: number;
  readonly stepsPerEpoch: number;
  readonly steps: number;
}

/** Tensors by the names of towers. */
export type ByTower<T = Tensor> = Readonly<Record<string, T>>;

/** One batch as a loss sees it. */
export interface RecipeBatch {
  /** [B, D] base features; with `copies`, those of the first one. */
  readonly features: ByTower;
  /** The features of all copies, the first included: `copies` times [B, D]. */
  readonly copies: ByTower<readonly Tensor[]>;
  /** What the teacher embeds the items as: [B, E], without gradient. Empty unless needs.teacher is set. */
  readonly teacher: ByTower;
  /** What `views` made of the items, through the encoder: [B, V, D] by group. Empty without `views`. */
  readonly views: Readonly<Record<string, Tensor>>;
  /** What `views` returned beside them: [B, ...] by name. */
  readonly targets: Readonly<Record<string, Tensor>>;
  /** [B, C] with 1 where a label holds; null without labels. */
  readonly labels: Tensor | null;
  /** int32 [B], 0 to items - 1: which training items these are, for memories with a place for each. */
  readonly items: Tensor;
  /** int32 [2], another one in every step. */
  readonly key: Tensor;
  /** Steps done before this one, a float scalar. */
  readonly step: Tensor;
}

export interface RecipeLoss<S = unknown> {
  readonly loss: Tensor;
  /** Scalars to be shown beside the loss. */
  readonly parts?: Readonly<Record<string, Tensor>>;
  /** The next state, where the recipe has one; no gradient flows to it. */
  readonly state?: S;
}

/** How many steps, how large, how fast. A recipe gives values for each way of training; the user may change them. */
export interface TrainingSettings {
  readonly learningRate: number;
  readonly batchSize: number;
  readonly epochs: number;
  /** Steps at least, however few rows there are, unless the user says how long. Default 1. */
  readonly minimumSteps?: number;
  /** Decoupled, of matrices only. Default 0. */
  readonly weightDecay?: number;
  /** Share of the steps in which the rate rises from 0. Default 0. */
  readonly warmup?: number;
  /** Default `cosine`, to 0. */
  readonly schedule?: "cosine" | "constant";
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Of adapters: columns of the low-rank factors, factor alpha / rank, dropout. Default 8, the rank, 0. */
  readonly rank?: number;
  readonly alpha?: number;
  readonly dropout?: number;
  /** Where the values come from. */
  readonly source: string;
}

/** Several inputs made of one item, e.g. crops. */
export interface ItemViews {
  /** Inputs of the encoder, [V, ...] by group; those of one group have one shape. */
  readonly groups: Readonly<Record<string, NDArray>>;
  /** What belongs to them, e.g. how much crops overlap. */
  readonly targets?: Readonly<Record<string, NDArray>>;
}

/** What a recipe trains that comparing whole items does not show, such as where in an item a crop lies. */
export interface ViewMeasure<O extends RecipeOptions = RecipeOptions> {
  readonly metric: {
    /** As `--metric` takes it. */
    readonly id: string;
    readonly label: string;
    readonly better: "higher" | "lower";
    /** Exact definition, one sentence. */
    readonly description: string;
  };
  /** As `RecipeDefinition.views`, for measuring: more of them, or without augmentation. */
  views(item: NDArray, key: Key, context: RecipeContext<O>): ItemViews;
  /**
   * The values whose mean is reported, one of each of N items: from their views as `embed` makes them, or before training
   * the encoder alone, [N, V, E] by group, and what belongs to them, [N, ...] by name.
   */
  of(
    views: Readonly<Record<string, NDArray<"float32">>>,
    targets: Readonly<Record<string, NDArray>>,
    context: RecipeContext<O>,
  ): Float64Array;
}

/**
 * A paper's method on the user's own encoders. A recipe knows only its method: what is trained, what the embedding is,
 * what the loss of a batch is. Data, splits, features, batches, optimiser, early stopping, checkpoints, export and
 * reports are the framework's, and no recipe is named anywhere outside its own folder.
 *
 * Everything that is traced (embed, loss, update) is a pure function of tensors. Randomness comes from keys.
 *
 * @typeParam P  trained parts, a tree of arrays
 * @typeParam S  further state, a tree of arrays: queues, memories, running means
 */
export interface RecipeDefinition<P, S, O extends RecipeOptions> {
  readonly slug: string;
  /** One sentence: what it does to the user's embeddings. */
  readonly summary: string;
  readonly needs: RecipeNeeds;
  readonly options: O;
  readonly training: Readonly<Partial<Record<TrainMode, TrainingSettings>>>;
  /** Where this departs from the paper, in sentences for the report. */
  readonly deviations: readonly string[];
  /** Checks what types cannot say. Throws an Error that tells the user what to change. */
  check?(context: RecipeContext<O>): void;
  /** The vectors that come out: float (default), or codes of so many bits, +1 and -1. */
  output?(
    context: RecipeContext<O>,
  ): { readonly kind: "binary"; readonly bits: number } | { readonly kind: "float" };
  /** The trained parts at the start. Where the widths allow it, `embed` of them is the base model. */
  init(key: Key, context: RecipeContext<O>): P;
  /** The state at the start. */
  state?(key: Key, context: RecipeContext<O>): S;
  /**
   * Parts in closed form from all training features, [items, D] by tower: the start of the training, and its end where
   * the recipe has no loss.
   */
  fit?(start: P, features: ByTower<NDArray<"float32">>, context: RecipeContext<O>): Promise<P>;
  /** [B, D] base features of a tower to [B, E]; E is the same for all towers. Of codes the sign counts. */
  embed(params: Traced<P>, features: Tensor, tower: RecipeTower, context: RecipeContext<O>): Tensor;
  /** The loss of a batch. Absent for methods in closed form. */
  loss?(
    params: Traced<P>,
    state: Traced<S>,
    batch: RecipeBatch,
    context: RecipeContext<O>,
  ): RecipeLoss<Traced<S>>;
  /** The parts after a step of the optimiser, e.g. clamped, brought to length 1, or as before while they are frozen. */
  update?(after: Traced<P>, before: Traced<P>, step: Tensor, context: RecipeContext<O>): Traced<P>;
  /** Another optimiser than AdamW with a schedule. */
  optimiser?(settings: TrainingSettings, context: RecipeContext<O>): Optimiser;
  /**
   * Several inputs made of one item [...] as the encoder's preprocessing gives it, e.g. crops of a picture; a pure
   * function of item and key, called ahead of the steps in threads that load the recipe anew. For recipes of one tower;
   * vectors computed before will not do then. Features of views are computed in the step, frozen encoders' too.
   */
  views?(item: NDArray, key: Key, context: RecipeContext<O>): ItemViews;
  /**
   * Sides of the items that views are made of, by the sides that the encoder takes: pictures [height, width], volumes
   * [x, y, z]. Default: the encoder's. For views that are cut, as large as the encoder's input, out of a larger item.
   */
  itemSize?(input: readonly number[], context: RecipeContext<O>): readonly number[];
  /** What is measured besides what the data allow; it chooses the best step unless the user names another metric. */
  readonly measure?: ViewMeasure<O>;
}

/** A recipe whose own types are hidden, as the framework sees it. */
export type Recipe = RecipeDefinition<unknown, unknown, RecipeOptions>;

/** Checks a recipe's types against each other and hides them. */
export function defineRecipe<P, S = Record<string, never>, const O extends RecipeOptions = RecipeOptions>(
  definition: RecipeDefinition<P, S, O>,
): Recipe {
  return definition as unknown as Recipe;
}
