import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addEvent,
  decay,
  eventWeight,
  HALF_LIFE_MS,
  type Heat,
  heatOf,
  LEAST_HEAT,
  trendingKey,
  withdrawEvent,
} from "./trending.ts";

fc.configureGlobal({ seed: 20261120, numRuns: 500 });

const DAY = 86_400_000;
const START = Date.UTC(2026, 10, 1);
const COLD: Heat = { value: 0, at: 0 };

const event = fc.record({
  at: fc.integer({ min: START, max: START + 60 * DAY }),
  weight: fc.double({ min: 0.01, max: 1.5, noNaN: true }),
});
/** Events in the order in which they happen. */
const history = fc
  .array(event, { minLength: 1, maxLength: 40 })
  .map((events) => events.toSorted((a, b) => a.at - b.at));

const replay = (events: readonly { at: number; weight: number }[]) =>
  events.reduce((heat, { weight, at }) => addEvent(heat, weight, at), COLD);

describe("decay", () => {
  it("keeps 76 % after a day and 14 % after a week, as documented", () => {
    expect(decay(START, START + DAY)).toBeCloseTo(0.758, 3);
    expect(decay(START, START + 7 * DAY)).toBeCloseTo(0.1436, 3);
    expect(decay(START, START + HALF_LIFE_MS)).toBe(0.5);
  });
});

describe("the trending key", () => {
  it("is log2 of the sum by its definition, at any later time", () => {
    fc.assert(
      fc.property(history, fc.integer({ min: 0, max: 90 * DAY }), (events, later) => {
        const heat = replay(events);
        const now = heat.at + later;
        const brute = heatOf(events, now).value;
        // Powers of two multiply with a rounding error each: 40 events, 2^-52.
        expect(2 ** (trendingKey(heat) - now / HALF_LIFE_MS) / brute).toBeCloseTo(1, 9);
      }),
    );
  });

  it("orders papers as their sums do, computed by brute force at random times", () => {
    fc.assert(
      fc.property(
        fc.array(history, { minLength: 2, maxLength: 8 }),
        fc.integer({ min: 0, max: 60 * DAY }),
        (papers, later) => {
          const now = START + 60 * DAY + later;
          const keys = papers.map((events) => trendingKey(replay(events)));
          const sums = papers.map((events) => heatOf(events, now).value);
          for (let a = 0; a < papers.length; a++) {
            for (let b = 0; b < papers.length; b++) {
              // Sums closer than rounding may come in either order.
              if ((sums[a] as number) > (sums[b] as number) * (1 + 1e-9)) {
                expect(keys[a]).toBeGreaterThan(keys[b] as number);
              }
            }
          }
        },
      ),
    );
  });

  it("is never lowered by a later event", () => {
    fc.assert(
      fc.property(history, event, (events, more) => {
        const heat = replay(events);
        const after = addEvent(heat, more.weight, Math.max(heat.at, more.at));
        // At most the rounding of K, about 2^13 by now: one unit in the last place is 2^-40.
        expect(trendingKey(after)).toBeGreaterThanOrEqual(trendingKey(heat) - 2 ** -39);
      }),
    );
  });

  it("does not depend on the order in which events of one sum arrive", () => {
    fc.assert(
      fc.property(history, (events) => {
        const forwards = trendingKey(replay(events));
        expect(trendingKey(replay(events.toReversed()))).toBeCloseTo(forwards, 9);
      }),
    );
  });

  it("comes back when an event is withdrawn", () => {
    fc.assert(
      fc.property(history, event, fc.integer({ min: 0, max: DAY }), (events, extra, later) => {
        const heat = replay(events);
        const at = heat.at + (extra.at - START);
        const withdrawn = withdrawEvent(addEvent(heat, extra.weight, at), extra.weight, at, at + later);
        // What is left of the earlier sum is known to within the rounding of the larger one.
        const expected = heat.value * decay(heat.at, at + later);
        expect(Math.abs(withdrawn.value - expected)).toBeLessThan(1e-12 * (expected + extra.weight + 1));
      }),
    );
  });

  it("stays finite when everything is withdrawn", () => {
    const heat = addEvent(COLD, 1, START);
    const none = withdrawEvent(heat, 1, START, START + DAY);
    expect(none.value).toBe(0);
    expect(trendingKey(none)).toBeCloseTo(Math.log2(LEAST_HEAT) + (START + DAY) / HALF_LIFE_MS, 9);
  });
});

describe("the weight of an event", () => {
  const usual = { accountAgeMs: 30 * DAY, people: 0, sameBlock: false };
  it.each([
    ["upvote", usual, 1],
    ["bookmark", usual, 0.7],
    ["comment", usual, 0.5],
    ["run", usual, 1.5],
    ["upvote", { ...usual, accountAgeMs: DAY - 1 }, 0.25],
    ["upvote", { ...usual, accountAgeMs: DAY }, 1],
    ["upvote", { ...usual, sameBlock: true }, 0],
    ["bookmark", { ...usual, sameBlock: true }, 0.7],
    ["upvote", { ...usual, people: 2 }, 0.5],
    ["run", { ...usual, people: 14, accountAgeMs: 0 }, 1.5 / 16],
  ] as const)("of %s under %j is %d", (kind, options, weight) => {
    expect(eventWeight(kind, options)).toBeCloseTo(weight, 12);
  });
});
