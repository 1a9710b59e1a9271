import { existsSync } from "node:fs";
import { mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { foldIn, type NDArray, ndarray, randomKey, toNumbers } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import {
  ALIKE_ORGANS,
  bodyOrgans,
  bodyVolumes,
  decodeNifti,
  NiftiError,
  prepareVolume,
  readNifti,
  resizeVolume,
} from "../src/index.ts";
import { temporaryFolder } from "./temporary.ts";

const folder = await temporaryFolder();
const scans = new URL("../../../../shared/data/medical/", import.meta.url);

interface Fields {
  readonly version?: 1 | 2;
  readonly little?: boolean;
  readonly sizes?: readonly number[];
  readonly code?: number;
  readonly slope?: number;
  readonly intercept?: number;
  readonly offset?: number;
  readonly magic?: string;
  /** Rows of the sform, or the quaternion b, c, d of the qform. */
  readonly sform?: readonly (readonly number[])[];
  readonly qform?: readonly [number, number, number];
  readonly spacing?: readonly [number, number, number];
  /** pixdim[0]: -1 mirrors the third axis of a qform. */
  readonly handedness?: number;
  readonly write?: (view: DataView, at: number, little: boolean) => void;
  readonly bytes?: number;
}

/** A NIfTI file of 16-bit voxels 0, 1, 2, ... in the order of the file, unless the fields say otherwise. */
function nifti(fields: Fields = {}): Uint8Array {
  const { version = 1, little = true, sizes = [2, 3, 4], code = 4, slope = 0, intercept = 0 } = fields;
  const first = version === 1;
  const { offset = first ? 352 : 544, magic = first ? "n+1" : "n+2", spacing = [1, 1, 1] } = fields;
  const count = sizes.reduce((a, b) => a * b, 1);
  const view = new DataView(new ArrayBuffer(fields.bytes ?? offset + Math.max(0, count) * 2));
  view.setInt32(0, first ? 348 : 540, little);
  [sizes.length, ...sizes].forEach((size, i) => {
    if (first) view.setInt16(40 + 2 * i, size, little);
    else view.setBigInt64(16 + 8 * i, BigInt(size), little);
  });
  const float = (one: number, two: number, value: number): void =>
    first ? view.setFloat32(one, value, little) : view.setFloat64(two, value, little);
  const integer = (one: number, two: number, value: number): void =>
    first ? view.setInt16(one, value, little) : view.setInt32(two, value, little);
  view.setInt16(first ? 70 : 12, code, little);
  if (first) view.setFloat32(108, offset, little);
  else view.setBigInt64(168, BigInt(offset), little);
  [fields.handedness ?? 1, ...spacing].forEach((size, i) => {
    float(76 + 4 * i, 104 + 8 * i, size);
  });
  float(112, 176, slope);
  float(116, 184, intercept);
  integer(252, 344, fields.qform ? 1 : 0);
  fields.qform?.forEach((value, i) => {
    float(256 + 4 * i, 352 + 8 * i, value);
  });
  integer(254, 348, fields.sform ? 1 : 0);
  fields.sform?.flat().forEach((value, i) => {
    float(280 + 4 * i, 400 + 8 * i, value);
  });
  [...magic].forEach((letter, i) => {
    view.setUint8((first ? 344 : 4) + i, letter.charCodeAt(0));
  });
  if (fields.write) fields.write(view, offset, little);
  else if (fields.bytes === undefined)
    for (let i = 0; i < count; i++) view.setInt16(offset + 2 * i, i, little);
  return new Uint8Array(view.buffer);
}

function at({ shape, data }: NDArray, x: number, y: number, z: number): number {
  return Number(data[(x * (shape[1] as number) + y) * (shape[2] as number) + z]);
}

describe("decodeNifti", () => {
  it.each([
    [1, true],
    [1, false],
    [2, true],
    [2, false],
  ] as const)("reads version %i, little-endian %s: x runs fastest in the file", (version, little) => {
    const { volume, spacing } = decodeNifti(nifti({ version, little, spacing: [1, 1.5, 3] }));
    expect(volume.shape).toEqual([2, 3, 4]);
    expect(spacing).toEqual([1, 1.5, 3]);
    for (let x = 0; x < 2; x++)
      for (let y = 0; y < 3; y++)
        for (let z = 0; z < 4; z++) expect(at(volume, x, y, z)).toBe(x + 2 * y + 6 * z);
  });

  it("scales by slope and intercept, but not by a slope of 0", () => {
    expect(at(decodeNifti(nifti({ slope: 2, intercept: -10 })).volume, 1, 0, 0)).toBe(-8);
    expect(at(decodeNifti(nifti({ slope: 0, intercept: -10 })).volume, 1, 0, 0)).toBe(1);
    expect(at(decodeNifti(nifti({ slope: Number.NaN, intercept: 5 })).volume, 1, 0, 0)).toBe(1);
  });

  it.each([
    [2, 1, (v: DataView, i: number) => v.setUint8(i, 250), 250],
    [8, 4, (v: DataView, i: number, e: boolean) => v.setInt32(i, -70_000, e), -70_000],
    [16, 4, (v: DataView, i: number, e: boolean) => v.setFloat32(i, 0.5, e), 0.5],
    [64, 8, (v: DataView, i: number, e: boolean) => v.setFloat64(i, -0.25, e), -0.25],
    [256, 1, (v: DataView, i: number) => v.setInt8(i, -3), -3],
    [512, 2, (v: DataView, i: number, e: boolean) => v.setUint16(i, 65_000, e), 65_000],
    [768, 4, (v: DataView, i: number, e: boolean) => v.setUint32(i, 4e9, e), 4e9],
    [1024, 8, (v: DataView, i: number, e: boolean) => v.setBigInt64(i, -5n, e), -5],
    [1280, 8, (v: DataView, i: number, e: boolean) => v.setBigUint64(i, 7n, e), 7],
  ] as const)("reads voxels of code %i", (code, size, write, value) => {
    for (const little of [true, false]) {
      const file = nifti({ code, little, sizes: [1, 1, 1], bytes: 352 + size, write });
      expect(decodeNifti(file).volume.data[0]).toBe(value);
    }
  });

  it("turns axes to right, front, up by the sform", () => {
    // First axis of the file: down; second: left; third: front.
    const sform = [
      [0, -2, 0, 9],
      [0, 0, 3, 9],
      [-1, 0, 0, 9],
    ];
    const { volume, spacing } = decodeNifti(nifti({ sform }));
    expect(volume.shape).toEqual([3, 4, 2]);
    expect(spacing).toEqual([2, 3, 1]);
    for (let i = 0; i < 2; i++)
      for (let j = 0; j < 3; j++)
        for (let k = 0; k < 4; k++) expect(at(volume, 2 - j, k, 1 - i)).toBe(i + 2 * j + 6 * k);
  });

  it("turns axes by the qform where there is no sform, mirrored where the header says so", () => {
    // Half a turn about the third axis: right and front run backwards.
    const turned = decodeNifti(nifti({ qform: [0, 0, 1] })).volume;
    expect(at(turned, 1, 2, 0)).toBe(0);
    expect(at(turned, 0, 0, 3)).toBe(1 + 2 * 2 + 6 * 3);
    const mirrored = decodeNifti(nifti({ qform: [0, 0, 0], handedness: -1 })).volume;
    expect(at(mirrored, 0, 0, 3)).toBe(0);
  });

  it("takes the nearest axes of an oblique scan, each once", () => {
    const sform = [
      [0.7, -0.72, 0, 0],
      [0.72, 0.7, 0, 0],
      [0, 0, 1, 0],
    ];
    const { volume } = decodeNifti(nifti({ sform }));
    expect([...toNumbers(volume)].sort((a, b) => a - b)).toEqual(Array.from({ length: 24 }, (_, i) => i));
  });

  it.each([
    ["not a NIfTI file", new Uint8Array(400), /does not begin with 348 or 540/],
    ["a short file", nifti().subarray(0, 100), /does not begin with/],
    ["a header alone", nifti().subarray(0, 350), /truncated within its header/],
    ["missing voxels", nifti().subarray(0, 390), /truncated: \[2, 3, 4\] of int16 lack 10 bytes/],
    ["a pair", nifti({ magic: "ni1" }), /header of a pair/],
    ["another magic", nifti({ magic: "abc" }), /magic "abc"/],
    ["an empty axis", nifti({ sizes: [2, 0, 4] }), /axes of \[2, 0, 4\]/],
    ["a negative axis", nifti({ sizes: [2, -3, 4], bytes: 352 }), /axes of \[2, -3, 4\]/],
    ["several volumes", nifti({ sizes: [2, 2, 2, 3] }), /more than one volume/],
    [
      "more voxels than the limit",
      nifti({ sizes: [30_000, 30_000, 30_000], bytes: 400 }),
      /claims 27000000000000 voxels/,
    ],
    ["colours", nifti({ code: 128 }), /type of code 128/],
    ["voxels within the header", nifti({ offset: 100, bytes: 500 }), /begin at byte 100/],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => decodeNifti(bytes)).toThrow(message);
    expect(() => decodeNifti(bytes)).toThrow(NiftiError);
  });

  it("never fails in another way on damaged headers", () => {
    for (let seed = 0; seed < 300; seed++) {
      const bytes = nifti({ version: seed % 2 === 0 ? 1 : 2 });
      for (let i = 0; i < 6; i++) {
        const place = foldIn(randomKey(seed), i);
        bytes[4 + ((place[0] >>> 0) % 530)] = (place[1] >>> 0) % 256;
      }
      try {
        expect(decodeNifti(bytes, { maxVoxels: 1e6 }).volume.data.length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(NiftiError);
      }
    }
  });
});

describe("prepareVolume", () => {
  const whole = { window: [0, 10], foreground: 0, spacing: null, size: [2, 2, 2] } as const;
  const ramp = ndarray([0, 10, 0, 10, 0, 10, 0, 10], { shape: [2, 2, 2] }) as NDArray<"float32">;

  it("scales a window to [0, 1], cuts off beyond it, and makes what is no number black", () => {
    const volume = ndarray([-5, 0, 5, 10, 20, Number.NaN, Infinity, -Infinity], { shape: [2, 2, 2] });
    const { data } = prepareVolume({ volume: volume as NDArray<"float32"> }, whole);
    expect([...data]).toEqual([0, 0, 0.5, 1, 1, 0, 1, 0]);
  });

  it("keeps the box of the foreground alone, all of it where there is none", () => {
    const data = new Float32Array(5 * 6 * 7);
    for (const [x, y, z] of [
      [1, 2, 3],
      [2, 4, 6],
    ] as const)
      data[(x * 6 + y) * 7 + z] = 8;
    const volume: NDArray<"float32"> = { dtype: "float32", shape: [5, 6, 7], data };
    const kept = prepareVolume({ volume }, { ...whole, foreground: 0.5, size: [2, 3, 4] });
    const corners = [0, 2 * 3 * 4 - 1].map((at) => kept.data[at]);
    expect(corners.map((value) => value?.toFixed(3))).toEqual(["0.800", "0.800"]);
    const none = prepareVolume({ volume }, { ...whole, foreground: 0.9, size: [5, 6, 7] });
    expect(none.data.filter((value) => value > 0)).toHaveLength(2);
  });

  it("brings voxels to a spacing: larger scans lose their border, smaller ones stand in the middle of nothing", () => {
    const along = prepareVolume(
      { volume: ramp, spacing: [1, 1, 2] },
      { ...whole, spacing: [1, 1, 1], size: [4, 1, 4] },
    );
    expect(along.shape).toEqual([4, 1, 4]);
    // Along the last axis 0 and 10 become 0, 2.5, 7.5, 10 of the window; along the first one voxel of 0 on each side.
    const row = [0, 0.25, 0.75, 1];
    expect([...along.data]).toEqual([0, 0, 0, 0, ...row, ...row, 0, 0, 0, 0]);
    // However odd the spacing that a file claims, no more is computed than what comes out.
    for (const spacing of [1e-30, 1e30]) {
      const odd = prepareVolume({ volume: ramp, spacing: [1, 1, spacing] }, { ...whole, spacing: [1, 1, 1] });
      expect(odd.shape).toEqual([2, 2, 2]);
    }
  });

  it("refuses scans without contrast", () => {
    const flat: NDArray<"float32"> = { dtype: "float32", shape: [2, 2, 2], data: new Float32Array(8) };
    expect(() => prepareVolume({ volume: flat }, { ...whole, window: null })).toThrow(/has no width/);
    flat.data.fill(Number.NaN);
    expect(() => prepareVolume({ volume: flat }, { ...whole, window: null })).toThrow(/finite value/);
  });
});

describe("readNifti", () => {
  it("reads plain and compressed files, told by their bytes", async () => {
    await writeFile(join(folder, "plain.nii"), nifti());
    await writeFile(join(folder, "packed.nii"), gzipSync(nifti()));
    const [plain, packed] = await Promise.all(
      ["plain.nii", "packed.nii"].map((name) => readNifti(join(folder, name))),
    );
    expect(packed).toEqual(plain);
  });

  it("names the file and the reason of a failure", async () => {
    await mkdir(join(folder, "folder.nii"));
    await writeFile(join(folder, "bomb.nii.gz"), gzipSync(new Uint8Array(2 ** 22)));
    await writeFile(join(folder, "broken.nii.gz"), gzipSync(nifti()).subarray(0, 60));
    await writeFile(join(folder, "large.nii"), "");
    await truncate(join(folder, "large.nii"), 2 ** 21);
    const read = (name: string) => readNifti(join(folder, name), { maxBytes: 2 ** 20 });
    await expect(read("absent.nii")).rejects.toThrow(/absent\.nii cannot be read: there is no such file/);
    await expect(read("folder.nii")).rejects.toThrow(/folder\.nii cannot be read: it is not a regular file/);
    await expect(read("bomb.nii.gz")).rejects.toThrow(/inflates to more than 1048576 bytes/);
    await expect(read("broken.nii.gz")).rejects.toThrow(/broken\.nii\.gz cannot be read: unexpected end/);
    await expect(read("large.nii")).rejects.toThrow(/has 2097152 bytes; at most 1048576 are read/);
  });

  it("agrees with what is known of a real scan", async (context) => {
    const path = new URL("ct-torso-3mm.nii.gz", scans);
    if (!existsSync(path)) return context.skip("no scans in ../shared/data/medical beside the repository");
    const { volume, spacing } = await readNifti(path.pathname);
    expect(volume.shape).toEqual([122, 101, 112]);
    spacing.forEach((size) => {
      expect(size).toBeCloseTo(3, 4);
    });
    const [low, high] = volume.data.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [1e9, -1e9]);
    expect(low).toBeGreaterThanOrEqual(-1024);
    expect(high).toBeLessThanOrEqual(3071);
    expect(high).toBeGreaterThan(300);
  });
});

