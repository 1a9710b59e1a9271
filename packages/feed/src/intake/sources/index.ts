import { arxivOai } from "./arxiv-oai.ts";
import { arxivFill, arxivIds, arxivQuery } from "./arxiv-query.ts";
import { arxivRss } from "./arxiv-rss.ts";
import { fileSource } from "./file.ts";
import { hfDaily } from "./hf-daily.ts";
import type { IngestSource, SourceReader } from "./source.ts";

/** @throws SourceError when the source is asked for something that it cannot give */
export function readerOf(source: IngestSource): SourceReader {
  switch (source.kind) {
    case "arxiv-rss":
      return arxivRss(source);
    case "arxiv-query":
      return arxivQuery(source);
    case "arxiv-ids":
      return arxivIds(source);
    case "arxiv-fill":
      return arxivFill(source);
    case "arxiv-oai":
      return arxivOai(source);
    case "hf-daily":
      return hfDaily(source);
    case "file":
    case "stream":
      return fileSource(source);
  }
}
