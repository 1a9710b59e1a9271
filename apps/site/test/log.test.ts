import { appendFile, rename, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Journals } from "../src/runs/journal.ts";
import { LOG_START, parsePosition, positionText, readLog } from "../src/runs/log-file.ts";
import { temporaryFolder } from "./support.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let path: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder.path, "log.jsonl");
});
afterEach(() => folder.remove());

const step = (step: number, loss = 1) =>
  `${JSON.stringify({ kind: "step", time: "", unit: "seed-0/a", phase: "training", step, values: { loss } })}\n`;
const note = (message: string) =>
  `${JSON.stringify({ kind: "note", time: "", unit: "seed-0/a", level: "info", message })}\n`;

describe("readLog", () => {
  it("reads on from a position and leaves a line that is not complete", async () => {
    await writeFile(path, "one\ntwo\nthr");
    const first = await readLog(path, LOG_START, 1000);
    expect(first).toMatchObject({ lines: ["one", "two"], reset: false, more: true });
    expect(await readLog(path, first.position, 1000)).toMatchObject({ lines: [], more: false });
    await appendFile(path, "ee\n");
    expect((await readLog(path, first.position, 1000)).lines).toEqual(["three"]);
  });

  it("reads in pieces that end at line ends, and a line longer than a piece whole", async () => {
    const lines = ["a", "b".repeat(50), "c", "d".repeat(9)];
    await writeFile(path, lines.map((line) => `${line}\n`).join(""));
    const read: string[] = [];
    let position = LOG_START;
    for (let more = true; more; ) {
      const chunk = await readLog(path, position, 12);
      read.push(...chunk.lines);
      ({ position, more } = chunk);
    }
    expect(read).toEqual(lines);
  });

  it("does not split characters", async () => {
    const lines = ["äöü€", "😀😀", "x"];
    await writeFile(path, `${lines.join("\n")}\n`);
    const first = await readLog(path, LOG_START, 13);
    const rest = await readLog(path, first.position, 13);
    expect([...first.lines, ...rest.lines].slice(0, 2)).toEqual(lines.slice(0, 2));
  });

  it("begins again when the file shrank, was replaced, or was rewritten and grew past the position", async () => {
    await writeFile(path, "one\ntwo\nthree\n");
    const { position } = await readLog(path, LOG_START, 1000);
    await truncate(path, 4);
    expect(await readLog(path, position, 1000)).toMatchObject({ lines: ["one"], reset: true });

    await writeFile(path, "another line that is quite long\nand one more\n");
    expect(await readLog(path, position, 1000)).toMatchObject({ reset: true });

    await writeFile(`${path}.new`, "one\ntwo\nthree\nfour\n");
    await rename(`${path}.new`, path);
    expect(await readLog(path, position, 1000)).toMatchObject({
      lines: ["one", "two", "three", "four"],
      reset: true,
    });
  });

  it("takes a log that does not exist for an empty one", async () => {
    expect(await readLog(path, LOG_START, 10)).toMatchObject({ lines: [], reset: false, more: false });
  });

  it("writes positions as event ids and reads them back; anything else is the start", () => {
    const position = { file: "18446744073709551615", offset: 123 };
    expect(parsePosition(positionText(position))).toEqual(position);
    for (const bad of [undefined, "", "1", "-", "1--2", "1-2-3", "x-1", "1-1e5", "1-99999999999999999999"]) {
      expect(parsePosition(bad)).toEqual(LOG_START);
    }
  });
});

describe("Journals", () => {
  it("gathers curves, notes and the newest progress, and reads only what is new", async () => {
    const journals = new Journals();
    await writeFile(path, step(1, 3) + note("left out 3 rows") + note("left out 3 rows") + step(2, 2));
    const first = await journals.read(path);
    expect(first.charts).toEqual([
      {
        phase: "training",
        name: "loss",
        curves: [
          {
            unit: "seed-0/a",
            points: [
              [1, 3],
              [2, 2],
            ],
          },
        ],
      },
    ]);
    expect(first.notes.map(({ message }) => message)).toEqual(["left out 3 rows"]);
    expect(first.progress).toEqual([]);
    const progress = { kind: "progress", time: "", unit: "seed-0/a", phase: "training", step: 3, steps: 9 };
    await appendFile(path, `${step(3, 1)}${JSON.stringify(progress)}\n{"kind":"step"}\nnonsense\n`);
    const second = await journals.read(path);
    expect(second.charts[0]!.curves[0]!.points).toEqual([
      [1, 3],
      [2, 2],
      [3, 1],
    ]);
    expect(second.progress).toMatchObject([{ step: 3, steps: 9 }]);
  });

  it("forgets what a rewritten log no longer says", async () => {
    const journals = new Journals();
    await writeFile(path, step(1) + step(2) + note("old"));
    await journals.read(path);
    await writeFile(path, step(1, 5));
    const { charts, notes } = await journals.read(path);
    expect(charts[0]!.curves[0]!.points).toEqual([[1, 5]]);
    expect(notes).toEqual([]);
  });

  it("gives concurrent readers the same, whole answer", async () => {
    const journals = new Journals();
    await writeFile(path, Array.from({ length: 300 }, (_, index) => step(index)).join(""));
    const answers = await Promise.all(Array.from({ length: 5 }, () => journals.read(path)));
    for (const { charts } of answers) expect(charts[0]!.curves[0]!.points).toHaveLength(300);
  });

  it("keeps the first 200 notes and counts the rest", async () => {
    await writeFile(path, Array.from({ length: 230 }, (_, index) => note(`row ${index}`)).join(""));
    const { notes, notesDropped } = await new Journals().read(path);
    expect([notes.length, notesDropped]).toEqual([200, 30]);
  });
});
