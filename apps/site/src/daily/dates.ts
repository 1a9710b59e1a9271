import { dayWords, type Period } from "@concord/feed";
import { dayText } from "../text.ts";

/** `Friday, 20 November 2026`, `16–22 November 2026`, `November 2026`. */
export function periodText({ kind, from, to }: Pick<Period, "kind" | "from" | "to">): string {
  if (kind === "day") return dayWords(from);
  const [, ...monthOfFrom] = dayText(from).split(" ");
  if (kind === "month") return monthOfFrom.join(" ");
  const start = dayText(from).split(" ");
  const end = dayText(to).split(" ");
  if (start[2] !== end[2]) return `${start.join(" ")}\u2009–\u2009${end.join(" ")}`;
  if (start[1] !== end[1]) return `${start[0]} ${start[1]}\u2009–\u2009${end.join(" ")}`;
  return `${start[0]}–${end.join(" ")}`;
}
