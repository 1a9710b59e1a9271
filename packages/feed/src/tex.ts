import { accented, isAccent, letters, symbols } from "./tex-letters.ts";

/** A part of a title or an abstract. */
export type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "math"; readonly tex: string; readonly display: boolean }
  | { readonly kind: "strong" | "emphasis" | "code"; readonly children: readonly Piece[] }
  | { readonly kind: "link"; readonly href: string; readonly children: readonly Piece[] };

const MAX_DEPTH = 12;
/** Longer groups and formulas are text: looking for an end that is not there must not cost the square of the length. */
const MAX_GROUP = 2000;

/** Commands whose argument is kept, and the look that it gets. */
const fonts: Readonly<Record<string, "strong" | "emphasis" | "code" | "plain">> = {
  textbf: "strong",
  textit: "emphasis",
  emph: "emphasis",
  textsl: "emphasis",
  texttt: "code",
  textsc: "plain",
  textrm: "plain",
  textsf: "plain",
  textup: "plain",
  text: "plain",
  mbox: "plain",
  underline: "plain",
  uline: "plain",
  textsuperscript: "plain",
  textsubscript: "plain",
  textnormal: "plain",
  mathrm: "plain",
};
/** Commands that change what follows within their group. */
const switches: Readonly<Record<string, "strong" | "emphasis" | "code" | "plain">> = {
  bf: "strong",
  bfseries: "strong",
  it: "emphasis",
  em: "emphasis",
  itshape: "emphasis",
  sl: "emphasis",
  tt: "code",
  ttfamily: "code",
  sc: "plain",
  rm: "plain",
  sf: "plain",
};
/** Commands that mean nothing outside the paper. */
const dropped = new Set(["cite", "citep", "citet", "ref", "label", "footnotemark", "xspace", "small"]);

