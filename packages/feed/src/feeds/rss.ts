import {
  momentOf,
  newestOf,
  type PublishedList,
  paperHtml,
  paperTag,
  paperTerms,
  paperTitle,
  xmlElement,
  xmlText,
} from "./content.ts";

/** Minutes for which a reader may keep the document. */
const TTL_MINUTES = "60";

/** The list as RSS 2.0, with the authors as Dublin Core creators. */
export function rssFeed(list: PublishedList): string {
  const items = list.papers.map((paper) =>
    [
      "<item>",
      xmlElement("title", paperTitle(paper)),
      xmlElement("link", list.pageOf(paper)),
      xmlElement("guid", paperTag(paper), { isPermaLink: "false" }),
      xmlElement("pubDate", momentOf(paper).toUTCString()),
      ...paper.authors.map(({ name }) => xmlElement("dc:creator", name)),
      ...paperTerms(paper).map((term) => xmlElement("category", term)),
      xmlElement("description", paperHtml(paper)),
      "</item>",
    ]
      .filter(Boolean)
      .join("\n"),
  );
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:dc="http://purl.org/dc/elements/1.1/">',
    "<channel>",
    xmlElement("title", list.title),
    xmlElement("link", list.page),
    xmlElement("description", list.description),
    `<atom:link rel="self" type="application/rss+xml" href="${xmlText(list.self)}"/>`,
    list.next && `<atom:link rel="next" type="application/rss+xml" href="${xmlText(list.next)}"/>`,
    xmlElement("language", "en"),
    xmlElement("lastBuildDate", newestOf(list.papers).toUTCString()),
    xmlElement("ttl", TTL_MINUTES),
    ...items,
    "</channel>",
    "</rss>\n",
  ]
    .filter(Boolean)
    .join("\n");
}
