import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { bodyVolumes } from "@concord/data";
import { foldIn, importOnnx, type NDArray, randomKey } from "@concord/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Inputs } from "../../harness/inputs.ts";
import { contextInMemory } from "../../harness/memory-context.ts";
import { smokeConfig } from "./config.ts";
import { experiment } from "./experiment.ts";

/** Small enough for every arm to run in a test. */
const tiny = {
  ...smokeConfig,
  pretraining: { ...smokeConfig.pretraining, steps: 6 },
  fineTuning: { ...smokeConfig.fineTuning, steps: 4 },
};

/** A scan as a NIfTI-1 file of float32, in Hounsfield units; labels as 16-bit integers. */
function nifti({ shape, data, dtype }: NDArray, scale = 1, offset = 0): Buffer {
  const [X = 0, Y = 0, Z = 0] = shape;
  const isLabel = dtype === "int32";
  const size = isLabel ? 2 : 4;
  const file = Buffer.alloc(352 + X * Y * Z * size);
  file.writeInt32LE(348, 0);
  [3, X, Y, Z, 1, 1, 1, 1].forEach((value, i) => {
    file.writeInt16LE(value, 40 + 2 * i);
    file.writeFloatLE(1, 76 + 4 * i);
  });
  file.writeInt16LE(isLabel ? 4 : 16, 70);
  file.writeFloatLE(352, 108);
  file.write("n+1\0", 344, "latin1");
  for (let x = 0; x < X; x++)
    for (let y = 0; y < Y; y++)
      for (let z = 0; z < Z; z++) {
        const value = scale * Number(data[(x * Y + y) * Z + z]) + offset;
        const at = 352 + (x + X * (y + Y * z)) * size;
        if (isLabel) file.writeInt16LE(value, at);
        else file.writeFloatLE(value, at);
      }
  return file;
}

