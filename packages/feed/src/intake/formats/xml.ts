import { XMLParser } from "fast-xml-parser";
import { FormatError, type Item, rejected } from "./item.ts";

/** An element: attributes as `@name`, child elements by local name as lists, text as `#text` and `#cdata`. */
export interface XmlElement {
  readonly [name: string]: unknown;
}

/** One repeated element of a document, not yet parsed. */
export interface XmlSlice {
  readonly xml: string;
  /** From 1. */
  readonly number: number;
  /** Of its first character in the document, from 1. */
  readonly line: number;
}

export interface SlicedXml {
  /** Local name of the root element. */
  readonly root: string;
  /** The document without the repeated elements. */
  readonly shell: XmlElement;
  readonly slices: readonly XmlSlice[];
}

const LIMITS = {
  depth: 32,
  attributes: 50,
  sliceCharacters: 2 ** 20,
  slices: 50_000,
  tagCharacters: 2 ** 16,
};

const NAME = /[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?/y;
const ATTRIBUTE = /\s+[A-Za-z_][\w.:-]*\s*=\s*(?:"[^"<]*"|'[^'<]*')/y;
const TAG_END = /\s*(\/?)>/y;

function localName(name: string): string {
  return name.slice(name.indexOf(":") + 1);
}

/**
 * Cuts a document into its repeated elements, so that they can be parsed one at a time: a large document holds up nothing
 * else, and a bad element does not cost its neighbours. Checks on the way that tags match and nest no deeper than 32.
 * Document type declarations, and with them entities, are refused.
 *
 * @param repeated  local names of the repeated elements, e.g. `entry`
 * @throws FormatError saying what is wrong in which line
 */
export function sliceXml(text: string, repeated: readonly string[]): SlicedXml {
  const open: string[] = [];
  const slices: XmlSlice[] = [];
  let shell = "";
  let shellFrom = 0;
  let sliceStart = -1;
  let sliceDepth = 0;
  let root = "";
  let countedTo = 0;
  let line = 1;
  const lineAt = (position: number): number => {
    for (
      let at = text.indexOf("\n", countedTo);
      at !== -1 && at < position;
      at = text.indexOf("\n", at + 1)
    ) {
      line++;
      countedTo = at + 1;
    }
    return line;
  };
  const fail = (reason: string, position: number) => new FormatError(reason, `line ${lineAt(position)}`);
  const skip = (from: number, end: string, what: string): number => {
    const found = text.indexOf(end, from);
    if (found === -1) throw fail(`${what} without its end ${JSON.stringify(end)}`, from);
    return found + end.length;
  };
  const close = (position: number, end: number): void => {
    open.pop();
    if (sliceStart === -1 || open.length !== sliceDepth) return;
    if (end - sliceStart > LIMITS.sliceCharacters) throw fail("an element of more than 1 MiB", position);
    if (slices.length === LIMITS.slices) throw fail(`more than ${LIMITS.slices} elements`, position);
    slices.push({ xml: text.slice(sliceStart, end), number: slices.length + 1, line: lineAt(sliceStart) });
    shell += text.slice(shellFrom, sliceStart);
    shellFrom = end;
    sliceStart = -1;
  };
  let at = text.indexOf("<");
  if (
    at === -1 ||
    text
      .slice(0, at)
      .replace(/^\ufeff/, "")
      .trim() !== ""
  ) {
    throw new FormatError("expected an XML document", "line 1");
  }
  while (at !== -1) {
    const mark = text[at + 1];
    if (mark === "?") at = text.indexOf("<", skip(at + 2, "?>", "a processing instruction"));
    else if (mark === "!" && text.startsWith("<!--", at)) {
      at = text.indexOf("<", skip(at + 4, "-->", "a comment"));
    } else if (mark === "!" && text.startsWith("<![CDATA[", at)) {
      at = text.indexOf("<", skip(at + 9, "]]>", "a CDATA section"));
    } else if (mark === "!") throw fail("document type declarations are not accepted", at);
    else {
      const closing = mark === "/";
      NAME.lastIndex = at + (closing ? 2 : 1);
      const name = NAME.exec(text)?.[0];
      if (name === undefined) throw fail("a < that begins no tag", at);
      let end = NAME.lastIndex;
      if (!closing) end = attributesEnd(text, end, () => fail(`too many attributes of <${name}>`, at));
      TAG_END.lastIndex = end;
      const tagEnd = TAG_END.exec(text);
      if (tagEnd === null || (closing && tagEnd[1] === "/"))
        throw fail(`tag <${closing ? "/" : ""}${name} is broken`, at);
      end = TAG_END.lastIndex;
      if (end - at > LIMITS.tagCharacters) throw fail(`tag <${name} is too long`, at);
      if (closing) {
        const expected = open.at(-1);
        if (name !== expected) {
          throw fail(
            expected === undefined ? `</${name}> without start` : `expected </${expected}>, got </${name}>`,
            at,
          );
        }
        close(at, end);
      } else {
        if (open.length === 0 && root !== "") throw fail(`a second root element <${name}>`, at);
        if (open.length === LIMITS.depth) throw fail(`elements nested deeper than ${LIMITS.depth}`, at);
        if (root === "") root = localName(name);
        else if (sliceStart === -1 && repeated.includes(localName(name))) {
          sliceStart = at;
          sliceDepth = open.length;
        }
        open.push(name);
        if (tagEnd[1] === "/") close(at, end);
      }
      at = text.indexOf("<", end);
    }
  }
  const unclosed = open.at(-1);
  if (unclosed !== undefined) throw fail(`the document ends inside <${unclosed}>`, text.length);
  if (root === "") throw new FormatError("expected an XML document, got no element", "line 1");
  return { root, shell: parseElement(shell + text.slice(shellFrom), "document"), slices };
}

function attributesEnd(text: string, from: number, tooMany: () => FormatError): number {
  let end = from;
  for (let count = 0; ; count++) {
    ATTRIBUTE.lastIndex = end;
    if (!ATTRIBUTE.test(text)) return end;
    if (count === LIMITS.attributes) throw tooMany();
    end = ATTRIBUTE.lastIndex;
  }
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  removeNSPrefix: true,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  processEntities: false,
  cdataPropName: "#cdata",
  alwaysCreateTextNode: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  maxNestedTags: LIMITS.depth + 4,
  isArray: (_name, _path, _leaf, isAttribute) => !isAttribute,
});

