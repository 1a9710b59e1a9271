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

/** The list as Atom 1.0 (RFC 4287). */
export function atomFeed(list: PublishedList): string {
  const entries = list.papers.map((paper) =>
    [
      "<entry>",
      xmlElement("id", paperTag(paper)),
      xmlElement("title", paperTitle(paper)),
      `<link rel="alternate" type="text/html" href="${xmlText(list.pageOf(paper))}"/>`,
      xmlElement("published", momentOf(paper).toISOString()),
      xmlElement("updated", momentOf(paper).toISOString()),
      ...(paper.authors.length > 0 ? paper.authors : [{ name: "Unknown" }]).map(
        ({ name }) => `<author>${xmlElement("name", name)}</author>`,
      ),
      ...paperTerms(paper).map((term) => `<category term="${xmlText(term)}"/>`),
      xmlElement("content", paperHtml(paper), { type: "html" }),
      "</entry>",
    ].join("\n"),
  );
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<feed xmlns="http://www.w3.org/2005/Atom">',
    xmlElement("id", list.self),
    xmlElement("title", list.title),
    xmlElement("subtitle", list.description),
    xmlElement("updated", newestOf(list.papers).toISOString()),
    xmlElement("icon", list.icon),
    `<link rel="self" type="application/atom+xml" href="${xmlText(list.self)}"/>`,
    `<link rel="alternate" type="text/html" href="${xmlText(list.page)}"/>`,
    list.next && `<link rel="next" type="application/atom+xml" href="${xmlText(list.next)}"/>`,
    xmlElement("generator", "Concord"),
    ...entries,
    "</feed>\n",
  ]
    .filter(Boolean)
    .join("\n");
}
