import { loadRecipe } from "@concord/papers";
import {
  type Recipe,
  type RecipeOptions,
  resolveOptions,
  TRAIN_MODES,
  type TrainMode,
} from "@concord/papers/recipes";
import { AdaptRequestError } from "./errors.ts";
import type { AdaptRequest, TowerRequest } from "./request.ts";
import type { Settings } from "./step.ts";

/** What a request comes to before any data is looked at. */
export interface ResolvedRequest {
  readonly recipe: Recipe;
  readonly train: TrainMode;
  readonly options: ReturnType<typeof resolveOptions<RecipeOptions>>;
  readonly settings: Settings;
  /** Names in their order; of anchored ones the anchor is first. */
  readonly names: readonly string[];
  readonly anchor: string | null;
  readonly heldOut: number;
  readonly validation: number;
  readonly seed: number;
}

function checkNumber(
  name: string,
  value: number | undefined,
  least: number,
  most: number,
  whole = true,
): void {
  if (value === undefined) return;
  if (!(value >= least && value <= most) || (whole && !Number.isSafeInteger(value)))
    throw new AdaptRequestError(
      `${name} must be ${whole ? "a whole number" : "a number"} from ${least} to ${most}, got ${value}`,
    );
}

function chooseAnchor(recipe: Recipe, names: readonly string[], wanted: string | undefined): string | null {
  if (recipe.needs.towers !== "anchored") {
    if (wanted !== undefined) throw new AdaptRequestError(`${recipe.slug} has no anchor; leave out --anchor`);
    return null;
  }
  if (wanted === undefined) return names.includes("text") ? "text" : (names.at(-1) as string);
  if (!names.includes(wanted))
    throw new AdaptRequestError(`--anchor ${wanted}: the encoders are ${names.join(", ")}`);
  return wanted;
}

function checkTowers({ slug, needs }: Recipe, names: readonly string[]): void {
  for (const name of names)
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,40}$/.test(name))
      throw new AdaptRequestError(
        `${JSON.stringify(name)} cannot name an encoder: letters, digits, '-' and '_', at most 41`,
      );
  const fits =
    needs.towers === "one"
      ? names.length === 1
      : needs.towers === "two"
        ? names.length === 2
        : names.length >= 2;
  if (fits) return;
  const wanted = {
    one: "one encoder",
    two: "two encoders",
    anchored: "two encoders or more, one of which stays as it is",
  };
  throw new AdaptRequestError(
    `${slug} takes ${wanted[needs.towers]}, got ${names.length === 0 ? "none" : names.join(", ")}`,
  );
}

/**
 * Checks a request as far as that needs no data.
 *
 * @throws AdaptRequestError, RecipeOptionError, or the errors of `loadRecipe`
 */
export async function resolveRequest(request: AdaptRequest): Promise<ResolvedRequest> {
  const recipe = typeof request.recipe === "string" ? await loadRecipe(request.recipe) : request.recipe;
  const given = Object.keys(request.towers);
  checkTowers(recipe, given);
  const anchor = chooseAnchor(recipe, given, request.anchor);
  const names = anchor === null ? given : [anchor, ...given.filter((name) => name !== anchor)];
  const precomputed = given.some((name) => "vectors" in (request.towers[name] as TowerRequest));
  const encoders = given.some((name) => "encoder" in (request.towers[name] as TowerRequest));
  if (precomputed && encoders)
    throw new AdaptRequestError("Give encoders for all towers or vectors for all; the two cannot be mixed.");
  if (encoders && request.pairs === undefined)
    throw new AdaptRequestError("Encoders need data: give --pairs FILE.");
  if (precomputed && request.pairs !== undefined)
    throw new AdaptRequestError("Vectors are the data; --pairs goes with encoders.");
  if (request.scoreColumn !== undefined && request.compareColumn === undefined)
    throw new AdaptRequestError(
      "--score says how alike two columns are; name the second one with --compare.",
    );
  if (request.compareColumn !== undefined && recipe.needs.towers !== "one")
    throw new AdaptRequestError(`--compare is for recipes of one encoder; ${recipe.slug} has pairs already.`);
  const train = request.train ?? (recipe.needs.train[0] as TrainMode);
  if (!TRAIN_MODES.includes(train) || !recipe.needs.train.includes(train))
    throw new AdaptRequestError(
      `${recipe.slug} trains ${recipe.needs.train.join(", ")}; got ${JSON.stringify(train)}`,
    );
  if (precomputed && (train !== "head" || recipe.views))
    throw new AdaptRequestError(
      recipe.views
        ? `${recipe.slug} needs the items themselves, not vectors of them.`
        : `With vectors only a head can be trained; --train ${train} needs the encoders.`,
    );
  if (recipe.needs.labels === "required" && request.labelColumn === undefined && request.labels === undefined)
    throw new AdaptRequestError(
      `${recipe.slug} needs labels: name their column (--label-column) or file (--labels).`,
    );
  const usual = recipe.training[train];
  if (!usual) throw new AdaptRequestError(`${recipe.slug} has no settings for --train ${train}`);
  checkNumber("--batch", request.batchSize, 2, 1e6);
  checkNumber("--epochs", request.epochs, 1, 1e5);
  checkNumber("--steps", request.steps, 1, 1e8);
  checkNumber("--rank", request.rank, 1, 4096);
  checkNumber("--seed", request.seed, 0, 2 ** 53 - 1);
  checkNumber("--patience", request.patience, 1, 1e6);
  checkNumber("--evaluate-every", request.evaluateEvery, 1, 1e8);
  checkNumber("--learning-rate", request.learningRate, 1e-12, 100, false);
  checkNumber("--weight-decay", request.weightDecay, 0, 10, false);
  checkNumber("--held-out", request.heldOut, 0.01, 0.45, false);
  checkNumber("--validation", request.validation, 0.01, 0.45, false);
  if (request.steps !== undefined && request.epochs !== undefined)
    throw new AdaptRequestError("Give --steps or --epochs, not both.");
  const heldOut = request.heldOut ?? 0.1;
  return {
    recipe,
    train,
    options: resolveOptions(recipe.options, request.options),
    settings: {
      ...usual,
      ...(request.batchSize !== undefined && { batchSize: request.batchSize }),
      ...(request.epochs !== undefined && { epochs: request.epochs }),
      ...(request.learningRate !== undefined && { learningRate: request.learningRate }),
      ...(request.weightDecay !== undefined && { weightDecay: request.weightDecay }),
      ...(request.rank !== undefined && { rank: request.rank }),
    },
    names,
    anchor,
    heldOut,
    validation: request.validation ?? heldOut,
    seed: request.seed ?? 0,
  };
}
