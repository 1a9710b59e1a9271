import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { bodyVolumes } from "@concord/data";
import {
  conv3d,
  exportOnnx,
  foldIn,
  globalAveragePool,
  importOnnx,
  normalArray,
  randomKey,
  relu,
  type Tensor,
} from "@concord/tensor";
import { beforeAll, describe, expect, it } from "vitest";
import { pythonExample } from "../../src/adapt/examples.ts";
import { type AdaptRequest, AdaptRequestError, adapt, openEncoder, planAdapt } from "../../src/index.ts";
import { niftiFile } from "../support/nifti.ts";
import { imageFiles, imageModel, temporaryFolder, writeFiles } from "../support/tiny-encoders.ts";

const root = await temporaryFolder();
const [SIDE, DEPTH, WIDTH, SCANS] = [8, 4, 12, 26];
const hippocampus = new URL("../../../../../shared/data/medical/hippocampus.tar", import.meta.url);

/** Two convolutions with random weights, pooled: [B, 1, S, S, D] to [B, 12]. */
function convolutionalEncoder(): Uint8Array {
  return exportOnnx(
    (p, { crops }: { crops: Tensor }) => ({
      features: globalAveragePool(
        relu(conv3d(relu(conv3d(crops, p.first, { padding: 1, stride: 2 })), p.second, { padding: 1 })),
      ),
    }),
    {
      inputs: { crops: { shape: ["batch", 1, SIDE, SIDE, DEPTH] } },
      params: {
        first: normalArray(randomKey(1), [8, 1, 3, 3, 3], 0, 0.3),
        second: normalArray(randomKey(2), [WIDTH, 8, 3, 3, 3], 0, 0.1),
      },
    },
  );
}

beforeAll(async () => {
  const world = bodyVolumes({ shape: [20, 18, 8] });
  const files: Record<string, Uint8Array | string | object> = {
    "model/onnx/model.onnx": convolutionalEncoder(),
    "model/preprocessor_config.json": { window: [-175, 250], foreground: 0.2 },
    "scans/broken.nii": "no scan",
    ...Object.fromEntries(
      Object.entries(imageFiles(imageModel())).map(([name, file]) => [`clip/${name}`, file]),
    ),
  };
  const rows = ["volume,patient"];
  for (let i = 0; i < SCANS; i++) {
    const { volume } = world.item(foldIn(randomKey(3), i));
    const scan = { ...volume, data: volume.data.map((value) => 425 * value - 175) };
    files[`scans/p${i}.nii.gz`] = gzipSync(niftiFile(scan), { level: 1 });
    rows.push(`scans/p${i}.nii.gz,${Math.floor(i / 2)}`);
  }
  rows.push("scans/broken.nii,90", "scans/none.nii,91", "../elsewhere.nii,92");
  files["scans.csv"] = rows.join("\n");
  files["list.json"] = {
    training: [{ image: "scans/p0.nii.gz", label: "masks/p0.nii.gz" }],
    validation: ["scans/p1.nii.gz"],
    test: ["scans/p2.nii.gz", "scans/p3.nii.gz"],
  };
  files["climbs.json"] = { training: ["../p0.nii.gz"] };
  await writeFiles(root, files);
});

let runs = 0;
function requestOf(more: Partial<AdaptRequest> = {}): AdaptRequest {
  return {
    recipe: "voco",
    towers: { volume: { encoder: join(root, "model") } },
    pairs: join(root, "scans.csv"),
    out: join(root, `out-${runs++}`),
    cache: join(root, "cache"),
    heldOut: 0.2,
    validation: 0.2,
    steps: 40,
    evaluateEvery: 10,
    learningRate: 3e-3,
    options: { grid: 2, projection: 16, flip: 0, rotate: 0 },
    ...more,
  };
}

