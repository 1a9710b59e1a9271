import { monthNames } from "@concord/feed";

export { countWords as countText } from "@concord/feed";

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `2025-05-06` as `6 May 2025`. */
export function dayText(date: string): string {
  const [year, month, day] = date.split("-");
  return `${Number(day)} ${monthNames[Number(month) - 1] ?? month} ${year}`;
}

/** An ISO time as `20 Nov 2026, 19:31 UTC`; a text that is no time comes back unchanged. */
export function timeText(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const clock = time.toISOString().slice(11, 16);
  return `${time.getUTCDate()} ${months[time.getUTCMonth()]} ${time.getUTCFullYear()}, ${clock} UTC`;
}

/** Seconds as `8.4 s`, `3 min 20 s`, `2 h 5 min`. */
export function durationText(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)}\u00a0s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}\u00a0s`;
  if (whole < 3600)
    return whole % 60 === 0 ? `${whole / 60} min` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A number with the typographic minus sign. */
export function numberText(value: number, digits: number): string {
  const text = value.toFixed(digits);
  const zero = Number(text) === 0;
  return zero ? text.replace("-", "") : text.replace("-", "\u2212");
}

/** A number with its sign always shown. */
export function signedText(value: number, digits: number): string {
  const text = numberText(value, digits);
  return Number(value.toFixed(digits)) > 0 ? `+${text}` : text;
}

/** A number's unit, joined to it by a space that never breaks; empty where there is none. */
export function unitText(unit: string | undefined): string {
  return unit ? `\u00a0${unit}` : "";
}

/** The unit of a difference: two percentages differ by points, not by per cent. */
export function differenceUnit(unit: string | undefined): string {
  return unitText(unit === "%" ? "points" : unit);
}
