import type { Cadence } from "@concord/feed";
import { dayWords } from "@concord/feed";
import { type DigestTimes, dayPlus, type Slot, slotOf } from "@concord/feed/digest";

const weekdays = ["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"];

const clockText = (minute: number) =>
  `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")} UTC`;

/** When digests come, in words. */
export function timeWords({ minute, weekday }: DigestTimes): Readonly<Record<Cadence, string>> {
  return {
    daily: `at ${clockText(minute)}, on days with papers`,
    weekly: `on ${weekdays[weekday - 1]} at ${clockText(minute)}`,
  };
}

/** `on Friday, 20 November 2026 at 07:00 UTC`: the slot after the latest one. */
export function nextTime(cadence: Cadence, times: DigestTimes, latest: Slot): string {
  const { day } = slotOf(cadence, dayPlus(latest.day, cadence === "daily" ? 1 : 7), times);
  return `on ${dayWords(day)} at ${clockText(times.minute)}`;
}
