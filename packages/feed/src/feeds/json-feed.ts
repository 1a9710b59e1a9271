import { momentOf, type PublishedList, paperHtml, paperTag, paperTerms, paperTitle } from "./content.ts";

/** The list as JSON Feed 1.1. */
export function jsonFeed(list: PublishedList): string {
  const document = {
    version: "https://jsonfeed.org/version/1.1",
    title: list.title,
    description: list.description,
    home_page_url: list.page,
    feed_url: list.self,
    ...(list.next && { next_url: list.next }),
    icon: list.icon,
    language: "en",
    items: list.papers.map((paper) => ({
      id: paperTag(paper),
      url: list.pageOf(paper),
      ...(paper.links.abstract && { external_url: paper.links.abstract }),
      title: paperTitle(paper),
      content_html: paperHtml(paper),
      date_published: momentOf(paper).toISOString(),
      ...(paper.authors.length > 0 && { authors: paper.authors.map(({ name }) => ({ name })) }),
      tags: paperTerms(paper),
    })),
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}
