import { expect, it } from "vitest";
import { durationText, numberText, paragraph, printable, shellText, signedText, wrapLines } from "./text.ts";

it("makes characters that command a terminal or reorder text visible", () => {
  expect(printable("a\u001b[31mb\u0007\r\nc\td\u202ee")).toBe("a\\u{1b}[31mb\\u{7}\nc\td\\u{202e}e");
});

it("wraps at spaces and keeps long words whole", () => {
  expect(wrapLines("one two three", 7)).toEqual(["one two", "three"]);
  expect(wrapLines("incomprehensible yes", 5)).toEqual(["incomprehensible", "yes"]);
  expect(paragraph("one two three", 9, "  ")).toBe("  one two\n  three");
});

it.each([
  [0, "0.0 s"],
  [9.94, "9.9 s"],
  [9.96, "10 s"],
  [59.4, "59 s"],
  [59.6, "1 min"],
  [200, "3 min 20 s"],
  [3599.9, "1 h"],
  [7500, "2 h 5 min"],
])("shows %d seconds as %s", (seconds, text) => {
  expect(durationText(seconds)).toBe(text);
});

it("shows no sign of a zero", () => {
  expect(numberText(-0.04, 1)).toBe("0.0");
  expect(signedText(0.04, 1)).toBe("0.0");
  expect(signedText(0.06, 1)).toBe("+0.1");
  expect(signedText(-0.06, 1)).toBe("-0.1");
});

it("quotes what a shell would take apart", () => {
  expect(shellText("/tmp/runs-1")).toBe("/tmp/runs-1");
  expect(shellText("my runs")).toBe("'my runs'");
  expect(shellText("it's")).toBe("'it'\\''s'");
});
