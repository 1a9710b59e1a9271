import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createRun,
  problemsOf,
  type RunRequest,
  RunRequestError,
  RunStore,
} from "../../src/harness/index.ts";
import { toyExperiment } from "./toy-experiment.ts";

let folder: string;
let store: RunStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-runs-"));
  store = new RunStore(folder);
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("createRun", () => {
  it("fills a record from the preset", async () => {
    const record = await createRun(toyExperiment(), store);
    expect(record).toMatchObject({
      paper: "toy",
      preset: "default",
      seeds: [0, 1],
      arms: ["start", "slow", "fast"],
      inputs: {},
      config: { steps: 6, width: 4 },
      status: "queued",
      results: [],
      verdicts: [],
    });
    expect(record.units.map(({ id }) => id).slice(0, 5)).toEqual([
      "seed-0/prepare",
      "seed-0/start",
      "seed-0/slow",
      "seed-0/fast",
      "seed-1/prepare",
    ]);
    expect(await store.read(record.id)).toEqual(record);
  });

  it("keeps absolute paths of inputs, so that another process finds them", async () => {
    const file = join(folder, "pairs.csv");
    await writeFile(file, "a,b\n");
    const { inputs } = await createRun(toyExperiment(), store, {
      inputs: { pairs: file, images: folder, strict: true, title: "x" },
    });
    expect(inputs).toEqual({ pairs: file, images: folder, strict: true, title: "x" });
  });

  it.each<[string, RunRequest, string]>([
    ["an unknown preset", { preset: "huge" }, 'Unknown preset "huge". Known: smoke, default, paper.'],
    ["a preset named like a method", { preset: "toString" }, "Unknown preset"],
    ["no seeds", { seeds: [] }, "At least one seed"],
    ["a negative seed", { seeds: [-1] }, "Seeds are integers from 0, got -1."],
    ["a seed that is no number", { seeds: [Number.NaN] }, "got NaN"],
    ["a seed twice", { seeds: [1, 1] }, "Each seed may be named once"],
    ["too many seeds", { seeds: Array.from({ length: 1001 }, (_, i) => i) }, "at most 1000"],
    ["an unknown arm", { arms: ["fast", "faster"] }, 'Unknown arm "faster". Known: start, slow, fast.'],
    ["no arms", { arms: [] }, "At least one arm"],
    ["an unknown input", { inputs: { pear: "x" } }, "Known: --pairs, --images, --title, --strict."],
    [
      "a missing file",
      { inputs: { pairs: "/none/pairs.csv" } },
      '--pairs: there is no file or folder "/none/',
    ],
    ["a path without its companion", { inputs: { images: "/" } }, "--images needs --pairs as well."],
    ["an empty value", { inputs: { title: "" } }, "--title needs a value (TEXT)."],
    ["a long value", { inputs: { title: "x".repeat(5000) } }, "longer than 4096"],
    ["a value for a switch", { inputs: { strict: "yes" } }, "--strict is a switch"],
    ["what the experiment rejects", { inputs: { title: "bad" } }, "the title is bad"],
  ])("rejects %s before anything is queued", async (_, request, message) => {
    await expect(createRun(toyExperiment(), store, request)).rejects.toThrow(RunRequestError);
    await expect(createRun(toyExperiment(), store, request)).rejects.toThrow(message);
    expect(await store.list()).toEqual([]);
  });
});

describe("problemsOf", () => {
  const toy = toyExperiment();
  const [start, slow] = toy.arms as [(typeof toy.arms)[0], (typeof toy.arms)[0]];
  const [claim] = toy.claims as [(typeof toy.claims)[0]];

  it("finds none in a sound experiment", () => {
    expect(problemsOf(toy)).toEqual([]);
  });

  it.each([
    ["an arm twice", { arms: [start, slow, ...toy.arms] }, "arm 'start' is declared twice"],
    [
      "an arm named prepare",
      { arms: [...toy.arms, { ...slow, id: "prepare" }] },
      "cannot be called 'prepare'",
    ],
    ["an arm that is a path", { arms: [...toy.arms, { ...slow, id: "../x" }] }, "'../x' is not a lower-case"],
    ["no metric", { metrics: [] }, "there is no metric"],
    ["a claim about nothing", { claims: [{ ...claim, arm: "none" }] }, "names arm 'none', which is none"],
    ["a claim of an arm about itself", { claims: [{ ...claim, arm: claim.against }] }, "with itself"],
    [
      "a claim on no metric",
      { claims: [{ ...claim, metric: "none" }] },
      "names metric 'none', which is none",
    ],
    ["no margin", { claims: [{ ...claim, margin: Number.NaN }] }, "no finite margin"],
    [
      "a configuration with a function",
      { presets: { ...toy.presets, smoke: { ...toy.presets.smoke, config: { f: () => 1 } } } },
      "'smoke' is not plain JSON",
    ],
    [
      "a preset without seeds",
      { presets: { ...toy.presets, paper: { ...toy.presets.paper, seeds: 0 } } },
      "0 seeds",
    ],
    [
      "an input that requires none",
      { inputs: [{ name: "a", kind: "flag", description: "", requires: ["b"] }] },
      "input 'a' requires 'b', which is none",
    ],
  ] as const)("names %s", (_, change, problem) => {
    expect(problemsOf({ ...toy, ...change } as typeof toy).join("; ")).toContain(problem);
  });
});
