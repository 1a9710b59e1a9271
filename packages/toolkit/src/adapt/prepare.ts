import type { Recipe } from "@concord/papers/recipes";
import { foldIn, type Key, type NDArray } from "@concord/tensor";
import type { Encoder, EncoderItem } from "../encoders/encoder.ts";
import { openEncoder } from "../encoders/open-encoder.ts";
import { type Dataset, type LabelTable, labelTable, readPairs } from "./dataset.ts";
import { readEmbeddings } from "./dataset-vectors.ts";
import { AdaptDataError, AdaptRequestError } from "./errors.ts";
import { defaultCacheFolder, openFeatureCache } from "./feature-cache.ts";
import { type ComputedFeatures, computeFeatures, digestOfAll, rowDigests } from "./features.ts";
import type { AdaptOptions, AdaptRequest } from "./request.ts";
import type { ResolvedRequest } from "./resolve.ts";
import { type Groups, groupRows, type Split, splitRows, type Tie } from "./split.ts";
import { ClosedEncoderError, gatherRows, openLayer, type Tower } from "./tower.ts";

/** Independent uses of a run's key. */
export const streams = {
  split: 0,
  start: 1,
  batches: 2,
  state: 3,
  base: 4,
  adapters: 5,
  intervals: 6,
  views: 7,
} as const;

/** Encoders that are open, with those that this module opened itself. */
export interface OpenedTowers {
  readonly encoders: ReadonlyMap<string, Encoder>;
  close(): Promise<void>;
}

/**
 * @throws EncoderError when one cannot be opened, AdaptRequestError when the recipe is not for its kind; those opened
 *   before are closed again
 */
export async function openEncoders(
  request: AdaptRequest,
  { slug, needs }: Pick<Recipe, "slug" | "needs">,
): Promise<OpenedTowers> {
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
        const named = (["text", "image", "volume", "audio"] as const).find((modality) => modality === name);
        const modality = tower.modality ?? named;
        const opened = await openWithin(tower.encoder, modality, tower.modality !== undefined);
        own.push(opened);
        encoders.set(name, opened);
      }
    }
    for (const [name, { modality }] of encoders)
      if (needs.modalities && !needs.modalities.includes(modality))
        throw new AdaptRequestError(
          `${slug} is for encoders of ${needs.modalities.join(" or ")}; '${name}' takes ${modality}.`,
        );
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

/**
 * The rows of a request.
 *
 * @throws AdaptDataError, or VectorFileError, for what is wrong with the files
 */
export async function readData(
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
  try {
    return await readPairs({ ...request, pairs }, towers, (rows) =>
      options.onProgress?.({ phase: "reading", done: rows, total: 0 }),
    );
  } catch (error) {
    // Readers name file, line and reason in plain errors.
    if (!(error instanceof Error) || error.name !== "Error") throw error;
    throw new AdaptDataError(error.message, { cause: error });
  }
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
  const notes: string[] = [];
  const embed = async (name: string, items: readonly EncoderItem[], encoder: Encoder): Promise<Embedded> => {
    const cache = await openFeatureCache(cacheFolder, encoder.digest, encoder.width, (sentence) =>
      notes.push(sentence),
    );
    const began = performance.now();
    let result: ComputedFeatures;
    try {
      result = await computeFeatures(encoder, items, cache, {
        ...(signal && { signal }),
        onProgress: ({ done, total }) => {
          const samplesPerSecond = (1000 * done) / (performance.now() - began);
          onProgress?.({ phase: "embedding", of: name, done, total, samplesPerSecond });
        },
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
      equal: items ? digests : rowDigests(features),
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
    let layer: Tower["layer"] = null;
    try {
      layer =
        one.encoder &&
        (await openLayer(foldIn(foldIn(key, streams.adapters), i), one.encoder, {
          train: trained ? train : "head",
          rank,
          alpha,
          dropout,
        }));
    } catch (error) {
      // A frozen encoder need only run: its graph is exported as it is, with the head behind it.
      if (!(error instanceof ClosedEncoderError) || trained || recipe.views) throw error;
      const [reason = ""] = error.reason.split("\n").slice(-1);
      notes.push(
        `The model of '${one.name}' stays as it is, operator by operator, and gets its head behind it (${reason.trim()}).`,
      );
    }
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
