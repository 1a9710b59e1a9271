import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  FormatError,
  fileItems,
  parseAtom,
  parseHfDaily,
  parseOai,
  parseRss,
  parseTextList,
} from "../../src/intake/index.ts";
import { documents, dumpGzip } from "./fixtures.ts";

const SEED = 20260514;
/** What a damaged document may hold in place of what it held. */
const SCRAPS = [
  "<",
  ">",
  "&",
  '"',
  "'",
  "]]>",
  "<![CDATA[",
  "<!--",
  "<!DOCTYPE a>",
  "&#0;",
  "&#xffffff;",
  "{",
  "}",
  "[",
  "]",
  ":",
  "null",
  "\0",
  "\ud800",
  "\u202e",
  "<a>",
  "</entry>",
  "v",
  "•",
  "· ",
  "Dec 10",
  "9".repeat(400),
  " ".repeat(3000),
];

type Edit = { readonly at: number; readonly cut: number; readonly put: string };
const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  cut: fc.nat(200),
  put: fc.oneof(fc.constantFrom(...SCRAPS), fc.string({ unit: "binary", maxLength: 20 })),
});

function damaged(text: string, edits: readonly Edit[], end: number): string {
  let result = text;
  for (const { at, cut, put } of edits) {
    const start = Math.floor(at * result.length);
    result = result.slice(0, start) + put + result.slice(start + cut);
  }
  return result.slice(0, Math.ceil(end * result.length));
}

/** Reads with every parser; anything thrown but FormatError fails the test. */
async function readAll(text: string): Promise<void> {
  const readers: readonly ((text: string) => Iterable<unknown>)[] = [
    (document) => parseAtom(document).items,
    (document) => parseRss(document).items,
    (document) => parseOai(document).items,
    (document) => parseHfDaily(document, null).items,
    (document) => parseTextList(document, { today: "2026-11-21" }).items,
  ];
  for (const read of readers) {
    try {
      for (const item of read(text)) expect(item).toHaveProperty("position");
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
    }
  }
  await readFile(Buffer.from(text));
}

async function readFile(bytes: Buffer): Promise<void> {
  // In pieces that cut through characters and values.
  const pieces = Array.from({ length: Math.ceil(bytes.length / 701) }, (_, i) =>
    bytes.subarray(i * 701, (i + 1) * 701),
  );
  try {
    for await (const parse of fileItems({ stream: Readable.from(pieces) }, { today: "2026-11-21" })) {
      expect(parse()).toHaveProperty("position");
    }
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
  }
}

describe("damaged documents end in items or in a FormatError", () => {
  it.each(Object.keys(documents))(
    "%s",
    async (name) => {
      const text = documents[name] as string;
      await fc.assert(
        fc.asyncProperty(
          fc.array(edit, { maxLength: 6 }),
          fc.double({ min: 0, max: 1, noNaN: true }),
          fc.boolean(),
          async (edits, end, whole) => {
            await readAll(damaged(text, edits, whole ? 1 : end));
          },
        ),
        { seed: SEED, numRuns: 60 },
      );
    },
    20_000,
  );

  it("also gzip", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(dumpGzip.length),
        fc.nat(255),
        fc.nat(dumpGzip.length),
        async (at, byte, end) => {
          const bytes = Buffer.from(dumpGzip);
          bytes[at] = byte;
          await readFile(bytes.subarray(0, end));
        },
      ),
      { seed: SEED, numRuns: 100 },
    );
  });

  it.each([
    ["many unclosed tags", "<a>".repeat(300_000)],
    ["one endless tag", `<a ${"b ".repeat(500_000)}`],
    ["one endless attribute", `<feed><a b="${"x".repeat(2_000_000)}`],
    ["many comments", `<feed>${"<!--".repeat(300_000)}`],
    ["many ampersands", `<feed><entry><title>${"&".repeat(400_000)}</title></entry></feed>`],
    ["deep JSON", "[".repeat(1_000_000)],
    ["deep JSON objects", '{"a":'.repeat(300_000)],
    [
      "open brackets among authors",
      `<rss><channel><item><creator>${"(".repeat(400_000)}</creator></item></channel></rss>`,
    ],
    ["blanks", ` ${" \n".repeat(500_000)}x`],
    ["dots", "• ".repeat(500_000)],
    ["dates", "Dec 10\n".repeat(100_000)],
  ])("%s take less than two seconds of the processor", async (_, text) => {
    const before = process.cpuUsage();
    await readAll(text);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(2000);
  });
});
