import { type Author, localId } from "../../record.ts";
import {
  categoryList,
  dayOfMoment,
  linksOf,
  parseArxivId,
  repairedId,
  saysWithdrawn,
  splitAuthors,
} from "./arxiv-text.ts";
import { hfItem, isHfItem } from "./hf-daily.ts";
import { type Item, paperItem, rejected } from "./item.ts";
import { isObject, type JsonObject, parseJson, textAt } from "./json.ts";

/** Names under which dumps give the same thing, the first that is there counts. */
const FIELDS = {
  id: ["id", "arxivId", "arxiv_id", "paper_id"],
  title: ["title"],
  abstract: ["abstract", "summary"],
  published: ["published", "created", "published_at", "publishedAt"],
  updated: ["updated", "update_date"],
  announced: ["announced", "listed"],
  comment: ["comment", "comments"],
  journalRef: ["journalRef", "journal_ref", "journal-ref"],
  doi: ["doi"],
  licence: ["licence", "license"],
  primary: ["primaryCategory", "primary_category", "primary"],
} as const;

function field(object: JsonObject, name: keyof typeof FIELDS): string | null {
  for (const alias of FIELDS[name]) {
    const text = textAt(object, alias);
    if (text !== null) return text;
  }
  return null;
}

/**
 * One record of a JSON dump: an object with at least `title`, `abstract` (or `summary`) and, for papers on arXiv, `id`.
 * Understood are also the field names of the arXiv data set on Kaggle, of Daily Papers, and of Concord's own export.
 * A record whose id is no arXiv identifier is rejected; one without any id is known by its title.
 *
 * @param text  JSON of one value
 */
export function dumpItem(text: string, position: string): Item {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    return rejected(position, null, (error as Error).message, text);
  }
  if (!isObject(value)) return rejected(position, null, "expected an object", text);
  if (isHfItem(value)) return hfItem(value, position, null);
  const days = {
    published: dayOfMoment(field(value, "published")),
    updated: dayOfMoment(field(value, "updated")),
    announced: dayOfMoment(field(value, "announced")),
  };
  const title = field(value, "title") ?? "";
  const identity = identityOf(value, title, days.published);
  if (typeof identity === "string") return rejected(position, field(value, "id"), identity, text);
  const { id, version } = identity;
  const abstract = field(value, "abstract") ?? "";
  const comment = field(value, "comment");
  const categories = categoryList(listAt(value, "categories"));
  const versions = versionsOf(value);
  const newest = versions.at(-1);
  return paperItem(
    position,
    {
      id,
      title,
      abstract,
      authors: authorsOf(value),
      ...days,
      published: days.published ?? versions.find((entry) => entry.version === 1)?.date ?? null,
      updated: newest?.date ?? days.updated,
      version: newest?.version ?? version,
      versions,
      categories,
      primaryCategory: field(value, "primary") ?? categories[0] ?? null,
      comment,
      journalRef: field(value, "journalRef"),
      doi: field(value, "doi"),
      licence: field(value, "licence"),
      links: id.startsWith("local:") ? {} : linksOf(id, comment, abstract),
      withdrawn: value.withdrawn === true || saysWithdrawn(comment, abstract),
      sources: ["file"],
    },
    text,
  );
}

/** The id that a record has, or what is wrong with it. */
function identityOf(
  value: JsonObject,
  title: string,
  published: string | null,
): { readonly id: string; readonly version: number | null } | string {
  const given = FIELDS.id
    .map((alias) => value[alias])
    .find((one) => one !== undefined && one !== null && one !== "");
  if (given === undefined) {
    return title === "" ? "title: expected text" : { id: localId(title), version: null };
  }
  if (typeof given !== "string" && typeof given !== "number") {
    return `id: expected text such as "2504.12717", got ${Array.isArray(given) ? "a list" : typeof given}`;
  }
  const text = String(given).trim();
  const parsed = parseArxivId(text);
  if (parsed !== null) return parsed;
  if (/^local:[0-9a-f]{12}$/.test(text)) return { id: text, version: null };
  const repaired = repairedId(text, published);
  if (repaired !== null) return { id: repaired, version: null };
  return `id: expected an arXiv identifier (got ${JSON.stringify(text.slice(0, 80))})`;
}

/** A list of texts, or one text with blanks between them. */
function listAt(object: JsonObject, name: string): string[] {
  const value = object[name];
  const parts: readonly unknown[] = Array.isArray(value)
    ? value
    : typeof value === "string"
      ? value.split(/\s+/)
      : [];
  return parts
    .filter((part) => typeof part === "string" && part.trim() !== "")
    .map((part) => String(part).trim());
}

function authorsOf(object: JsonObject): Author[] {
  const parsed = object.authors_parsed;
  if (Array.isArray(parsed)) return parsed.flatMap(parsedName);
  const { authors } = object;
  if (typeof authors === "string") return splitAuthors(authors);
  if (!Array.isArray(authors)) return [];
  const names = authors.flatMap((author: unknown): Author[] => {
    if (typeof author === "string") return author.trim() === "" ? [] : [{ name: author.trim() }];
    const name = isObject(author) ? textAt(author, "name") : null;
    const affiliation = isObject(author) ? textAt(author, "affiliation") : null;
    if (name === null) return [];
    return [affiliation === null ? { name } : { name, affiliation }];
  });
  return joinSuffixes(names);
}

/** Lists that were made by splitting at commas have "Jr." as a name of its own. */
function joinSuffixes(names: readonly Author[]): Author[] {
  const joined: Author[] = [];
  for (const author of names) {
    const last = joined.at(-1);
    if (last !== undefined && /^(?:Jr|Sr|II|III|IV)\.?$/.test(author.name)) {
      joined[joined.length - 1] = { ...last, name: `${last.name}, ${author.name}` };
    } else joined.push(author);
  }
  return joined;
}

/** `[surname, forenames, suffix]` of the data set on Kaggle. */
function parsedName(parts: unknown): Author[] {
  if (!Array.isArray(parts)) return [];
  const [surname = "", forenames = "", suffix = ""] = parts.map((part) =>
    typeof part === "string" ? part.trim() : "",
  );
  const name = [forenames, surname, suffix].filter(Boolean).join(" ");
  return name === "" ? [] : [{ name }];
}

/** `[{version: "v1", created: ...}]` of the data set on Kaggle, or `[{version: 1, date: ...}]`. */
function versionsOf(object: JsonObject): { version: number; date: string | null }[] {
  const { versions } = object;
  if (!Array.isArray(versions)) return [];
  return versions
    .filter(isObject)
    .flatMap((entry) => {
      const name = typeof entry.version === "number" ? `v${entry.version}` : (textAt(entry, "version") ?? "");
      const number = Number(/^v?(\d{1,4})$/.exec(name)?.[1] ?? 0);
      const date = dayOfMoment(textAt(entry, "created") ?? textAt(entry, "date"));
      return number === 0 ? [] : [{ version: number, date }];
    })
    .sort((a, b) => a.version - b.version);
}
