export interface DocComment {
  /** Text before the first tag; indented lines are equations or code. */
  readonly description: string;
  readonly params: readonly { readonly name: string; readonly text: string }[];
  readonly returns: string | undefined;
  readonly throws: readonly string[];
  readonly source: string | undefined;
}

/** The parts of a doc comment, as written in the sources of this repository. */
export function parseDocComment(comment: string): DocComment {
  const lines = comment
    .replace(/^\/\*\*/, "")
    .replace(/\s*\*\/$/, "")
    .split("\n")
    .map((line, i) => (i === 0 ? line.trim() : line.replace(/^\s*\* ?/, "").trimEnd()));
  const first = lines.findIndex((line) => line.startsWith("@"));
  const description = (first < 0 ? lines : lines.slice(0, first)).join("\n").trim();
  const tags: { readonly tag: string; text: string }[] = [];
  for (const line of first < 0 ? [] : lines.slice(first)) {
    const [, tag, text] = /^@(\w+)\s*(.*)$/.exec(line) ?? [];
    const last = tags.at(-1);
    if (tag !== undefined) tags.push({ tag, text: text ?? "" });
    else if (last) last.text = `${last.text} ${line.trim()}`.trim();
  }
  const all = (tag: string): string[] => tags.filter((entry) => entry.tag === tag).map(({ text }) => text);
  return {
    description,
    params: all("param").map((text) => {
      const [, name, rest] = /^(\S+)\s*-?\s*(.*)$/.exec(text) ?? [];
      return { name: name ?? "", text: rest ?? "" };
    }),
    returns: all("returns")[0],
    throws: all("throws"),
    source: all("source")[0],
  };
}
