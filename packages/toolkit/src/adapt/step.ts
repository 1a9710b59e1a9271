import type {
  Recipe,
  RecipeBatch,
  RecipeContext,
  RecipeLoss,
  RecipeTower,
  TrainingSettings,
} from "@concord/papers/recipes";
import {
  adamw,
  add,
  cosineSchedule,
  createTrainer,
  foldIn,
  foldInTensor,
  isNDArray,
  type Key,
  mul,
  type NDArray,
  type Optimiser,
  type OptimiserState,
  reshape,
  stopGradient,
  type Tensor,
  type Traced,
  type Trainer,
  treeEntries,
  treeZip,
  valueAndGradWithAux,
} from "@concord/tensor";
import type { Trainable } from "./model.ts";
import { type Feeds, mainInput, type Tower } from "./tower.ts";

/** What one step is fed with. */
export interface StepBatch {
  /** [B, D] by the untouched encoders. */
  readonly base: Readonly<Record<string, NDArray>>;
  /** Inputs of the encoders that are trained. */
  readonly feeds: Readonly<Record<string, Feeds>>;
  /** What the recipe made of each item: [B, V, ...] by group. */
  readonly views?: Readonly<Record<string, NDArray>>;
  /** What belongs to the views: [B, ...] by name. */
  readonly targets?: Readonly<Record<string, NDArray>>;
  /** [B, C] */
  readonly labels?: NDArray;
  readonly items: NDArray;
  readonly key: NDArray;
}

export interface StepState {
  readonly head: unknown;
  readonly encoders: Trainable["encoders"];
  /** The recipe's own state. */
  readonly state: unknown;
  /** The moving average of all that is trained, where the recipe has such a teacher. */
  readonly average?: Trainable;
  readonly optimiser: OptimiserState<Trainable>;
}

type TracedBatch = Traced<StepBatch>;
type TracedState = Traced<StepState>;

/** Steps of the settings as they are used: the recipe's, changed by the request. */
export type Settings = Required<Pick<TrainingSettings, "learningRate" | "batchSize" | "epochs">> &
  TrainingSettings;

/** AdamW with warm-up and a schedule; only matrices decay. */
function usualOptimiser(settings: Settings, { steps }: RecipeContext, start: Trainable): Optimiser {
  const {
    learningRate,
    weightDecay = 0,
    warmup = 0,
    schedule = "cosine",
    beta1 = 0.9,
    beta2 = 0.999,
    epsilon = 1e-8,
  } = settings;
  const matrices = new Set(
    treeEntries(start).flatMap(([path, leaf]) => (isNDArray(leaf) && leaf.shape.length > 1 ? [path] : [])),
  );
  const rising = Math.min(Math.floor(warmup * steps), steps - 1);
  const rate =
    schedule === "cosine" ? cosineSchedule({ peak: learningRate, steps, warmup: rising }) : learningRate;
  return adamw({
    learningRate: rate,
    weightDecay,
    beta1,
    beta2,
    epsilon,
    decays: (path) => matrices.has(path),
  });
}

/**
 * The training step of a recipe as one graph: the encoders that are trained, the recipe's loss, gradients, the
 * optimiser's update, the recipe's own changes and its state.
 */
