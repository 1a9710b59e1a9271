import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isDay, readSpan, spanOf } from "./calendar.ts";

fc.configureGlobal({ seed: 20261120, numRuns: 500 });

const day = fc
  .date({ min: new Date("1990-01-01"), max: new Date("2120-01-01"), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10));

describe("spans", () => {
  it.each([
    // Years that begin or end within a week of the other one (ISO 8601).
    ["2021-01-03", "2020-W53"],
    ["2021-01-04", "2021-W01"],
    ["2024-12-30", "2025-W01"],
    ["2026-12-31", "2026-W53"],
    ["2027-01-03", "2026-W53"],
  ])("puts %s into week %s", (text, key) => {
    expect(spanOf("week", text).key).toBe(key);
  });

  it("holds its day and is found again by its key", () => {
    fc.assert(
      fc.property(day, fc.constantFrom("day" as const, "week" as const, "month" as const), (text, kind) => {
        const span = spanOf(kind, text);
        expect(span.from <= text && text <= span.to).toBe(true);
        expect(readSpan(kind, span.key)).toEqual(span);
        expect(readSpan(kind, text)).toEqual(span);
        expect(spanOf(kind, span.to)).toEqual(span);
      }),
    );
  });

  it.each([
    ["week", "2025-W53"],
    ["week", "2026-W54"],
    ["week", "2026-W00"],
    ["month", "2026-13"],
    ["day", "2026-02-29"],
    ["day", "2026-W01"],
    ["month", "2026-W01"],
    ["week", "2026-01"],
  ] as const)("knows no %s %s", (kind, key) => {
    expect(readSpan(kind, key)).toBeNull();
  });

  it("tells days from other texts", () => {
    expect([isDay("2024-02-29"), isDay("2023-02-29"), isDay("2024-2-1"), isDay("")]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
});