describe("on own volumes", () => {
  let folder: string;

  const contextOf = (inputs: Inputs) => ({
    ...contextInMemory(tiny, 3, inputs),
    artefact: (name: string) => join(folder, name),
  });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "voco-"));
    await Promise.all(["scans", "masks"].map((name) => mkdir(join(folder, name))));
    const world = bodyVolumes({ shape: [36, 30, 10] });
    for (let i = 0; i < 10; i++) {
      const { volume, labels } = world.item(foldIn(randomKey(6), i));
      await writeFile(join(folder, "scans", `p${i}.nii.gz`), gzipSync(nifti(volume, 425, -175)));
      // Values of labels are the user's own: 10, 20, ...
      if (i < 7) await writeFile(join(folder, "masks", `p${i}.nii.gz`), gzipSync(nifti(labels, 10)));
    }
    await writeFile(join(folder, "scans", "broken.nii.gz"), gzipSync(Buffer.alloc(900)));
    const listed = (i: number) => ({ image: `scans/p${i}.nii.gz`, label: `masks/p${i}.nii.gz` });
    const lists = {
      good: {
        training: [0, 1, 2, 3].map(listed),
        validation: [4, 5].map(listed),
        test: ["scans/p8.nii.gz"],
        labels: { 0: "background", 10: "liver" },
      },
      outside: { training: [{ image: "../elsewhere.nii.gz" }] },
      link: { training: [{ image: "link.nii.gz" }] },
      twice: { training: [0, 1, 2].map(listed), validation: [2, 3].map(listed) },
      few: { training: [0, 1].map(listed), validation: [listed(4)] },
      unlabelled: { training: [listed(0), ...[1, 2, 3, 7].map((i) => ({ image: `scans/p${i}.nii.gz` }))] },
      odd: { training: [{ picture: "a.nii.gz" }] },
      empty: {},
    };
    await symlink("/etc/hostname", join(folder, "link.nii.gz"));
    for (const [name, list] of Object.entries(lists))
      await writeFile(join(folder, `${name}.json`), JSON.stringify(list));
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("trains on a folder, segments with its labels, says what it skipped, and leaves an ONNX encoder", async () => {
    const inputs = { volumes: join(folder, "scans"), labels: join(folder, "masks"), labelled: "2" };
    const context = contextOf(inputs);
    const prepared = await experiment.prepare(context);
    expect(context.notes.join()).toMatch(
      /1 of 11 volumes were skipped: .*broken\.nii\.gz cannot be read: .*348/,
    );
    expect(prepared.task.classes).toEqual([10, 20, 30, 40, 50, 60].map((value) => `label ${value}`));
    expect(prepared.task.labelled).toHaveLength(2);
    expect(prepared.task.test.every(({ labels }) => labels !== null)).toBe(true);
    const names = [...prepared.task.unlabelled, ...prepared.task.test].map(({ name }) => name);
    expect(new Set(names).size).toBe(10);
    const { metrics } = await experiment.runArm("voco", prepared, context);
    expect(metrics.dice).toBeGreaterThanOrEqual(0);
    const missing = experiment.metrics.filter(({ id }) => metrics[id] === undefined);
    expect(missing.every(({ optional }) => optional === true)).toBe(true);
    const model = await importOnnx(await readFile(join(folder, "encoder.onnx")));
    expect(model.inputs.map(({ name, shape }) => [name, shape])).toEqual([["crops", ["batch", 1, 8, 8, 8]]]);
    const settings = await readFile(join(folder, "preprocessor_config.json"), "utf8");
    expect(JSON.parse(settings)).toEqual({ window: [-175, 250], foreground: 0.3 });
  });

  it("takes a decathlon list, its validation part and its names", async () => {
    const context = contextOf({ volumes: join(folder, "good.json") });
    const { task } = await experiment.prepare(context);
    expect(task.test.map(({ name }) => name)).toEqual(["p4", "p5"]);
    expect(context.notes).toEqual([]);
    const many = contextOf({ volumes: join(folder, "good.json"), labelled: "50" });
    await experiment.prepare(many);
    expect(many.notes.join()).toMatch(/4 volumes with labels are left to fine-tune on, not 50/);
    expect(task.unlabelled.map(({ name }) => name).sort()).toEqual(["p0", "p1", "p2", "p3", "p8"]);
    expect(task.classes.slice(0, 2)).toEqual(["liver", "label 20"]);
  });

  it("measures positions alone without labels", async () => {
    const inputs = { volumes: join(folder, "scans"), window: "auto", foreground: "0" };
    const context = contextOf(inputs);
    const { metrics } = await experiment.runArm("scratch", await experiment.prepare(context), context);
    expect(metrics.dice).toBeUndefined();
    expect(metrics["position-accuracy"]).toBeGreaterThan(0);
  });

  it("says so when there are labels, but not enough to segment with", async () => {
    const context = contextOf({ volumes: join(folder, "unlabelled.json") });
    const { task } = await experiment.prepare(context);
    expect(task.labelled).toEqual([]);
    expect(context.notes.join()).toMatch(/nothing is segmented: .* 0 are to train on and 1 to test on/);
  });

  it("says what is wrong with its inputs", async () => {
    const check = (name: string, more: Readonly<Record<string, string>> = {}) =>
      experiment.validate?.({ volumes: join(folder, name), ...more }, "default");
    await expect(check("nowhere")).rejects.toThrow(/nowhere: there is no such file or folder/);
    await expect(check("scans/p0.nii.gz")).rejects.toThrow(
      /neither a folder of NIfTI files nor a \.json list/,
    );
    await expect(check("outside.json")).rejects.toThrow(/"\.\.\/elsewhere\.nii\.gz", which leads outside/);
    await expect(check("link.json")).rejects.toThrow(/a link that leads outside/);
    await expect(check("twice.json")).rejects.toThrow(/twice\.json: .*p2\.nii\.gz is listed twice/);
    await expect(check("few.json")).rejects.toThrow(/2 volumes to train on and 1 to test on; at least 2/);
    await expect(check("odd.json")).rejects.toThrow(/no list of volumes[\s\S]*training/);
    await expect(check("empty.json")).rejects.toThrow(/lists no volume under "training"/);
    await expect(check("good.json", { labels: folder })).rejects.toThrow(/names its labels itself/);
    await expect(check("scans", { labels: folder })).rejects.toThrow(
      /holds no file with the name of a volume/,
    );
    await expect(check("scans", { side: "50" })).rejects.toThrow(/even number of voxels/);
    await expect(check("scans", { depth: "many" })).rejects.toThrow(
      /--depth must be an integer from 1 to 512/,
    );
    await expect(check("scans", { window: "5" })).rejects.toThrow(/--window must be LOW,HIGH/);
    await expect(check("scans", { foreground: "1" })).rejects.toThrow(/--foreground must be a number from 0/);
    const dark = contextOf({ volumes: join(folder, "scans"), window: "900,1000" });
    await expect(experiment.prepare(dark)).rejects.toThrow(
      /0 volumes to train on .* 11 were skipped, the first: .*(one side of the window \[900, 1000\]|348)/,
    );
    const strict = contextOf({ volumes: join(folder, "scans"), strict: true });
    await expect(experiment.prepare(strict)).rejects.toThrow(/broken\.nii\.gz cannot be read/);
  });
});