export function makeTrainer(
  recipe: Recipe,
  context: RecipeContext,
  towers: readonly Tower[],
  start: Trainable,
  settings: Settings,
  key: Key,
): Trainer<StepState, TracedBatch, Record<string, Tensor>> {
  const { loss: lossOf } = recipe;
  if (!lossOf) throw new Error(`${recipe.slug} has no loss`);
  const optimiser = recipe.optimiser?.(settings, context) ?? usualOptimiser(settings, context, start);
  const facts = new Map(context.towers.map((tower) => [tower.name, tower]));
  const { teacher, copies = 1 } = recipe.needs;
  const momentum = typeof teacher === "object" ? teacher.momentum : null;

  /** Base features of all towers, by weights that are trained or by the untouched ones. */
  const featuresBy = (
    encoders: Traced<Trainable>["encoders"],
    batch: TracedBatch,
    copyKey?: Tensor,
  ): Record<string, Tensor> =>
    Object.fromEntries(
      towers.map((tower, i) => {
        if (!tower.trained || !tower.layer) return [tower.name, batch.base[tower.name] as Tensor];
        const own = copyKey && foldInTensor(copyKey, i);
        return [
          tower.name,
          tower.layer.apply(
            encoders[tower.name] as never,
            batch.feeds[tower.name] as Record<string, Tensor>,
            own,
          ),
        ];
      }),
    );
  /** [B, V, D] of each group of views, through the only tower's encoder. */
  const viewsBy = (
    encoders: Traced<Trainable>["encoders"],
    batch: TracedBatch,
    key: Tensor,
  ): Record<string, Tensor> => {
    const [tower] = towers;
    if (!batch.views || !tower?.layer) return {};
    const { layer, name, encoder } = tower;
    const input = mainInput(tower);
    return Object.fromEntries(
      Object.entries(batch.views).map(([group, views], i) => {
        const [rows = 0, count = 0, ...shape] = views.shape;
        const feeds = { [input]: reshape(views, [rows * count, ...shape]) };
        const params = tower.trained ? (encoders[name] as never) : {};
        const features = layer.apply(params, feeds, tower.trained ? foldInTensor(key, i) : undefined);
        return [group, reshape(features, [rows, count, encoder?.width ?? tower.width])];
      }),
    );
  };
  const embedBy = (head: unknown, features: Readonly<Record<string, Tensor>>): Record<string, Tensor> =>
    Object.fromEntries(
      towers.map(({ name }) => [
        name,
        stopGradient(recipe.embed(head, features[name] as Tensor, facts.get(name) as RecipeTower, context)),
      ]),
    );
  const teacherOf = (state: TracedState, batch: TracedBatch): Record<string, Tensor> => {
    if (teacher === undefined) return {};
    // The start is a constant of the graph.
    if (teacher === "start") return embedBy(asTraced(start.head), batch.base);
    const average = state.average as Traced<Trainable>;
    return embedBy(average.head, featuresBy(average.encoders, batch));
  };

  const initial: StepState = {
    head: start.head,
    encoders: start.encoders,
    state: recipe.state?.(foldIn(key, 1), context) ?? {},
    ...(momentum !== null && { average: start }),
    optimiser: optimiser.init(start),
  };
  return createTrainer<StepState, TracedBatch, Record<string, Tensor>, TracedState>({
    state: initial,
    step: (state, batch) => {
      const { step } = state.optimiser;
      const before = { head: state.head, encoders: state.encoders };
      const { aux, gradients } = valueAndGradWithAux((trained: typeof before) => {
        const passes = Array.from({ length: copies }, (_, copy) =>
          featuresBy(trained.encoders, batch, foldInTensor(batch.key, 1000 + copy)),
        );
        const [features = {}] = passes;
        const seen: RecipeBatch = {
          features,
          copies: Object.fromEntries(
            towers.map(({ name }) => [name, passes.map((pass) => pass[name] as Tensor)]),
          ),
          teacher: teacherOf(state, batch),
          views: viewsBy(trained.encoders, batch, foldInTensor(batch.key, 2000)),
          targets: batch.targets ?? {},
          labels: batch.labels ?? null,
          items: batch.items,
          key: batch.key,
          step,
        };
        const result: RecipeLoss = lossOf.call(recipe, trained.head, state.state, seen, context);
        return {
          value: result.loss,
          aux: { metrics: { loss: result.loss, ...result.parts }, state: result.state ?? state.state },
        };
      })(before);
      const next = optimiser.update(before, gradients, state.optimiser);
      const head = recipe.update
        ? recipe.update(next.params.head, before.head, step, context)
        : next.params.head;
      const params = { head, encoders: next.params.encoders };
      const average =
        momentum === null
          ? {}
          : {
              average: treeZip(state.average as Traced<Trainable>, [params], (old, now) =>
                add(mul(old, momentum), mul(now as Tensor, 1 - momentum)),
              ),
            };
      return {
        state: { ...params, state: aux.state, ...average, optimiser: next.state } as TracedState,
        metrics: aux.metrics,
      };
    },
    options: { name: `${recipe.slug} step` },
  });
}

/** Arrays may stand where tensors are wanted: operations take them for constants. */
function asTraced<T>(tree: T): Traced<T> {
  return tree as Traced<T>;
}