describe("adapting encoders of scans", () => {
  it("trains all weights on crops, measures positions, and leaves an encoder that reads scans", async () => {
    const notes: string[] = [];
    const request = requestOf({ groupColumn: "patient" });
    const { record, files } = await adapt(request, { onNote: (note) => notes.push(note) });
    expect(notes.join("\n")).toMatch(/2 rows were skipped/);
    expect(notes.join("\n")).toMatch(
      /1 of 27 rows have an item that cannot be encoded.*broken\.nii cannot be read/,
    );
    expect(record.data).toMatchObject({ rows: SCANS, columns: { volume: "volume" } });
    expect(record.metric).toMatchObject({ id: "position", better: "higher" });
    expect(record.comparisons.map(({ metric }) => metric)).toEqual(["position", "uniformity"]);
    const [position] = record.comparisons;
    // Four cells: chance is a quarter, or a little more with ties; 40 steps show that something is learned.
    expect(position?.after.value).toBeGreaterThan(position?.before?.value as number);
    expect(record.outcome.kept).toBe("adapted");
    expect(files[0]).toMatchObject({
      modality: "volume",
      inputs: ["crops"],
      output: "features",
      width: WIDTH,
    });

    const folder = join(request.out, "volume");
    const model = await importOnnx(await readFile(join(folder, "onnx/model.onnx")));
    expect(model.inputs[0]?.shape).toEqual(["batch", 1, SIDE, SIDE, DEPTH]);
    await using before = await openEncoder(join(root, "model"), { workers: 1 });
    await using after = await openEncoder(folder, { workers: 1 });
    const scan = [{ path: join(root, "scans/p0.nii.gz") }];
    const [old, now] = [await before.encode(scan), await after.encode(scan)];
    expect(now.width).toBe(WIDTH);
    expect(now.values).not.toEqual(old.values);
    for (const example of ["example.mjs", "example.py"])
      expect(await readFile(join(request.out, example), "utf8")).toContain("example-files/volume-1.nii.gz");
  });

  it("trains a map on a frozen encoder, from a folder of scans, and comes to the same bits again", async () => {
    const request = requestOf({ train: "head", pairs: join(root, "scans"), steps: 12, learningRate: 1e-2 });
    const { record } = await adapt(request);
    expect(record.data.rows).toBe(SCANS);
    const again = await adapt({ ...request, out: join(root, "again") });
    expect(again.record.looks).toEqual(record.looks);
    expect(again.record.comparisons).toEqual(record.comparisons);
  });

  it("says what does not fit before anything is computed", async () => {
    const fails = (more: Partial<AdaptRequest>) => expect(planAdapt(requestOf(more))).rejects;
    await fails({ towers: { image: { encoder: join(root, "clip") } } }).toThrow(
      "voco is for encoders of volume; 'image' takes image.",
    );
    await fails({ train: "adapters" }).toThrow("voco trains whole, head");
    await fails({ metric: "mrr" }).toThrow("there are position, uniformity");
    await fails({ pairs: join(root, "climbs.json") }).toThrow("leads outside of its folder");
    expect((await planAdapt(requestOf())).metric).toBe("position");
    const listed = await planAdapt(requestOf({ pairs: join(root, "list.json") }));
    expect(listed).toMatchObject({ rows: 4, skipped: { count: 0 } });
    const odd = exportOnnx(
      (p, { crops }: { crops: Tensor }) => ({ features: globalAveragePool(conv3d(crops, p.w)) }),
      {
        inputs: { crops: { shape: ["batch", 1, 8, 6, 4] } },
        params: { w: normalArray(randomKey(1), [4, 1, 3, 3, 3]) },
      },
    );
    await writeFiles(root, { "odd/model.onnx": odd });
    const request = requestOf({ towers: { volume: { encoder: join(root, "odd") } } });
    await expect(adapt(request)).rejects.toThrow(AdaptRequestError);
    await expect(adapt(request)).rejects.toThrow("this encoder takes 8 × 6 × 4");
    expect(existsSync(request.out)).toBe(false);
  });
});

// The examples for scans bring their own preprocessing: it must come to what the encoder is given.
const pythonWith =
  spawnSync("python3", ["-c", "import scipy, numpy"]).status === 0 ? "python3" : "/usr/bin/python3";
const hasScipy = spawnSync(pythonWith, ["-c", "import scipy, numpy"]).status === 0;
it.skipIf(!hasScipy)("the example in Python prepares scans as the encoder does", async () => {
  const encoded = {
    folder: "volume",
    file: "volume/onnx/model.onnx",
    tower: "volume",
    modality: "volume",
  } as const;
  const example = pythonExample({
    towers: [{ ...encoded, inputs: ["crops"], output: "features", width: WIDTH, items: [{ file: "a.nii" }] }],
    bits: null,
  });
  const [, code = ""] = /(def voxels[\s\S]*?)\ntowers = /.exec(example) ?? [];
  const scan = bodyVolumes({ shape: [20, 18, 8] }).item(randomKey(4)).volume;
  await writeFiles(root, { "scan.f32": new Uint8Array(scan.data.buffer) });
  const script = `
import sys
import numpy as np
from scipy import ndimage
scan = np.fromfile(sys.argv[1], np.float32).reshape(20, 18, 8)
class nibabel:
    load = staticmethod(lambda path: path)
    as_closest_canonical = staticmethod(lambda path: nibabel)
    get_fdata = staticmethod(lambda dtype: scan)
${code}
for window in ["auto", [0.1, 0.7]]:
    print(*voxels("scan", [${SIDE}, ${SIDE}, ${DEPTH}], window=window, foreground=0.3, image_mean=0.2, image_std=2).ravel())
`;
  const { stdout, stderr } = spawnSync(pythonWith, ["-c", script, join(root, "scan.f32")], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  const lines = stdout.trim().split("\n");
  for (const [i, window] of (["auto", [0.1, 0.7]] as const).entries()) {
    await writeFiles(root, {
      [`python-${i}/model.onnx`]: convolutionalEncoder(),
      [`python-${i}/preprocessor_config.json`]: { window, foreground: 0.3, image_mean: 0.2, image_std: 2 },
    });
    await using encoder = await openEncoder(join(root, `python-${i}`), { workers: 1 });
    const { feeds } = await encoder.preprocess([{ volume: scan }]);
    const wanted = Array.from(feeds.crops?.data ?? [], Number).map((value) => expect.closeTo(value, 5));
    expect(lines[i]?.split(" ").map(Number)).toEqual(wanted);
  }
});

describe("real scans", () => {
  it.skipIf(!existsSync(hippocampus))(
    "of the hippocampus are read out of their archive's files",
    async () => {
      const { webdatasetSamples } = await import("@concord/data");
      await using encoder = await openEncoder(join(root, "model"), { workers: 1 });
      const items: { bytes: Uint8Array }[] = [];
      for await (const { parts } of webdatasetSamples(hippocampus.pathname)) {
        const scan = [...parts].find(([name]) => name.endsWith("nii.gz"))?.[1];
        if (scan) items.push({ bytes: scan.bytes });
        if (items.length === 4) break;
      }
      const { rows, problems } = await encoder.encode(items);
      expect(problems).toEqual([]);
      expect(rows).toEqual([0, 1, 2, 3]);
    },
  );
});