const URL_PATTERN = /https?:\/\/[^\s<>"{}|\\^`]+/y;
const COMMAND = /\\([a-zA-Z]+)\*?[ \t]?/y;

/** Where a URL that stands in a sentence ends: closing marks belong to the sentence. */
function trimUrl(url: string): string {
  let end = url.length;
  while (end > 0) {
    const last = url[end - 1] as string;
    const unpaired = last === ")" && !url.slice(0, end).includes("(");
    if (!".,;:!?'”’*_".includes(last) && !unpaired) break;
    end--;
  }
  return url.slice(0, end);
}

const isSpace = (character: string | undefined) => character === undefined || /\s/.test(character);
const isDigit = (character: string | undefined) => character !== undefined && /\d/.test(character);

/** A run of characters that stand for themselves wherever they are. */
const ORDINARY = /(?:[^$\\{}h\-'`~]|h(?!ttp))+/y;

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Everything up to the end, or to the brace that closes the group. */
  pieces(inGroup: boolean): Piece[] {
    const found: Piece[] = [];
    let plain = "";
    const add = (...more: readonly Piece[]) => {
      for (const piece of more) {
        if (piece.kind === "text") plain += piece.text;
        else {
          flush();
          found.push(piece);
        }
      }
    };
    const flush = () => {
      if (plain !== "") found.push({ kind: "text", text: plain });
      plain = "";
    };
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at] as string;
      if (character === "}" && inGroup) break;
      ORDINARY.lastIndex = this.#at;
      const run = ORDINARY.exec(this.#text)?.[0];
      if (run !== undefined) {
        plain += run;
        this.#at += run.length;
      } else add(...this.#next(character));
    }
    flush();
    return found;
  }

  #next(character: string): Piece[] {
    switch (character) {
      case "$":
        return this.#math("$$", "$$", true) ?? this.#inlineMath() ?? this.#literal(1);
      case "\\":
        return this.#command();
      case "{":
        return this.#group() ?? this.#literal(1);
      case "h":
        return this.#bareUrl() ?? this.#literal(1);
      default:
        return this.#typography();
    }
  }

  #literal(length: number): Piece[] {
    const text = this.#text.slice(this.#at, this.#at + length);
    this.#at += length;
    return [{ kind: "text", text }];
  }

  #math(open: string, close: string, display: boolean): Piece[] | null {
    if (!this.#text.startsWith(open, this.#at)) return null;
    const start = this.#at + open.length;
    const end = this.#text.indexOf(close, start);
    if (end <= start) return null;
    this.#at = end + close.length;
    return [formula(this.#text.slice(start, end).trim(), display)];
  }

  /** `$x$`, but not the dollars of "$5 and $10": no blank may follow the first or precede the second. */
  #inlineMath(): Piece[] | null {
    const start = this.#at + 1;
    if (isSpace(this.#text[start])) return null;
    const last = Math.min(this.#text.length, start + MAX_GROUP);
    for (let end = start; end < last; end++) {
      const character = this.#text[end];
      if (character === "\\") end++;
      else if (character === "$") {
        if (end === start || isSpace(this.#text[end - 1]) || isDigit(this.#text[end + 1])) return null;
        this.#at = end + 1;
        return [formula(this.#text.slice(start, end), false)];
      }
    }
    return null;
  }

  #command(): Piece[] {
    const following = this.#text[this.#at + 1];
    if (following === undefined) return this.#literal(1);
    if (following === "(") return this.#math("\\(", "\\)", false) ?? this.#literal(2);
    if (following === "[") return this.#math("\\[", "\\]", true) ?? this.#literal(2);
    if (!/[a-zA-Z]/.test(following) && isAccent(following))
      return this.#accent(following, 2) ?? this.#literal(2);
    if ("$%&_#{} ,;!/-".includes(following)) {
      this.#at += 2;
      return [{ kind: "text", text: ",;!/-".includes(following) ? "" : following }];
    }
    if (following === "\\") {
      this.#at += 2;
      return [{ kind: "text", text: " " }];
    }
    COMMAND.lastIndex = this.#at;
    const match = COMMAND.exec(this.#text);
    return match ? this.#named(match[1] as string, match[0].length) : this.#literal(1);
  }

  #named(name: string, length: number): Piece[] {
    const start = this.#at;
    if (name.length === 1 && isAccent(name)) {
      const letter = this.#accent(name, length);
      if (letter) return letter;
    }
    this.#at += length;
    const letter = letters[name] ?? symbols[name];
    if (letter !== undefined) {
      const ended = this.#text[start + length - 1] === " " && !(name in letters) ? " " : "";
      if (this.#text.startsWith("{}", this.#at)) this.#at += 2;
      return [{ kind: "text", text: letter + ended }];
    }
    if (dropped.has(name)) {
      this.#argument();
      return [];
    }
    const font = fonts[name];
    const argument =
      font || name === "url" || name === "href" || name === "textcolor" || name === "footnote"
        ? this.#rawArgument()
        : null;
    if (argument !== null) {
      if (font) return styled(font, this.#inner(argument));
      if (name === "url") return linkTo(argument, [{ kind: "text", text: argument }]);
      if (name === "footnote") {
        return [{ kind: "text", text: " (" }, ...this.#inner(argument), { kind: "text", text: ")" }];
      }
      const second = this.#rawArgument();
      if (second !== null) {
        const children = this.#inner(second);
        return name === "href" ? linkTo(argument, children) : [...children];
      }
    }
    this.#at = start;
    return this.#literal(length);
  }

  /** The text between the braces that follow, which are skipped; null where there are none. */
  #rawArgument(): string | null {
    if (this.#text[this.#at] !== "{") return null;
    let depth = 0;
    const last = Math.min(this.#text.length, this.#at + MAX_GROUP);
    for (let end = this.#at; end < last; end++) {
      const character = this.#text[end];
      if (character === "\\") end++;
      else if (character === "{") depth++;
      else if (character === "}" && --depth === 0) {
        const inner = this.#text.slice(this.#at + 1, end);
        this.#at = end + 1;
        return inner;
      }
    }
    return null;
  }

  #argument(): void {
    while (this.#text[this.#at] === "[" || this.#text[this.#at] === "{") {
      if (this.#text[this.#at] === "{") {
        if (this.#rawArgument() === null) return;
      } else {
        const end = this.#text.indexOf("]", this.#at);
        if (end < 0) return;
        this.#at = end + 1;
      }
    }
  }

  #inner(text: string): readonly Piece[] {
    if (this.#depth >= MAX_DEPTH) return [{ kind: "text", text }];
    const parser = new Parser(text);
    parser.#depth = this.#depth + 1;
    return parser.pieces(false);
  }

  /** `{\it words}`, or braces that only keep letters together; others are part of the text. */
  #group(): Piece[] | null {
    const start = this.#at;
    const inner = this.#rawArgument();
    if (inner === null) return null;
    const change = /^\\([a-z]+)(?![a-zA-Z])\s*/.exec(inner);
    const font = change ? switches[change[1] as string] : undefined;
    if (change && font) return styled(font, this.#inner(inner.slice(change[0].length)));
    if (inner !== "" && !/[\s,:]/.test(inner)) return [...this.#inner(inner)];
    this.#at = start;
    return null;
  }

  #accent(accent: string, length: number): Piece[] | null {
    const rest = this.#text.slice(this.#at + length, this.#at + length + 6);
    const match = /^\{?\s?(\\[ij](?![a-zA-Z])|\p{L})\s?(\})?/u.exec(rest);
    if (!match || (rest.startsWith("{") && match[2] === undefined)) return null;
    const letter = accented(accent, (match[1] as string).replace("\\", ""));
    if (letter === null) return null;
    this.#at += length + (rest.startsWith("{") ? match[0].length : match[0].trimEnd().length);
    return [{ kind: "text", text: letter }];
  }

  #bareUrl(): Piece[] | null {
    URL_PATTERN.lastIndex = this.#at;
    const match = URL_PATTERN.exec(this.#text);
    if (!match) return null;
    const url = trimUrl(match[0]);
    if (!URL.canParse(url)) return null;
    this.#at += url.length;
    return linkTo(url, [{ kind: "text", text: url }]);
  }

  #typography(): Piece[] {
    const text = this.#text;
    const at = this.#at;
    const replace = (length: number, by: string): Piece[] => {
      this.#at += length;
      return [{ kind: "text", text: by }];
    };
    if (text.startsWith("---", at)) return replace(3, "\u2014");
    if (text.startsWith("--", at)) return replace(2, "\u2013");
    if (text.startsWith("``", at)) return replace(2, "\u201c");
    if (text.startsWith("''", at)) return replace(2, "\u201d");
    if (text[at] === "~") {
      const [before, after] = [text[at - 1], text[at + 1]];
      const tie = !isSpace(before) && !isSpace(after) && !(isDigit(before) && isDigit(after));
      return replace(1, tie ? "\u00a0" : "~");
    }
    return this.#literal(1);
  }
}

/** A formula, or the one character that `\\unicode` names in its place. */
function formula(tex: string, display: boolean): Piece {
  const code = Number.parseInt(/^\\unicode\{x([0-9a-f]{2,5})\}$/i.exec(tex)?.[1] ?? "", 16);
  const printable = code >= 0x20 && !(code >= 0x7f && code < 0xa0) && !(code >= 0xd800 && code < 0xe000);
  return printable ? { kind: "text", text: String.fromCodePoint(code) } : { kind: "math", tex, display };
}

function styled(font: "strong" | "emphasis" | "code" | "plain", children: readonly Piece[]): Piece[] {
  return font === "plain" ? [...children] : [{ kind: font, children }];
}

/** A link, where the address is one of the web; else its text alone. */
function linkTo(address: string, children: readonly Piece[]): Piece[] {
  const href = address.replace(/\\([_%#&~])/g, "$1").trim();
  const url = URL.parse(href);
  const web = url !== null && (url.protocol === "https:" || url.protocol === "http:");
  return web ? [{ kind: "link", href: url.href, children }] : [...children];
}

/**
 * The parts of a title or an abstract as arXiv has them: prose with formulas, some commands for fonts, accents and
 * links. What is not understood stays as it was written.
 */
export function parseTex(text: string): readonly Piece[] {
  return new Parser(text).pieces(false);
}

/** Whether nothing in the text can be a command, a formula, an address or a ligature: most titles and names. */
export function isPlainText(text: string): boolean {
  return !/[$\\{}~`]|--|''|https?:/.test(text);
}

/** The text without commands, for mails, feeds and titles of pages; formulas stay as TeX without their dollars. */
export function plainTex(text: string): string {
  if (isPlainText(text)) return text.replace(/\s+/g, " ").trim();
  const plain = (pieces: readonly Piece[]): string =>
    pieces
      .map((piece) =>
        piece.kind === "text" ? piece.text : piece.kind === "math" ? piece.tex : plain(piece.children),
      )
      .join("");
  return plain(parseTex(text)).replace(/\s+/g, " ").trim();
}
