import { loadRecipe } from "@concord/papers";
import {
  describeRange,
  type Recipe,
  type RecipeOptions,
  resolveOptions,
  TRAIN_MODES,
  type TrainMode,
} from "@concord/papers/recipes";
import { foldIn, type Key, type NDArray } from "@concord/tensor";
import type { Encoder, EncoderItem } from "../encoders/encoder.ts";
import { openEncoder } from "../encoders/open-encoder.ts";
import { type Dataset, type LabelTable, labelTable, readEmbeddings, readPairs } from "./dataset.ts";
import { AdaptDataError, AdaptRequestError } from "./errors.ts";
import { defaultCacheFolder, openFeatureCache } from "./feature-cache.ts";
import { type ComputedFeatures, computeFeatures, digestOfAll } from "./features.ts";
import type { AdaptOptions, AdaptRequest, TowerRequest } from "./request.ts";
import { type Groups, groupRows, type Split, splitRows, type Tie } from "./split.ts";
import type { Settings } from "./step.ts";
import { gatherRows, openLayer, type Tower } from "./tower.ts";

/** Independent uses of a run's key. */
export const streams = {
  split: 0,
  start: 1,
  batches: 2,
  state: 3,
  base: 4,
  adapters: 5,
  intervals: 6,
} as const;

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
  if (precomputed && (train !== "head" || recipe.needs.rawItems))
    throw new AdaptRequestError(
      recipe.needs.rawItems
        ? `${recipe.slug} needs the items themselves, not vectors of them.`
        : `With vectors only a head can be trained; --train ${train} needs the encoders.`,
    );
  if (recipe.needs.rawItems)
    throw new AdaptRequestError(`${recipe.slug} makes several views of an item, which adapt cannot do yet.`);
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

/** Encoders that are open, with those that this module opened itself. */
export interface OpenedTowers {
  readonly encoders: ReadonlyMap<string, Encoder>;
  close(): Promise<void>;
}

