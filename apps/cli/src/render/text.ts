// Unicode's control and format characters: among them the escape that starts a terminal's commands, and marks that
// reorder text.
const CONTROL = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** Text from outside (file contents, records) without anything that a terminal would obey, save line ends and tabs. */
export function printable(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll(CONTROL, (character) => {
    if (character === "\n" || character === "\t") return character;
    return `\\u{${(character.codePointAt(0) as number).toString(16)}}`;
  });
}

/** Breaks text into lines of at most `width` characters, at spaces; a longer word stays whole. */
export function wrapLines(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Wrapped text whose lines all begin with `indent`. */
export function paragraph(text: string, width: number, indent = ""): string {
  return wrapLines(text, width - indent.length)
    .map((line) => `${indent}${line}`)
    .join("\n");
}

/** `1 seed`, `1,240 seeds`. */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en-GB")} ${count === 1 ? one : many}`;
}

/** Seconds as `8.4 s`, `3 min 20 s`, `2 h 5 min`. */
export function durationText(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return withRest(Math.floor(whole / 60), "min", whole % 60, "s");
  const minutes = Math.round(whole / 60);
  return withRest(Math.floor(minutes / 60), "h", minutes % 60, "min");
}

function withRest(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** A number without the minus sign of a zero. */
export function numberText(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

/** A number with its sign always shown, except that of zero. */
export function signedText(value: number, digits: number): string {
  const text = numberText(value, digits);
  return Number(text) > 0 ? `+${text}` : text;
}

/** An ISO time as `2026-11-20 19:31` in the time zone of this machine; a text that is no time comes back unchanged. */
export function timeText(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** An argument as a shell takes it. */
export function shellText(argument: string): string {
  return /^[\w./:@=+,-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
