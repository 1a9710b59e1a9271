import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boundedCurve, type Point } from "./curves.ts";
import { spreadBoxes } from "./end-labels.ts";
import { logTicks, placeAxis, wrapped } from "./figure-axes.ts";

describe("axes of figures", () => {
  const ticksOf = (range: readonly [number, number]) =>
    placeAxis({ label: "", scale: "log", range }, [], [0, 300], 6).ticks.map(({ text }) => text);

  it("have decades on a logarithmic scale, finer ticks where there are few, all written in one way", () => {
    expect(ticksOf([0.01, 1000])).toEqual(["0.01", "0.1", "1", "10", "100", "1,000"]);
    expect(ticksOf([1e-7, 0.2])).toEqual(["10⁻⁶", "10⁻⁴", "10⁻²"]);
    expect(ticksOf([1, 50])).toEqual(["1", "2", "5", "10", "20", "50"]);
    expect(ticksOf([0.02, 5])).toEqual(["0.03", "0.1", "0.3", "1", "3"]);
    expect(ticksOf([2, 9])).toEqual(["2", "4", "6", "8"]);
    expect(ticksOf([1e6, 2e8])).toEqual(["10⁶", "10⁷", "10⁸"]);
  });

  it("have a few ticks inside of them, whatever they span", () => {
    fc.assert(
      fc.property(
        fc.double({ min: -250, max: 250, noNaN: true }),
        fc.double({ min: 0.01, max: 50, noNaN: true }),
        (power, span) => {
          const [low, high] = [10 ** power, 10 ** (power + span)];
          const ticks = logTicks([low, high], 6);
          expect(ticks.length).toBeGreaterThan(0);
          expect(ticks.length).toBeLessThanOrEqual(9);
          for (const tick of ticks) {
            expect(tick).toBeGreaterThanOrEqual(low * (1 - 1e-8));
            expect(tick).toBeLessThanOrEqual(high * (1 + 1e-8));
          }
        },
      ),
    );
  });

  it("break names between words and shorten what does not fit", () => {
    expect(wrapped("Without multi-crop views", 19, 2)).toEqual(["Without multi-crop", "views"]);
    expect(wrapped("Masked reconstruction", 19, 2)).toEqual(["Masked", "reconstruction"]);
    expect(wrapped("Unbrokenlongnameofanarm", 10, 2)).toEqual(["Unbrokenlo", "ngnameofa…"]);
    expect(wrapped("short", 10, 2)).toEqual(["short"]);
  });
});

describe("spreadBoxes", () => {
  it("moves nothing that has room, and shares the way of two at one place", () => {
    const box = (y: number) => ({ y, height: 10 });
    expect(spreadBoxes([box(20), box(60)], 0, 100)).toEqual([20, 60]);
    expect(spreadBoxes([box(50), box(50)], 0, 100)).toEqual([45, 55]);
    expect(spreadBoxes([box(2), box(3)], 0, 100)).toEqual([5, 15]);
  });

  it("never lays one over another, keeps their order and stays inside while there is room", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            y: fc.integer({ min: -50, max: 350 }),
            height: fc.constantFrom(15, 28),
          }),
          {
            maxLength: 10,
          },
        ),
        (boxes) => {
          const sorted = boxes.toSorted((a, b) => a.y - b.y);
          const middles = spreadBoxes(sorted, 0, 300);
          for (const [index, middle] of middles.entries()) {
            const half = sorted[index]!.height / 2;
            expect(middle - half).toBeGreaterThanOrEqual(-1e-6);
            expect(middle + half).toBeLessThanOrEqual(300 + 1e-6);
            const next = middles[index + 1];
            if (next !== undefined) {
              expect(next - sorted[index + 1]!.height / 2).toBeGreaterThanOrEqual(middle + half - 1e-6);
            }
          }
        },
      ),
    );
  });
});

describe("boundedCurve", () => {
  it("keeps ends and spikes of a long curve and leaves a short one alone", () => {
    const long: Point[] = Array.from({ length: 2000 }, (_, x) => [x, x === 777 ? 9 : Math.sin(x)]);
    const kept = boundedCurve(long);
    expect(kept.length).toBeLessThanOrEqual(482);
    expect([kept[0], kept.at(-1)]).toEqual([long[0], long.at(-1)]);
    expect(kept).toContainEqual([777, 9]);
    expect(boundedCurve(long.slice(0, 99))).toEqual(long.slice(0, 99));
  });
});
