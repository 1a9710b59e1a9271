import type { Author, PaperRecordInput } from "../../record.ts";
import { dayOfMoment, linksOf, parseArxivId, saysWithdrawn } from "./arxiv-text.ts";
import { FormatError, type Item, paperItem, rejected } from "./item.ts";
import { isObject, type JsonObject, parseJson, textAt } from "./json.ts";

/**
 * Reads an answer of the Daily Papers interface: a list of items, or one paper in detail. Unknown fields are ignored.
 *
 * @param listed  the day that was asked for, for items that do not say when they entered the list
 * @throws FormatError when the text is no JSON, or neither list nor object
 */
export function parseHfDaily(
  text: string,
  listed: string | null,
): { entries: number; items: Iterable<Item> } {
  const value = parseJson(text);
  const elements = Array.isArray(value) ? (value as readonly unknown[]) : isObject(value) ? [value] : null;
  if (elements === null) throw new FormatError("expected a list of items or one paper", "line 1");
  return { entries: elements.length, items: itemsOf(elements, listed) };
}

function* itemsOf(elements: readonly unknown[], listed: string | null): Generator<Item, void, undefined> {
  for (const [index, element] of elements.entries()) {
    const position = `item ${index + 1}`;
    yield isObject(element)
      ? hfItem(element, position, listed)
      : rejected(
          position,
          null,
          `expected an object, got ${Array.isArray(element) ? "a list" : typeof element}`,
          "",
        );
  }
}

/** Whether an object is an item of Daily Papers, or the paper inside one. */
export function isHfItem(value: JsonObject): boolean {
  return isObject(value.paper) || ("discussionId" in value && "upvotes" in value);
}

/**
 * One item of Daily Papers, or one paper in detail.
 *
 * Both an item and its paper have `publishedAt`: the paper's is the day of arXiv's version 1, the item's something in
 * between. When the paper entered the list is `submittedOnDailyAt` of the paper.
 */
export function hfItem(item: JsonObject, position: string, listed: string | null): Item {
  const paper = isObject(item.paper) ? item.paper : item;
  const idText = textAt(paper, "id") ?? "";
  const sample = `${idText} ${textAt(paper, "title") ?? ""}`;
  const parsed = parseArxivId(idText);
  if (parsed === null) {
    const reason = `paper.id: expected an arXiv identifier (got ${JSON.stringify(idText)})`;
    return rejected(position, idText || null, reason, sample);
  }
  const { id } = parsed;
  const abstract = textAt(paper, "summary") ?? textAt(item, "summary") ?? "";
  const code = webAddress(textAt(paper, "githubRepo"));
  const project = webAddress(textAt(paper, "projectPage"));
  const input: PaperRecordInput = {
    id,
    title: textAt(paper, "title") ?? textAt(item, "title") ?? "",
    abstract,
    authors: Array.isArray(paper.authors) ? paper.authors.flatMap(authorOf) : [],
    published: dayOfMoment(textAt(paper, "publishedAt")),
    announced: dayOfMoment(textAt(paper, "submittedOnDailyAt")) ?? listed,
    links: {
      ...linksOf(id, abstract),
      ...(code === null ? {} : { code }),
      ...(project === null ? {} : { project }),
    },
    withdrawn: textAt(paper, "withdrawnAt") !== null || saysWithdrawn(null, abstract),
    sources: ["hf-daily"],
  };
  return paperItem(position, input, sample);
}

function authorOf(author: unknown): Author[] {
  const name = isObject(author) && author.hidden !== true ? textAt(author, "name") : null;
  return name === null ? [] : [{ name }];
}

/** Members type these in: what is no address is left out rather than costing the paper. */
function webAddress(text: string | null): string | null {
  if (text === null || text.length > 2000 || !/^https?:\/\//.test(text) || !URL.canParse(text)) return null;
  return text;
}
