import type { TrainingSettings } from "@concord/papers/recipes";
import { chooseMetric, possibleMetrics } from "./evaluate.ts";
import { defaultCacheFolder } from "./feature-cache.ts";
import { checkFolder } from "./folder.ts";
import { openEncoders, readData } from "./prepare.ts";
import type { AdaptOptions, AdaptRequest } from "./request.ts";
import { resolveRequest } from "./resolve.ts";

/** What an adaptation would do. Numbers of rows are exact, those of the split and of steps before ties are looked for. */
export interface AdaptPlan {
  readonly recipe: string;
  readonly summary: string;
  readonly train: string;
  readonly towers: readonly {
    readonly name: string;
    /** The model or the file of vectors. */
    readonly from: string;
    readonly modality: string;
    readonly width: number;
    readonly column: string | null;
    /** What happens to it. */
    readonly role:
      | "stays as it is"
      | "a head is trained"
      | "adapters and a head are trained"
      | "all weights are trained";
  }[];
  readonly rows: number;
  readonly skipped: { readonly count: number; readonly byReason: Readonly<Record<string, number>> };
  readonly split: { readonly train: number; readonly validation: number; readonly heldOut: number };
  readonly settings: TrainingSettings;
  readonly steps: number;
  readonly options: Readonly<Record<string, unknown>>;
  readonly metric: string;
  readonly out: string;
  readonly cache: string;
  readonly deviations: readonly string[];
}

/**
 * Checks a request against its data and says what would be done; nothing is computed or written.
 *
 * @throws as `adapt`
 */
export async function planAdapt(request: AdaptRequest, options: AdaptOptions = {}): Promise<AdaptPlan> {
  const resolved = await resolveRequest(request);
  const { recipe, train, settings, heldOut, validation } = resolved;
  await checkFolder(request.out, request.resume ?? false);
  const opened = await openEncoders(request, recipe);
  try {
    const dataset = await readData(request, opened, options);
    const part = (share: number): number => Math.ceil(share * dataset.count);
    const split = { heldOut: part(heldOut), validation: part(validation) };
    const training = Math.max(0, dataset.count - split.heldOut - split.validation);
    const perEpoch = Math.max(1, Math.floor(training / Math.min(settings.batchSize, Math.max(1, training))));
    const usual = Math.max(
      settings.epochs * perEpoch,
      request.epochs === undefined ? (settings.minimumSteps ?? 1) : 1,
    );
    const possible = possibleMetrics({
      towers: resolved.names.length,
      compare: dataset.compare !== null,
      scores: dataset.scores !== null,
      labels: dataset.labels !== null,
      // Which form the output has, a recipe says from facts about features; codes go by labels where there are some.
      binary: recipe.output !== undefined,
    });
    return {
      recipe: recipe.slug,
      summary: recipe.summary,
      train,
      towers: resolved.names.map((name) => {
        const encoder = opened.encoders.get(name);
        const data = dataset.towers.get(name);
        const given = request.towers[name];
        const vectors = given && "vectors" in given ? given.vectors : "";
        return {
          name,
          from: encoder?.name ?? (typeof vectors === "string" ? vectors : "vectors in memory"),
          modality: encoder?.modality ?? "vector",
          width: encoder?.width ?? (data?.kind === "vectors" ? (data.vectors.shape[1] as number) : 0),
          column: dataset.columns[name] ?? null,
          role:
            name === resolved.anchor
              ? "stays as it is"
              : train === "head"
                ? "a head is trained"
                : train === "adapters"
                  ? "adapters and a head are trained"
                  : "all weights are trained",
        };
      }),
      rows: dataset.count,
      skipped: { count: dataset.skipped.count, byReason: dataset.skipped.byReason },
      split: { train: training, ...split },
      settings,
      steps: recipe.loss ? (request.steps ?? usual) : 0,
      options: resolved.options,
      metric: chooseMetric(request.metric, possible, recipe.measure?.metric).id,
      out: request.out,
      cache: request.cache ?? defaultCacheFolder(),
      deviations: recipe.deviations,
    };
  } finally {
    await opened.close();
  }
}
