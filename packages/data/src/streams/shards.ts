/** Most files that one pattern may stand for. */
const maxShards = 100_000;

/**
 * The files that a pattern stands for: `train-{000..011}.tar` (numbers, as wide as written), `{a,b}` (choices), several
 * of them in one name. A name without braces stands for itself.
 *
 * @throws RangeError when braces are not closed, a range runs backwards, or there are more than 100 000 files
 */
export function expandShards(pattern: string): string[] {
  let names = [""];
  let rest = pattern;
  for (;;) {
    const open = rest.indexOf("{");
    if (open < 0) return names.map((name) => name + rest);
    const close = rest.indexOf("}", open);
    if (close < 0) throw new RangeError(`shards: a brace is not closed in ${JSON.stringify(pattern)}`);
    const before = rest.slice(0, open);
    const choices = expandBrace(rest.slice(open + 1, close), pattern);
    if (names.length * choices.length > maxShards)
      throw new RangeError(`shards: ${JSON.stringify(pattern)} stands for more than ${maxShards} files`);
    names = names.flatMap((name) => choices.map((choice) => name + before + choice));
    rest = rest.slice(close + 1);
  }
}

function expandBrace(inside: string, pattern: string): string[] {
  const range = /^(\d{1,15})\.\.(\d{1,15})$/.exec(inside);
  if (!range) return inside.split(",");
  const [, first = "", last = ""] = range;
  const [from, to] = [Number(first), Number(last)];
  if (to < from)
    throw new RangeError(`shards: the range {${inside}} of ${JSON.stringify(pattern)} runs backwards`);
  if (to - from >= maxShards)
    throw new RangeError(`shards: ${JSON.stringify(pattern)} stands for more than ${maxShards} files`);
  return Array.from({ length: to - from + 1 }, (_, i) => String(from + i).padStart(first.length, "0"));
}
