/** A stretch of days that lists are made of: a day, an ISO week (Monday to Sunday), a month. */
export type CalendarKind = "day" | "week" | "month";

/** Days are YYYY-MM-DD in UTC; `key` is a day, "2026-W47" or "2026-11". */
export interface Span {
  readonly key: string;
  readonly from: string;
  readonly to: string;
}

const DAY_MS = 86_400_000;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const WEEK = /^(\d{4})-W(\d{2})$/;
const MONTH = /^\d{4}-\d{2}$/;

const dayText = (time: number) => new Date(time).toISOString().slice(0, 10);

/** Whether the text is a day that exists. */
export function isDay(text: string): boolean {
  if (!DAY.test(text)) return false;
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && dayText(time) === text;
}

/** The day, ISO week or month in which a day lies. */
export function spanOf(kind: CalendarKind, day: string): Span {
  if (kind === "day") return { key: day, from: day, to: day };
  const time = Date.parse(`${day}T00:00:00Z`);
  if (kind === "month") {
    const [year, month] = [Number(day.slice(0, 4)), Number(day.slice(5, 7))];
    return { key: day.slice(0, 7), from: `${day.slice(0, 7)}-01`, to: dayText(Date.UTC(year, month, 0)) };
  }
  const weekday = (new Date(time).getUTCDay() + 6) % 7;
  const monday = time - weekday * DAY_MS;
  // A week belongs to the year in which its Thursday lies.
  const year = new Date(monday + 3 * DAY_MS).getUTCFullYear();
  const week = 1 + Math.round((monday - firstMonday(year)) / (7 * DAY_MS));
  return {
    key: `${year}-W${String(week).padStart(2, "0")}`,
    from: dayText(monday),
    to: dayText(monday + 6 * DAY_MS),
  };
}

/** The Monday of week 1: the week with 4 January. */
function firstMonday(year: number): number {
  const fourth = Date.UTC(year, 0, 4);
  return fourth - ((new Date(fourth).getUTCDay() + 6) % 7) * DAY_MS;
}

/** The span that a key names, or in which a day lies; null when it is neither. */
export function readSpan(kind: CalendarKind, text: string): Span | null {
  if (isDay(text)) return spanOf(kind, text);
  if (kind === "month" && MONTH.test(text) && isDay(`${text}-01`)) return spanOf("month", `${text}-01`);
  const week = kind === "week" ? WEEK.exec(text) : null;
  if (week) {
    const span = spanOf("week", dayText(firstMonday(Number(week[1])) + (Number(week[2]) - 1) * 7 * DAY_MS));
    // Most years have no week 53, and none has a week 0.
    return span.key === text ? span : null;
  }
  return null;
}