/** @throws EncoderError when one cannot be opened; those opened before are closed again */
export async function openEncoders(request: AdaptRequest): Promise<OpenedTowers> {
  const encoders = new Map<string, Encoder>();
  const own: Encoder[] = [];
  const close = async (): Promise<void> => {
    for (const encoder of own.splice(0)) await encoder.close();
  };
  try {
    for (const [name, tower] of Object.entries(request.towers)) {
      if (!("encoder" in tower)) continue;
      if (typeof tower.encoder !== "string") encoders.set(name, tower.encoder);
      else {
        const named = (["text", "image", "audio"] as const).find((modality) => modality === name);
        const modality = tower.modality ?? named;
        const opened = await openWithin(tower.encoder, modality, tower.modality !== undefined);
        own.push(opened);
        encoders.set(name, opened);
      }
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { encoders, close };
}

/** A tower's name is a hint at its modality; where the model is of another kind, the model is right. */
async function openWithin(
  path: string,
  modality: Encoder["modality"] | undefined,
  certain: boolean,
): Promise<Encoder> {
  if (modality === undefined || certain) return openEncoder(path, modality === undefined ? {} : { modality });
  try {
    return await openEncoder(path, { modality });
  } catch (error) {
    try {
      return await openEncoder(path);
    } catch {
      throw error;
    }
  }
}

/** The rows of a request. */
export function readData(
  request: AdaptRequest,
  opened: OpenedTowers,
  options: AdaptOptions,
): Promise<Dataset> {
  const { pairs } = request;
  if (pairs === undefined) return readEmbeddings(request);
  const towers = Object.entries(request.towers).map(([name, { column }]) => ({
    name,
    encoder: opened.encoders.get(name) as Encoder,
    column,
  }));
  return readPairs({ ...request, pairs }, towers, (rows) =>
    options.onProgress?.({ phase: "reading", done: rows, total: 0 }),
  );
}

/** Everything that training starts from. */
export interface Prepared {
  /** Of all rows that can be used. */
  readonly rows: number;
  readonly towers: readonly Tower[];
  /** The second items of one encoder's rows, as a tower of their own. */
  readonly twin: Tower | null;
  readonly labels: LabelTable | null;
  readonly scores: Float64Array | null;
  readonly groups: Groups;
  readonly split: Split;
  readonly embedding: { readonly computed: number; readonly cached: number; readonly seconds: number };
  /** Digest of all items and encoders. */
  readonly digest: string;
  readonly notes: readonly string[];
}

interface Embedded {
  readonly name: string;
  readonly features: NDArray<"float32">;
  readonly digests: readonly string[];
  readonly encoder: Encoder | null;
  readonly items: readonly EncoderItem[] | null;
}

/**
 * Features of all rows, kept on disk by content, and the split. Rows with an item that no encoder can read are left
 * out and counted.
 */
export async function prepare(
  request: AdaptRequest,
  resolved: ResolvedRequest,
  dataset: Dataset,
  opened: OpenedTowers,
  key: Key,
  options: AdaptOptions,
): Promise<Prepared> {
  const { recipe, names, train } = resolved;
  const { signal, onProgress } = options;
  const cacheFolder = request.cache ?? defaultCacheFolder();
  const totals = { computed: 0, cached: 0, seconds: 0 };
  const bad = new Map<number, string>();
  const embed = async (name: string, items: readonly EncoderItem[], encoder: Encoder): Promise<Embedded> => {
    const cache = await openFeatureCache(cacheFolder, encoder.digest, encoder.width);
    let result: ComputedFeatures;
    try {
      result = await computeFeatures(encoder, items, cache, {
        ...(signal && { signal }),
        onProgress: ({ done, total }) => onProgress?.({ phase: "embedding", of: name, done, total }),
      });
    } finally {
      cache.close();
    }
    totals.computed += result.computed;
    totals.cached += result.cached;
    totals.seconds += result.seconds;
    for (const { index, reason } of result.problems) bad.set(index, `${name}: ${reason}`);
    const features: NDArray<"float32"> = {
      dtype: "float32",
      shape: [items.length, result.width],
      data: result.values,
    };
    return { name, features, digests: result.digests, encoder, items };
  };
  const embedded: Embedded[] = [];
  for (const name of names) {
    const data = dataset.towers.get(name) as NonNullable<ReturnType<typeof dataset.towers.get>>;
    if (data.kind === "items")
      embedded.push(await embed(name, data.items, opened.encoders.get(name) as Encoder));
    else {
      const { buffer, byteOffset, byteLength } = data.vectors.data;
      const digest = digestOfAll([new Uint8Array(buffer, byteOffset, byteLength)]);
      embedded.push({ name, features: data.vectors, digests: [digest], encoder: null, items: null });
    }
  }
  const [only] = names as [string];
  const twin = dataset.compare && (await embed(only, dataset.compare, opened.encoders.get(only) as Encoder));

  const notes: string[] = [];
  if (bad.size > 0) {
    const [[row, reason]] = bad as unknown as [[number, string]];
    notes.push(
      `${bad.size} of ${dataset.count} rows have an item that cannot be encoded and are left out, e.g. row ${row}: ${reason}`,
    );
  }
  const kept = Uint32Array.from(
    Array.from({ length: dataset.count }, (_, i) => i).filter((row) => !bad.has(row)),
  );
  if (kept.length === 0) throw new AdaptDataError(`No row can be encoded; e.g. ${[...bad.values()][0]}`);
  const pick = (one: Embedded): Embedded =>
    kept.length === dataset.count
      ? one
      : {
          ...one,
          features: gatherRows(one.features, kept),
          digests: one.items ? [...kept].map((row) => one.digests[row] as string) : one.digests,
          items: one.items && [...kept].map((row) => one.items?.[row] as EncoderItem),
        };
  const rows = embedded.map(pick);
  const second = twin && pick(twin);
  checkWidths(recipe, rows);

  onProgress?.({ phase: "splitting", done: 0, total: 1 });
  const ties: Tie[] = [
    ...(dataset.groups
      ? [
          {
            name: "the group column",
            forced: true,
            equal: [...kept].map((row) => dataset.groups?.[row] as string),
          },
        ]
      : []),
    ...rows.map(({ name, items, digests, features }) => ({
      name,
      ...(items && { equal: digests }),
      vectors: features,
    })),
  ];
  const groups = await groupRows(kept.length, ties);
  const split = splitRows(foldIn(key, streams.split), groups, resolved);
  const towers: Tower[] = [];
  for (const [i, one] of rows.entries()) {
    const anchor = one.name === resolved.anchor;
    const trained = train !== "head" && !anchor && one.encoder !== null;
    const { rank = 8, alpha = rank, dropout = 0 } = resolved.settings;
    const layer =
      one.encoder &&
      (await openLayer(foldIn(foldIn(key, streams.adapters), i), one.encoder, {
        train: trained ? train : "head",
        rank,
        alpha,
        dropout,
      }));
    towers.push({
      name: one.name,
      width: one.features.shape[1] as number,
      data: one.items ? { kind: "items", items: one.items } : { kind: "vectors", vectors: one.features },
      encoder: one.encoder,
      features: one.features,
      anchor,
      layer,
      trained,
    });
  }
  const [first] = towers as [Tower];
  const labels =
    dataset.labels && labelTable([...kept].map((row) => dataset.labels?.[row] as readonly string[]));
  return {
    rows: kept.length,
    towers,
    twin: second && {
      ...first,
      name: `${first.name} (compared)`,
      twinOf: first.name,
      features: second.features,
      data: { kind: "items", items: second.items as readonly EncoderItem[] },
    },
    labels,
    scores: dataset.scores && Float64Array.from(kept, (row) => dataset.scores?.[row] as number),
    groups,
    split,
    embedding: totals,
    digest: digestOfAll([
      ...rows.flatMap(({ name, encoder, digests }) => [name, encoder?.digest ?? "", ...digests]),
      ...(second?.digests ?? []),
      JSON.stringify([dataset.labels, dataset.groups, dataset.scores && [...dataset.scores]]),
    ]),
    notes: [...notes, ...groups.notes],
  };
}

function checkWidths({ slug, needs }: Recipe, rows: readonly Embedded[]): void {
  const widths = rows.map(({ features }) => features.shape[1] as number);
  if (!needs.sharedSpace || widths.every((width) => width === widths[0])) return;
  throw new AdaptRequestError(
    `${slug} refines encoders that share a space; these make vectors of ${rows.map(({ name }, i) => `${widths[i]} (${name})`).join(" and ")} numbers. languagebind binds encoders of different widths.`,
  );
}

/** `alpha: 0.5 (a number from 0 to 1)` for plans. */
export function describeOption(recipe: Recipe, name: string, value: unknown): string {
  const option = recipe.options[name];
  return option ? `${value} (${describeRange(option)}; ${option.source})` : String(value);
}