describe("resizeVolume", () => {
  it("keeps what is linear, away from the border", () => {
    const shape = [6, 5, 4] as const;
    const ramp = ndarray(
      Array.from(
        { length: 120 },
        (_, i) => Math.floor(i / 20) + 10 * (Math.floor(i / 4) % 5) + 100 * (i % 4),
      ),
      { shape },
    );
    const half = resizeVolume(ramp, [12, 10, 8]);
    for (let x = 1; x < 11; x++)
      for (let y = 1; y < 9; y++)
        for (let z = 1; z < 7; z++)
          expect(at(half, x, y, z)).toBeCloseTo((x - 0.5) / 2 + 5 * (y - 0.5) + 50 * (z - 0.5), 3);
    expect(resizeVolume(ramp, [6, 5, 4])).toBe(ramp);
  });

  it("makes no new labels with nearest", () => {
    const labels: NDArray<"int32"> = {
      dtype: "int32",
      shape: [2, 2, 2],
      data: Int32Array.of(0, 5, 0, 9, 5, 5, 9, 9),
    };
    const large = resizeVolume(labels, [4, 4, 4], { mode: "nearest" });
    for (let x = 0; x < 4; x++)
      for (let y = 0; y < 4; y++)
        for (let z = 0; z < 4; z++) expect(at(large, x, y, z)).toBe(at(labels, x >> 1, y >> 1, z >> 1));
    expect(toNumbers(resizeVolume(large, [2, 2, 2], { mode: "nearest" }))).toEqual(toNumbers(labels));
  });

  it("refuses what is no volume or no size", () => {
    const flat: NDArray<"float32"> = { dtype: "float32", shape: [2, 2], data: new Float32Array(4) };
    expect(() => resizeVolume(flat, [2, 2, 2])).toThrow(/expected \[X, Y, Z\], got \[2, 2\]/);
    expect(() => resizeVolume({ ...flat, shape: [2, 2, 1] }, [2, 0, 1])).toThrow(
      /integers >= 1, got \[2, 0, 1\]/,
    );
  });
});

