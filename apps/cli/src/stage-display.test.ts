import { Writable } from "node:stream";
import { expect, it } from "vitest";
import { StageDisplay } from "./stage-display.ts";

function display(isTTY: boolean) {
  let now = 0;
  let text = "";
  const stderr = Object.assign(
    new Writable({
      decodeStrings: false,
      write(chunk, _encoding, done) {
        text += String(chunk);
        done();
      },
    }),
    { isTTY, columns: 40 },
  );
  const shown = new StageDisplay({ stderr, env: { NO_COLOR: "1" } }, () => now);
  return {
    at(ms: number, stage: string, done: number | null = null, total: number | null = null): string {
      now = ms;
      text = "";
      shown.show({ stage, done, total });
      return text;
    },
    end(): string {
      text = "";
      shown.end();
      return text;
    },
  };
}

it("says nothing about work of less than a second", () => {
  const { at, end } = display(true);
  expect(at(0, "reading a", 0, 100)).toBe("");
  expect(at(999, "reading a", 90, 100)).toBe("");
  expect(end()).toBe("");
});

it("rewrites one line on a terminal, cut to its width, and clears it at the end", () => {
  const { at, end } = display(true);
  expect(at(1500, "reading a", 250, 1000)).toBe("\r\u001b[Kreading a: 25 % of 1,000 rows");
  expect(at(1510, "reading a", 260, 1000)).toBe("");
  expect(at(1520, "retrieval")).toBe("\r\u001b[Kretrieval …");
  expect(at(2000, "x".repeat(80)).length).toBe("\r\u001b[K".length + 39);
  expect(end()).toBe("\r\u001b[K");
});

it("writes a line now and then elsewhere, and nothing that a terminal would obey", () => {
  const { at, end } = display(false);
  expect(at(1500, "reading \u001b[2J", 70)).toBe("reading \\u{1b}[2J: 70 rows\n");
  expect(at(3000, "retrieval")).toBe("");
  expect(at(6600, "retrieval")).toBe("retrieval …\n");
  expect(end()).toBe("");
});
