export { type FileFormat, type FileOptions, fileItems } from "./files/items.ts";
export { type ArxivId, parseArxivId } from "./formats/arxiv-text.ts";
export { type AtomFeed, parseAtom } from "./formats/atom.ts";
export { dumpItem } from "./formats/dump.ts";
export { parseHfDaily } from "./formats/hf-daily.ts";
export { FormatError, type Item, type RejectedItem } from "./formats/item.ts";
export { type OaiError, type OaiPage, parseOai } from "./formats/oai.ts";
export { parseRss, type RssListing } from "./formats/rss.ts";
export { parseTextList, type TextList, type TextListOptions } from "./formats/text-list.ts";
export { type IngestOptions, type IngestProgress, type IngestReport, ingest } from "./ingest.ts";
export {
  arxivSchedule,
  IntakeSchedule,
  type IntakeScheduleOptions,
  type ScheduledSource,
} from "./schedule.ts";
export { filesOf } from "./sources/file.ts";
export { type IngestSource, SourceError } from "./sources/source.ts";
