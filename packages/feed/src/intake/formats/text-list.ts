import { localId } from "../../record.ts";
import { FormatError, type Item, paperItem, rejected } from "./item.ts";

export interface TextListOptions {
  /** The day of the page, YYYY-MM-DD. Default: what its header says. */
  readonly day?: string | undefined;
  /** Today, YYYY-MM-DD: a header without year is taken as its last occurrence until then. */
  readonly today: string;
}

export interface TextList {
  /** The day of the page; null when neither the caller nor the header gives one. */
  readonly day: string | null;
  /** Whether the year of `day` is a conclusion. */
  readonly yearGuessed: boolean;
  readonly entries: number;
  readonly items: Iterable<Item>;
}

interface Line {
  readonly text: string;
  readonly line: number;
}

/** A date as the page prints it; the year is left out in the page's own year. */
interface PrintedDate {
  readonly month: number;
  readonly day: number;
  readonly year: number | null;
}

/** A run of paragraphs with what stands below it. */
interface Card {
  readonly paragraphs: readonly Line[];
  readonly authorCount: number | null;
  readonly date: PrintedDate | null;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DATE = /^([A-Z][a-z]{2})[a-z]*\.? (\d{1,2})(?:, (\d{4}))?$/;
const AUTHORS = /^[•·*\u2022-]?\s*(\d[\d,]{0,6}) authors?$/i;
const DOT = /^[•·]$/;
const HEADER = /^Daily Papers$/i;
/** Titles of papers are shorter, abstracts nearly always longer. */
const MAX_TITLE = 400;
const MIN_CONTINUATION = 300;
const MAX_CHARACTERS = 15 * 2 ** 20;

/**
 * Reads the text of a Daily Papers page as it is copied from a browser: a header that ends with the page's day, then for
 * each paper its title, its abstract and, where the page gives them, `• 5 authors`, `·` and the day of publication.
 * Days without year lie in the page's own year, or in the year before where they would come after the page's day.
 *
 * Papers are known by their titles: the list holds no arXiv identifiers.
 *
 * @throws FormatError when there is no paper in the text, or it is too long
 */
export function parseTextList(text: string, { day, today }: TextListOptions): TextList {
  if (text.length > MAX_CHARACTERS)
    throw new FormatError(`a text list of more than ${MAX_CHARACTERS} characters`);
  const lines = text
    .split(/\r\n|\n|\r/)
    .map((part, index): Line => ({ text: part.trim(), line: index + 1 }))
    .filter((part) => part.text !== "");
  const { printed, rest } = withoutHeader(lines);
  const cards = cardsOf(rest);
  if (!cards.some((card) => card.paragraphs.length > 1)) {
    throw new FormatError("expected titles, each followed by an abstract");
  }
  const page = day ?? (printed === null ? null : dayOfPage(printed, today));
  return {
    day: page,
    yearGuessed: day === undefined && printed !== null && printed.year === null,
    entries: cards.length,
    items: itemsOf(cards, page),
  };
}

function withoutHeader(lines: readonly Line[]): { printed: PrintedDate | null; rest: readonly Line[] } {
  const name = lines.findIndex(({ text }) => HEADER.test(text));
  if (name === -1) return { printed: null, rest: lines };
  const date = lines.findIndex(({ text }, index) => index > name && index <= name + 5 && DATE.test(text));
  return date === -1
    ? { printed: null, rest: lines.slice(name + 1) }
    : { printed: printedDate((lines[date] as Line).text), rest: lines.slice(date + 1) };
}

function cardsOf(lines: readonly Line[]): Card[] {
  const cards: Card[] = [];
  let paragraphs: Line[] = [];
  let authorCount: number | null = null;
  let date: PrintedDate | null = null;
  const end = (): void => {
    if (paragraphs.length > 0) cards.push(...splitCards(paragraphs, authorCount, date));
    paragraphs = [];
    authorCount = null;
    date = null;
  };
  for (const line of lines) {
    const marks = line.text.split(/\s+[•·]\s+/);
    const count = AUTHORS.exec(marks[0] ?? "")?.[1];
    const printed = printedDate(marks.at(-1) ?? "");
    if (count !== undefined && (marks.length === 1 || printed !== null)) {
      authorCount = Number(count.replaceAll(",", ""));
      if (marks.length > 1) date = printed;
    } else if (printed !== null && marks.length === 1) date = printed;
    else if (!DOT.test(line.text)) {
      if (authorCount !== null || date !== null) end();
      paragraphs.push(line);
    }
  }
  end();
  return cards;
}

/** Paragraphs in a row belong to several papers where some have nothing below them: a title begins each. */
function splitCards(
  paragraphs: readonly Line[],
  authorCount: number | null,
  date: PrintedDate | null,
): Card[] {
  const groups: Line[][] = [];
  for (const paragraph of paragraphs) {
    const group = groups.at(-1);
    const continues =
      group !== undefined && (group.length === 1 || paragraph.text.length >= MIN_CONTINUATION);
    if (continues) group.push(paragraph);
    else groups.push([paragraph]);
  }
  return groups.map((group, index) => {
    const last = index === groups.length - 1;
    return { paragraphs: group, authorCount: last ? authorCount : null, date: last ? date : null };
  });
}

function* itemsOf(cards: readonly Card[], page: string | null): Generator<Item, void, undefined> {
  for (const { paragraphs, authorCount, date } of cards) {
    const [title, ...rest] = paragraphs as [Line, ...Line[]];
    const position = `line ${title.line}`;
    const abstract = rest.map((part) => part.text).join(" ");
    if (title.text.length > MAX_TITLE) {
      yield rejected(position, null, "title: expected a line before the abstract", title.text);
    } else if (abstract === "") {
      yield rejected(position, null, `abstract: expected text after the title`, title.text);
    } else {
      yield paperItem(
        position,
        {
          id: localId(title.text),
          title: title.text,
          abstract,
          authorCount: authorCount === 0 ? null : authorCount,
          published: date === null ? null : dayOfCard(date, page),
          sources: ["text-list"],
        },
        title.text,
      );
    }
  }
}

function printedDate(text: string): PrintedDate | null {
  const [, name = "", day = "", year] = DATE.exec(text) ?? [];
  const month = MONTHS.indexOf(name.toLowerCase()) + 1;
  if (month === 0 || Number(day) < 1 || Number(day) > 31) return null;
  return { month, day: Number(day), year: year === undefined ? null : Number(year) };
}

/** null for a day that the year does not have. */
function isoDay({ month, day }: PrintedDate, year: number): string | null {
  const moment = new Date(Date.UTC(year, month - 1, day));
  return moment.getUTCMonth() === month - 1 ? moment.toISOString().slice(0, 10) : null;
}

/** The last such day until `latest`: 29 February may be some years ago. */
function lastUntil(date: PrintedDate, latest: string): string | null {
  const year = Number(latest.slice(0, 4));
  for (let back = 0; back <= 8; back++) {
    const day = isoDay(date, year - back);
    if (day !== null && day <= latest) return day;
  }
  return null;
}

function dayOfPage(printed: PrintedDate, today: string): string | null {
  return printed.year === null ? lastUntil(printed, today) : isoDay(printed, printed.year);
}

function dayOfCard(date: PrintedDate, page: string | null): string | null {
  if (date.year !== null) return isoDay(date, date.year);
  return page === null ? null : lastUntil(date, page);
}
