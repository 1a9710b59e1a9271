import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type NDArray, normalArray, randomKey } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { type Encoder, embedInputs, openEncoder } from "../../src/index.ts";
import { niftiFile } from "../support/nifti.ts";
import { SCAN_SIDE, temporaryFolder, volumeModel, WIDTH, writeFiles } from "../support/tiny-encoders.ts";

const root = await temporaryFolder();
let count = 0;
async function open(settings?: object, model = volumeModel()): Promise<Encoder> {
  const folder = join(root, String(count++));
  await writeFiles(folder, {
    "onnx/model.onnx": model,
    ...(settings ? { "preprocessor_config.json": settings } : {}),
  });
  return openEncoder(folder, { threads: 1, workers: 1 });
}

/** A scan whose value at (x, y, z) is x + 10 y + 100 z. */
function places(X: number, Y: number, Z: number): NDArray<"float32"> {
  const data = new Float32Array(X * Y * Z);
  for (let x = 0, i = 0; x < X; x++)
    for (let y = 0; y < Y; y++) for (let z = 0; z < Z; z++, i++) data[i] = x + 10 * y + 100 * z;
  return { dtype: "float32", shape: [X, Y, Z], data };
}

async function voxelsOf(encoder: Encoder, scan: NDArray<"float32">, size?: readonly number[]) {
  const { feeds, problems } = await encoder.preprocess([{ volume: scan }], size ? { size } : {});
  expect(problems).toEqual([]);
  const { shape, data } = feeds.voxels as NDArray;
  return { shape, data: Array.from(data, Number) };
}

