import type { Author, PaperRecordInput } from "../../record.ts";
import {
  categoryList,
  dayOfMoment,
  linksOf,
  parseArxivId,
  saysWithdrawn,
  splitAuthors,
  submittedThen,
} from "./arxiv-text.ts";
import { FormatError, type Item, paperItem, rejected } from "./item.ts";
import {
  attributeOf,
  childOf,
  childrenOf,
  lineOf,
  parsedSlices,
  sliceXml,
  textOf,
  type XmlElement,
} from "./xml.ts";

/** An error of the protocol, e.g. `noRecordsMatch` or `badResumptionToken`. */
export interface OaiError {
  readonly code: string;
  readonly message: string;
}

/** One page of a ListRecords or GetRecord answer. */
export interface OaiPage {
  /** The server's time as it wrote it: the `from` of the next harvest. */
  readonly responseDate: string | null;
  readonly errors: readonly OaiError[];
  /** null: this is the last page. */
  readonly resumptionToken: string | null;
  readonly records: number;
  /** One item for each record; parsed as they are taken. */
  readonly items: Iterable<Item>;
}

const MAX_TOKEN = 2000;

/**
 * Reads an answer of arXiv's OAI-PMH interface with metadata in the forms `arXiv`, `arXivRaw` or `oai_dc`.
 *
 * @throws FormatError when the document is no OAI-PMH answer, or not whole
 * @source The Open Archives Initiative Protocol for Metadata Harvesting 2.0, section 3.2
 */
export function parseOai(text: string): OaiPage {
  const { root, shell, slices } = sliceXml(text, ["record"]);
  if (root !== "OAI-PMH") throw new FormatError(`expected an OAI-PMH answer, got <${root}>`, "line 1");
  const list = childOf(shell, "ListRecords") ?? childOf(shell, "GetRecord");
  const token = lineOf(list, "resumptionToken");
  if (token !== null && token.length > MAX_TOKEN) {
    throw new FormatError(`a resumption token of more than ${MAX_TOKEN} characters`);
  }
  return {
    responseDate: lineOf(shell, "responseDate"),
    errors: childrenOf(shell, "error").map((error) => ({
      code: attributeOf(error, "code"),
      message: textOf(error).trim(),
    })),
    resumptionToken: token,
    records: slices.length,
    items: parsedSlices("record", slices, recordItem),
  };
}

function recordItem(record: XmlElement, position: string, sample: string): Item {
  const header = childOf(record, "header");
  const identifier = lineOf(header, "identifier") ?? "";
  const parsed = parseArxivId(identifier);
  if (parsed === null) {
    const reason = `identifier: expected oai:arXiv.org:ID (got ${JSON.stringify(identifier)})`;
    return rejected(position, identifier || null, reason, sample);
  }
  const { id } = parsed;
  if (attributeOf(header, "status") === "deleted") return { kind: "deleted", position, id };
  const metadata = childOf(record, "metadata");
  const raw = childOf(metadata, "arXivRaw");
  const plain = childOf(metadata, "arXiv");
  const dublinCore = childOf(metadata, "dc");
  if (raw !== undefined) return paperItem(position, fromRaw(raw, id), sample);
  if (plain !== undefined) return paperItem(position, fromPlain(plain, id), sample);
  if (dublinCore !== undefined) return paperItem(position, fromDublinCore(dublinCore, id), sample);
  return rejected(position, id, "metadata: expected arXiv, arXivRaw or oai_dc", sample);
}

/** What the forms `arXiv` and `arXivRaw` call the same. */
function shared(metadata: XmlElement, id: string) {
  const abstract = lineOf(metadata, "abstract") ?? "";
  const comment = lineOf(metadata, "comments");
  const categories = categoryList((lineOf(metadata, "categories") ?? "").split(" "));
  return {
    id,
    title: lineOf(metadata, "title") ?? "",
    abstract,
    categories,
    primaryCategory: categories[0] ?? null,
    comment,
    journalRef: lineOf(metadata, "journal-ref"),
    doi: lineOf(metadata, "doi"),
    licence: lineOf(metadata, "license"),
    links: linksOf(id, comment, abstract),
    withdrawn: saysWithdrawn(comment, abstract),
    sources: ["arxiv-oai"],
  } satisfies PaperRecordInput;
}

function fromRaw(metadata: XmlElement, id: string): PaperRecordInput {
  const versions = childrenOf(metadata, "version")
    .flatMap((element) => {
      const number = /^v(\d{1,4})$/.exec(attributeOf(element, "version"))?.[1];
      return number === undefined
        ? []
        : [{ version: Number(number), date: dayOfMoment(lineOf(element, "date")) }];
    })
    .sort((a, b) => a.version - b.version);
  const newest = versions.at(-1);
  return {
    ...shared(metadata, id),
    authors: splitAuthors(lineOf(metadata, "authors") ?? ""),
    published: versions.find(({ version }) => version === 1)?.date ?? null,
    updated: newest?.date ?? null,
    version: newest?.version ?? null,
    versions,
  };
}

function fromPlain(metadata: XmlElement, id: string): PaperRecordInput {
  const created = dayOfMoment(lineOf(metadata, "created"));
  const updated = dayOfMoment(lineOf(metadata, "updated"));
  // The service has been seen to give the newest version's day as `created`: it counts as that of the first where the
  // id agrees.
  const first = created !== null && submittedThen(id, created);
  return {
    ...shared(metadata, id),
    authors: childrenOf(childOf(metadata, "authors"), "author").flatMap(authorOf),
    published: first ? created : null,
    updated: updated ?? created,
  };
}

function authorOf(author: XmlElement): Author[] {
  const parts = [lineOf(author, "forenames"), lineOf(author, "keyname"), lineOf(author, "suffix")];
  const name = parts.filter((part) => part !== null).join(" ");
  const affiliation = lineOf(author, "affiliation");
  if (name === "") return [];
  return [affiliation === null ? { name } : { name, affiliation }];
}

function fromDublinCore(metadata: XmlElement, id: string): PaperRecordInput {
  const texts = (name: string) =>
    childrenOf(metadata, name)
      .map((element) => textOf(element).replace(/\s+/g, " ").trim())
      .filter(Boolean);
  // The first description is the abstract, a second one the comment; the first date is that of the first version.
  const [abstract = "", comment = null] = texts("description");
  const days = texts("date")
    .map(dayOfMoment)
    .filter((day) => day !== null)
    .sort();
  const first = days[0];
  return {
    id,
    title: texts("title")[0] ?? "",
    abstract,
    // "Surname, Forenames"
    authors: texts("creator").map((name) => ({ name: name.split(", ").reverse().join(" ") })),
    published: first !== undefined && submittedThen(id, first) ? first : null,
    updated: days.at(-1) ?? null,
    comment: comment?.replace(/^Comments?:\s*/i, "") ?? null,
    doi:
      texts("identifier")
        .find((text) => /^doi:/i.test(text))
        ?.slice(4) ?? null,
    links: linksOf(id, comment, abstract),
    withdrawn: saysWithdrawn(comment, abstract),
    sources: ["arxiv-oai"],
  };
}
