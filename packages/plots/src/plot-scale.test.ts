import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { curveValue, readScale, scaleText, valueText } from "./plot-scale.ts";

const positive = fc.double({ noNaN: true, min: 1e-6, max: 1e6 });
const pixel = fc.double({ noNaN: true, min: -500, max: 500 });

const scale = (text: string) => {
  const found = readScale(text);
  if (!found) throw new Error(`no scale: ${text}`);
  return found;
};

describe("scales in attributes", () => {
  it("lead from values to pixels and back, linear and logarithmic", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        positive,
        positive,
        pixel,
        pixel,
        fc.double({ noNaN: true, min: 0, max: 1 }),
        (log, a, b, start, end, share) => {
          fc.pre(Math.abs(a - b) > 1e-3 * Math.max(a, b) && Math.abs(start - end) > 1);
          const found = scale(scaleText({ log, domain: [a, b], pixels: [start, end] }));
          expect(found.to(a)).toBeCloseTo(start, 6);
          expect(found.to(b)).toBeCloseTo(end, 6);
          const at = start + share * (end - start);
          // Rounding of the bends and unbends, in pixels.
          expect(Math.abs(found.to(found.from(at)) - at)).toBeLessThan(1e-6);
        },
      ),
    );
  });

  it("agree with a known logarithmic axis and know what it cannot show", () => {
    const decades = scale("log 0.01 100 40 440");
    expect([0.01, 0.1, 1, 10, 100].map((value) => Math.round(decades.to(value)))).toEqual([
      40, 140, 240, 340, 440,
    ]);
    expect([-1, 0, Number.NaN, 1e-300].map((value) => decades.shows(value))).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });

  it.each([
    null,
    undefined,
    "",
    "linear",
    "linear 0 1 0",
    "linear 0 1 0 x",
    "log 0 1 0 10",
    "linear 1 1 0 10",
    "polar 0 1 0 10",
  ])("are none in %j", (text) => {
    expect(readScale(text)).toBeNull();
  });
});

describe("the value of a curve at a place", () => {
  const x = scale("linear 0 10 0 100");
  const y = scale("linear 0 1 200 0");
  const log = scale("log 1 100 200 0");

  it("is that of the point there, else of the line between its neighbours as it is drawn", () => {
    const points = [
      [0, 0],
      [4, 0.4],
      [10, 1],
    ] as const;
    expect(curveValue(points, x, y, 40)).toBe(0.4);
    expect(curveValue(points, x, y, 70)).toBeCloseTo(0.7, 12);
    expect(
      curveValue(
        [
          [0, 1],
          [10, 100],
        ],
        x,
        log,
        50,
      ),
    ).toBeCloseTo(10, 9);
    expect(curveValue(points.slice(1), x, y, 39)).toBeNull();
    expect(curveValue([], x, y, 10)).toBeNull();
  });

  it("takes curves that go back, and gaps where an axis cannot show a value", () => {
    expect(
      curveValue(
        [
          [10, 1],
          [0, 0],
        ],
        x,
        y,
        30,
      ),
    ).toBeCloseTo(0.3, 12);
    const broken = [
      [0, 1],
      [5, 0],
      [10, 100],
    ] as const;
    expect(curveValue(broken, x, log, 30)).toBeNull();
    expect(curveValue(broken, x, log, 50)).toBeNull();
    expect(curveValue(broken, x, log, 100)).toBe(100);
  });
});

it("writes values with four digits", () => {
  expect([73, 73.003, 0.72501, -0.5, 65_536, 0, 1.234567e-7, -2e9, 0.000123].map(valueText)).toEqual([
    "73",
    "73.00",
    "0.7250",
    "−0.5000",
    "65,536",
    "0",
    "1.235·10⁻⁷",
    "−2·10⁹",
    "0.0001230",
  ]);
});