describe("encoders of scans", () => {
  it("read files, bytes and arrays alike, turned to right, front, up, and say what cannot be read", async () => {
    await using encoder = await open({ window: [0, 400] });
    expect(encoder).toMatchObject({ modality: "volume", width: WIDTH, notes: [] });
    const scan = places(4, 4, 4);
    // The same scan in a file whose first axis runs to the left and whose last two are exchanged.
    const turned = places(4, 4, 4);
    for (let i = 0, x = 0; x < 4; x++)
      for (let z = 0; z < 4; z++)
        for (let y = 0; y < 4; y++) turned.data[i++] = scan.data[((3 - x) * 4 + y) * 4 + z] as number;
    const sform = [
      [-1, 0, 0, 0],
      [0, 0, 1, 0],
      [0, 1, 0, 0],
    ];
    await writeFiles(root, {
      "plain.nii": niftiFile(scan),
      "turned.nii.gz": gzipSync(niftiFile(turned, { sform })),
      "cut.nii": niftiFile(scan).subarray(0, 400),
      "bomb.nii.gz": gzipSync(Buffer.alloc(2 ** 20)),
    });
    const items = [
      { volume: scan },
      { path: join(root, "plain.nii") },
      { path: join(root, "turned.nii.gz") },
      { bytes: gzipSync(niftiFile(scan)) },
      { path: join(root, "cut.nii") },
      { path: join(root, "bomb.nii.gz") },
      { path: join(root, "nowhere.nii") },
      { volume: { ...scan, shape: [4, 4, 5] } },
      { text: "a scan" },
      { volume: { ...scan, data: new Float32Array(64).fill(Number.NaN) } },
    ];
    const { values, rows, problems } = await encoder.encode(items);
    // A window that is given makes voxels without a value black; the rest is one scan in four forms.
    expect(rows).toEqual([0, 1, 2, 3, 9]);
    const row = (i: number) => Array.from(values.subarray(i * WIDTH, (i + 1) * WIDTH));
    for (const i of [1, 2, 3]) expect(row(i)).toEqual(row(0));
    expect(problems.map(({ index, reason }) => `${index} ${reason}`)).toEqual([
      expect.stringMatching(/^4 .*cut\.nii cannot be read: it is truncated/),
      expect.stringMatching(/^5 .*bomb\.nii\.gz cannot be read: it is no NIfTI file/),
      expect.stringMatching(/^6 .*nowhere\.nii cannot be read: there is no such file/),
      expect.stringMatching(/^7 expected a scan/),
      expect.stringMatching(/^8 expected a scan/),
    ]);
  });

  it("scale a window, keep the foreground and stretch it to the model's size", async () => {
    await using encoder = await open({
      window: [10, 30],
      foreground: 0.3,
      image_mean: 0.5,
      image_std: 2,
    });
    const scan = { ...places(8, 6, 10), data: new Float32Array(480) };
    // A block of 4 × 4 × 4 at (2, 1, 5) that grows to the right: 20, 24, 28, 32.
    for (let x = 0; x < 4; x++)
      for (let y = 0; y < 4; y++)
        for (let z = 0; z < 4; z++) scan.data[((2 + x) * 6 + 1 + y) * 10 + 5 + z] = 20 + 4 * x;
    const { shape, data } = await voxelsOf(encoder, scan);
    expect(shape).toEqual([1, 1, SCAN_SIDE, SCAN_SIDE, SCAN_SIDE]);
    const wanted = [0.5, 0.7, 0.9, 1].flatMap((value) => Array(16).fill((value - 0.5) / 2));
    expect(data).toEqual(wanted.map((value) => expect.closeTo(value, 6)));
    // Larger than the model's size, for what is cut up afterwards.
    expect((await voxelsOf(encoder, scan, [8, 8, 4])).shape).toEqual([1, 1, 8, 8, 4]);
  });

  it("keep proportions where a spacing is asked for: the middle is cut out, or filled up", async () => {
    await using encoder = await open({ window: [0, 1000], spacing: [2, 1, 1] });
    const volume = places(8, 4, 2);
    const { feeds } = await encoder.preprocess([{ volume, spacing: [1, 1, 1] }]);
    const data = Array.from(feeds.voxels?.data ?? [], Number);
    // Along x pairs become one voxel; along y nothing changes; along z one voxel of air is on each side.
    const wanted = [0, 1, 2, 3].flatMap((x) =>
      [0, 1, 2, 3].flatMap((y) =>
        [0, 1, 2, 3].map((z) => (z < 1 || z > 2 ? 0 : 2 * x + 0.5 + 10 * y + 100 * (z - 1))),
      ),
    );
    expect(data).toEqual(wanted.map((value) => expect.closeTo(value / 1000, 5)));
  });

  it("take percentiles where nothing is said, and note it", async () => {
    await using encoder = await open();
    expect(encoder.notes.join()).toContain("0.5 and 99.5 percentiles");
    const { data } = await voxelsOf(encoder, normalArray(randomKey(1), [9, 9, 9]));
    expect(Math.min(...data)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...data)).toBeLessThanOrEqual(1);
    const flat = { dtype: "float32", shape: [2, 2, 2], data: new Float32Array(8) } as const;
    const { problems } = await encoder.encode([{ volume: flat }]);
    expect(problems[0]?.reason).toContain("which has no width");
  });

  it("are told by their five axes, and by a size where the model leaves it open", async () => {
    await using other = await open({}, volumeModel({ input: "images" }));
    expect(other.modality).toBe("volume");
    const free = volumeModel({ sides: ["x", "y", "z"] });
    await expect(open({}, free)).rejects.toThrow("does not say how large scans are");
    await using sized = await open({ size: { width: 6, height: 4, depth: 2 } }, free);
    expect((await voxelsOf(sized, places(3, 3, 3))).shape).toEqual([1, 1, 6, 4, 2]);
  });

  it.each([
    [{ size: [8, 8, 8] }, /leads to scans of 8 × 8 × 8, but 'voxels' takes 4 × 4 × 4/],
    [{ size: [4, 4] }, /'size' must be a list of three numbers/],
    [{ window: [3, 1] }, /'window' must be \[low, high\]/],
    [{ window: "ct" }, /'window' must be/],
    [{ foreground: 1 }, /'foreground' must be a number from 0 to below 1/],
    [{ spacing: [1, 1, 0] }, /'spacing' must be millimetres from 0\.01 to 100/],
    [{ spacing: 2 }, /'spacing' must be a list of three numbers/],
    [{ image_std: 0 }, /'image_std' must not be 0/],
  ])("refuse settings that cannot be: %j", async (settings, message) => {
    await expect(open(settings)).rejects.toThrow(message);
  });

  it("refuse sizes that nobody has memory for", async () => {
    await using encoder = await open({});
    const ask = (size: readonly number[]) => encoder.preprocess([{ volume: places(2, 2, 2) }], { size });
    await expect(ask([1024, 1024, 1024])).rejects.toThrow(/at most 134217728 voxels/);
    await expect(ask([4, 4])).rejects.toThrow(/three whole numbers/);
    await expect(ask([4, 4, Number.NaN])).rejects.toThrow(/three whole numbers/);
  });
});

it("scans are found in folders", async () => {
  const folder = join(root, "found");
  await writeFiles(folder, { "b/1.nii.gz": "x", "a.nii": "x", "notes.txt": "x", "mask.png": "x" });
  const found: string[] = [];
  for await (const { item } of embedInputs([folder], { modality: "volume" }))
    found.push("path" in item ? item.path.slice(folder.length + 1) : "?");
  expect(found).toEqual(["a.nii", "b/1.nii.gz"]);
});