describe("bodyVolumes", () => {
  const world = bodyVolumes();
  const patients = Array.from({ length: 6 }, (_, i) => world.item(foldIn(randomKey(3), i)));

  it("gives the same patient for the same key, another one for another", () => {
    const again = world.item(foldIn(randomKey(3), 0));
    expect(again).toEqual(patients[0]);
    expect(patients[1]?.labels.data.join()).not.toBe(patients[0]?.labels.data.join());
  });

  it("shows every organ of every patient near its place", () => {
    for (const { volume, labels } of patients) {
      expect(volume.shape).toEqual([64, 64, 16]);
      expect(volume.data.every(Number.isFinite)).toBe(true);
      bodyOrgans.forEach(({ centre }, organ) => {
        let [count, x, y] = [0, 0, 0];
        labels.data.forEach((label, i) => {
          if (label !== organ + 1) return;
          count++;
          x += Math.floor(i / 1024) + 0.5;
          y += (Math.floor(i / 16) % 64) + 0.5;
        });
        expect(count).toBeGreaterThan(150);
        // Shift, warp and size of the body together move an organ by less than a base crop's half diagonal.
        const expected = [32 + centre[0] * 0.43 * 64, 32 + centre[1] * 0.38 * 64] as const;
        expect(Math.hypot(x / count - expected[0], y / count - expected[1])).toBeLessThan(11);
      });
    }
  });

  it("brightness does not tell the organs that look alike, and does tell the others", () => {
    const means = patients.map(({ volume, labels }) =>
      bodyOrgans.map((_, organ) => {
        const values = [...volume.data].filter((_value, i) => labels.data[i] === organ + 1);
        return values.reduce((sum, value) => sum + value, 0) / values.length;
      }),
    );
    const average = (organ: number): number =>
      means.reduce((sum, list) => sum + (list[organ] as number), 0) / means.length;
    const alike = Array.from({ length: ALIKE_ORGANS }, (_, organ) => average(organ));
    expect(Math.max(...alike) - Math.min(...alike)).toBeLessThan(0.12);
    expect(average(4) - Math.max(...alike)).toBeGreaterThan(0.12);
    expect(Math.min(...alike) - average(5)).toBeGreaterThan(0.2);
  });

  it("refuses shapes that hold no body", () => {
    expect(() => bodyVolumes({ shape: [64, 64, 4] })).toThrow(
      /three integers from 8 to 1024, got \[64, 64, 4\]/,
    );
  });
});
