export const weekdayNames = [
  "Sunday",
  "Monday",
  "Tuesday",
  "Wednesday",
  "Thursday",
  "Friday",
  "Saturday",
] as const;

export const monthNames = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
] as const;

/** The parts of a UTC day (YYYY-MM-DD) as people write them. */
export function dayParts(day: string) {
  const date = new Date(`${day}T00:00:00Z`);
  return {
    weekday: weekdayNames[date.getUTCDay()] ?? "",
    day: date.getUTCDate(),
    month: monthNames[date.getUTCMonth()] ?? "",
    year: date.getUTCFullYear(),
  };
}

/** `Friday, 20 November 2026`. */
export function dayWords(day: string): string {
  const at = dayParts(day);
  return `${at.weekday}, ${at.day} ${at.month} ${at.year}`;
}

/** `1 author`, `3 authors`. */
export function countWords(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en-GB")} ${count === 1 ? one : many}`;
}
