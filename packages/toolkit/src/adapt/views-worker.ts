import { workerData } from "node:worker_threads";
import { serveRequests } from "@concord/data/worker";
import { loadRecipe } from "@concord/papers";
import { type BatchViews, type ViewRequest, type ViewThreadData, viewsOf } from "./views.ts";

const { slug, context } = workerData as ViewThreadData;
const recipe = loadRecipe(slug);
// Told to whoever asks for views.
recipe.catch(() => {});

serveRequests(async (request: ViewRequest): Promise<BatchViews> => {
  const loaded = await recipe;
  return request === null ? { views: {}, targets: {} } : viewsOf(loaded, context, request.items, request.key);
});
