import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  alignTokens,
  characterErrorRate,
  decodeSpans,
  spanScores,
  type TagScheme,
  wordErrorRate,
} from "../../src/index.ts";
import reference from "./fixtures/spans-and-boxes.json" with { type: "json" };
import { shuffled } from "./support.ts";

describe("spans", () => {
  const listed = (tags: string[], scheme?: TagScheme): (string | number)[][] =>
    decodeSpans(tags, scheme ? { scheme } : {}).map(({ type, start, end }) => [type, start, end]);

  it("are those that seqeval finds, strict and lenient", () => {
    for (const expected of reference.spans) {
      const scheme = expected.scheme as TagScheme;
      expected.truth.forEach((tags, i) => {
        expect(listed(tags, scheme), tags.join(" ")).toEqual(expected.strictSpans[i]);
        if (expected.lenientSpans) expect(listed(tags), tags.join(" ")).toEqual(expected.lenientSpans[i]);
      });
      for (const mode of ["strict", "lenient"] as const) {
        const values = expected[mode];
        if (!values) continue;
        const scores = spanScores(expected.truth, expected.predictions, mode === "strict" ? { scheme } : {});
        for (const mean of ["micro", "macro", "weighted"] as const) {
          const { precision, recall, f1 } = scores[mean];
          [precision, recall, f1].forEach((value, i) => {
            expect(value, `${scheme} ${mode} ${mean}`).toBeCloseTo(values[mean][i] as number, 10);
          });
        }
      }
    }
  });

  it("differ between strict and lenient in stray tags only", () => {
    expect(listed(["I-A", "I-A", "O", "B-B"])).toEqual([
      ["A", 0, 2],
      ["B", 3, 4],
    ]);
    expect(listed(["I-A", "I-A", "O", "B-B"], "IOB2")).toEqual([["B", 3, 4]]);
    expect(listed(["B-A", "I-B", "B-B", "E-B", "B-A"], "IOBES")).toEqual([["B", 2, 4]]);
    expect(listed(["B-A", "L-A", "U-B"])).toEqual(listed(["B-A", "E-A", "S-B"], "IOBES"));
    expect(listed(["B", "I", "O"])).toEqual([["", 0, 2]]);
  });

  it("score 0 where there are none, and do not depend on the order of sentences", () => {
    expect(spanScores([["O", "O"]], [["O", "O"]]).micro).toEqual({ precision: 0, recall: 0, f1: 0 });
    const [first] = reference.spans;
    const order = shuffled(1, [...(first?.truth.keys() ?? [])]);
    const pick = (set: string[][] | undefined): string[][] => order.map((i) => set?.[i] as string[]);
    expect(spanScores(pick(first?.truth), pick(first?.predictions))).toEqual(
      spanScores(first?.truth ?? [], first?.predictions ?? []),
    );
  });

  it("refuse tags that are none, and sentences that do not fit", () => {
    expect(() => decodeSpans(["B-A", "X-A"])).toThrow('got "X-A" at token 1');
    expect(() => decodeSpans(["E-A"], { scheme: "IOB2" })).toThrow(
      "tags of IOB2 are O or one of BI with a type",
    );
    expect(() => decodeSpans([""])).toThrow('got "" at token 0');
    expect(() => decodeSpans(["Other"])).toThrow('got "Other"');
    expect(() => spanScores([["O"]], [["O", "O"]])).toThrow(
      "sentence 0 has 1 tags in truth and 2 in predictions",
    );
    expect(() => spanScores([], [])).toThrow("at least one, got 0 and 0");
  });
});

describe("error rates", () => {
  const words = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 5 });

  /** Every alignment: fewest edits, then most substitutions. */
  function slow(reference: readonly string[], hypothesis: readonly string[]): number[] {
    const [first, ...rest] = reference;
    const [guess, ...more] = hypothesis;
    if (first === undefined) return [0, 0, hypothesis.length];
    if (guess === undefined) return [0, reference.length, 0];
    const plus = (counts: number[], at: number): number[] =>
      counts.map((count, i) => count + Number(i === at));
    const ways = [
      first === guess ? slow(rest, more) : plus(slow(rest, more), 0),
      plus(slow(rest, hypothesis), 1),
      plus(slow(reference, more), 2),
    ];
    const total = (counts: number[]): number => counts.reduce((sum, count) => sum + count, 0);
    return ways.sort((x, y) => total(x) - total(y) || (y[0] as number) - (x[0] as number))[0] as number[];
  }

  it("count the edits of the best alignment", () => {
    fc.assert(
      fc.property(words, words, (said, heard) => {
        const found = alignTokens(said, heard);
        expect([found.substitutions, found.deletions, found.insertions]).toEqual(slow(said, heard));
        expect(found.hits + found.substitutions + found.deletions).toBe(said.length);
        const back = alignTokens(heard, said);
        expect([back.insertions, back.deletions]).toEqual([found.deletions, found.insertions]);
      }),
      { numRuns: 200, seed: 3 },
    );
  });

  it("sum over transcripts before dividing", () => {
    const found = wordErrorRate(["the cat  sat\ton the mat", "", "yes"], ["the cat sit on mat", "oh no", ""]);
    expect(found).toEqual({
      hits: 4,
      substitutions: 1,
      deletions: 2,
      insertions: 2,
      referenceLength: 7,
      rate: 5 / 7,
    });
    expect(wordErrorRate(["a"], ["b c d"]).rate).toBe(3);
  });

  it("take code points as characters", () => {
    expect(characterErrorRate(["naïve 😀"], ["naive 😁"])).toMatchObject({
      substitutions: 2,
      referenceLength: 7,
    });
  });

  it("refuse nothing to compare", () => {
    expect(() => wordErrorRate(["  "], ["a"])).toThrow("wordErrorRate: the references are empty");
    expect(() => characterErrorRate(["a"], [])).toThrow("one hypothesis for each reference, got 1 and 0");
  });
});