/**
 * One element, by itself.
 *
 * @param where  what to call it in an error
 * @throws FormatError
 */
export function parseElement(xml: string, where: string): XmlElement {
  let document: unknown;
  try {
    document = parser.parse(xml);
  } catch (cause) {
    throw new FormatError((cause as Error).message, where, { cause });
  }
  const roots = isElement(document) ? Object.entries(document).filter(([name]) => !/^[@#?]/.test(name)) : [];
  const root = roots
    .map(([, value]) => (Array.isArray(value) ? (value[0] as unknown) : value))
    .find(isElement);
  if (root === undefined) throw new FormatError("expected an element", where);
  return root;
}

/**
 * The items of slices, parsed as they are taken. A slice that cannot be parsed is rejected, and the others go on.
 *
 * @param name  what a slice is called in positions, e.g. `entry`
 */
export function* parsedSlices(
  name: string,
  slices: Iterable<XmlSlice>,
  itemOf: (element: XmlElement, position: string, sample: string) => Item,
): Generator<Item, void, undefined> {
  for (const { xml, number, line } of slices) {
    const position = `${name} ${number} (line ${line})`;
    try {
      yield itemOf(parseElement(xml, position), position, xml);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      yield rejected(position, null, error.message, xml);
    }
  }
}

function isElement(value: unknown): value is XmlElement {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The child elements with this local name, in their order. */
export function childrenOf(element: XmlElement | undefined, name: string): XmlElement[] {
  const value = element !== undefined && Object.hasOwn(element, name) ? element[name] : undefined;
  return Array.isArray(value) ? value.filter(isElement) : [];
}

/** The first child element with this local name. */
export function childOf(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return childrenOf(element, name)[0];
}

/** An element's own text with white space as it stands; empty when there is no element. */
export function textOf(element: XmlElement | undefined): string {
  if (element === undefined) return "";
  const text = element["#text"];
  const sections = element["#cdata"];
  const literal = (Array.isArray(sections) ? sections : [sections])
    .map((part) => (isElement(part) ? part["#text"] : part))
    .filter((part) => typeof part === "string");
  return `${typeof text === "string" ? decodeReferences(text) : ""}${literal.join("")}`;
}

/** An attribute's value; empty when it is not there. */
export function attributeOf(element: XmlElement | undefined, name: string): string {
  const value = element?.[`@${name}`];
  return typeof value === "string" ? decodeReferences(value) : "";
}

/** Text of the first child with this name, with single blanks; null when it is missing or empty. */
export function lineOf(element: XmlElement | undefined, name: string): string | null {
  const text = textOf(childOf(element, name)).replace(/\s+/g, " ").trim();
  return text === "" ? null : text;
}

const PREDEFINED: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

/** Character references and the five entities that XML itself defines; others stay as they stand. */
function decodeReferences(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-fA-F]{1,6})|([a-z]{2,4}));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return PREDEFINED[name as string] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex as string, 16) : Number(decimal);
    const allowed = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) && code > 0;
    return allowed ? String.fromCodePoint(code) : "\ufffd";
  });
}
