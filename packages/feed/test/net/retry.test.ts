import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffMs, retryAfterMs } from "../../src/net/retry.ts";

const now = Date.UTC(2026, 4, 14, 12);

describe("retryAfterMs", () => {
  it.each([
    ["0", 0],
    ["120", 120_000],
    [" 7 ", 7000],
    ["Thu, 14 May 2026 12:02:00 GMT", 120_000],
    ["Thursday, 14-May-26 12:02:00 GMT", 120_000],
    ["Thu May 14 12:02:00 2026", 120_000],
    ["Thu, 14 May 2026 11:00:00 GMT", 0],
    ["-1", null],
    ["1.5", null],
    ["soon", null],
    ["", null],
    [undefined, null],
    ["99999999999", null],
    ["86400", 86_400_000],
    ["9999999999", 86_400_000],
    ["Fri, 31 Dec 9999 23:59:59 GMT", 86_400_000],
  ])("reads %j as %j", (header, expected) => {
    expect(retryAfterMs(header, now)).toBe(expected);
  });

  it("gives no negative time and no NaN for any text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const wait = retryAfterMs(text, now);
        expect(wait === null || (wait >= 0 && wait <= 86_400_000)).toBe(true);
      }),
    );
  });
});

describe("backoffMs", () => {
  it("doubles, is spread by half to both sides, and has an end", () => {
    const settings = { baseMs: 1000, maxMs: 8000 };
    expect([1, 2, 3, 4, 5, 60].map((attempt) => backoffMs(attempt, settings, 0.5))).toEqual([
      1000, 2000, 4000, 8000, 8000, 8000,
    ]);
    expect([0, 0.999].map((random) => Math.round(backoffMs(2, settings, random)))).toEqual([1000, 2998]);
  });
});
