import { foldIn, randomKey } from "@concord/tensor";
import { expect, it } from "vitest";
import { drawText, parseVidalAnnotations } from "./multi-view-text.ts";

const record = {
  folder: "a",
  raw: "title #tag",
  mplug: "a dog",
  polish_mplug: "a brown dog runs",
  sound_mplug: "barking",
  ofa: Array.from({ length: 8 }, (_, i) => `frame ${i}`),
};
const clips = parseVidalAnnotations({ one: record });
const clip = clips.get("one") as never;

it("draws whole-clip texts with 0.2 each and frame captions with 0.025 each, with their frame", () => {
  const draws = Array.from({ length: 4000 }, (_, i) => drawText(foldIn(randomKey(1), i), clip));
  const share = (wanted: string): number => draws.filter(({ text }) => text === wanted).length / draws.length;
  // Four deviations: 0.025 for a share of 0.2, 0.01 for 0.025.
  for (const whole of [record.raw, record.mplug, record.polish_mplug, record.sound_mplug])
    expect(Math.abs(share(whole) - 0.2), whole).toBeLessThan(0.026);
  for (const frame of record.ofa) expect(Math.abs(share(frame) - 0.025), frame).toBeLessThan(0.01);
  for (const { text, frame } of draws)
    expect(frame).toBe(text.startsWith("frame") ? Number(text.at(-1)) : null);
});

it("takes the polished caption where a view is missing, and always when asked to", () => {
  const silent = { ...record, raw: "", mplug: "", sound_mplug: undefined, ofa: record.ofa.map(() => "") };
  for (let i = 0; i < 50; i++) {
    expect(drawText(foldIn(randomKey(2), i), silent)).toEqual({ text: record.polish_mplug, frame: null });
    expect(drawText(foldIn(randomKey(2), i), clip, "polish_mplug").text).toBe(record.polish_mplug);
  }
});

it("says which clip is broken, and why", () => {
  expect(() => parseVidalAnnotations([])).toThrow(/object of clips/);
  expect(() => parseVidalAnnotations({ two: { ...record, ofa: ["x"] } })).toThrow(/clip "two", ofa: /);
  expect(() => parseVidalAnnotations({ two: { ...record, raw: 5 } })).toThrow(/clip "two", raw: /);
});
