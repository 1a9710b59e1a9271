import { workerData } from "node:worker_threads";
import { MeaningRanker } from "./meaning-ranker.ts";
import type { MeaningCalls, SearchSetup } from "./messages.ts";
import { post, serve } from "./serve.ts";

/** Changes of the store are looked for this often, so that a search rarely has to take them in. */
const LOOK_EVERY_MS = 1000;

const ranker = new MeaningRanker(workerData as SearchSetup, (level, text) =>
  post({ type: "note", level, text }),
);
serve<MeaningCalls>({
  search: (ask) => ranker.search(ask),
  similar: (ask) => ranker.similar(ask),
  recommend: (ask) => ranker.recommend(ask),
  state: () => ranker.state(),
});
void ranker.catchUp();
setInterval(() => void ranker.catchUp(), LOOK_EVERY_MS);
