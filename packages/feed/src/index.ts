export * from "./bibtex.ts";
export * from "./calendar.ts";
export { readFigures, type TrainingFigures } from "./encoder/figures.ts";
export * from "./feeds/atom.ts";
export type { PublishedList } from "./feeds/content.ts";
export * from "./feeds/json-feed.ts";
export * from "./feeds/rss.ts";
export * from "./lists.ts";
export * from "./ranking/trending.ts";
export * from "./record.ts";
export * from "./record-merge.ts";
export {
  MAX_QUERY,
  type OpenedSearch,
  type OpenSearchOptions,
  openSearch,
  outsideVersion,
} from "./search/open-search.ts";
export * from "./search/types.ts";
export * from "./search.ts";
export * from "./store/index.ts";
export * from "./tex.ts";
export * from "./transfer/index.ts";
export * from "./words.ts";
