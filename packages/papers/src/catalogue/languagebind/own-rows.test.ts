import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { randomKey } from "@concord/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sensor } from "./defaults.ts";
import { framesIn, type Row, readRows } from "./own-rows.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "languagebind-rows-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Writes files, of which only the names matter unless they are given text. */
async function files(texts: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
}

async function rowsOf(
  name: string,
  sensor: Sensor | "image",
  options: { readonly root?: string; readonly labelColumn?: string } = {},
): Promise<{ readonly rows: Row[]; readonly problems: string[] }> {
  const problems: string[] = [];
  const root = join(folder, options.root ?? "");
  const rows = await readRows({
    table: join(folder, name),
    root,
    pictureRoot: root,
    sensor,
    labelColumn: options.labelColumn,
    key: randomKey(1),
    report: ({ line, reason, value }) => void problems.push(`${line}: ${reason}: ${value}`),
  });
  return { rows, problems };
}

describe("tables", () => {
  it("of Clotho have five captions of a sound, of AudioCaps an id of the file", async () => {
    await files({
      "clotho.csv": 'file_name,caption_1,caption_2,caption_3\n"Rain, far.wav",rain,it rains,\n',
      "audiocaps.csv": "audiocap_id,youtube_id,start_time,caption\n7,-0Gj8,30,A dog barks\n",
    });
    const clotho = await rowsOf("clotho.csv", "audio");
    expect(clotho.rows).toEqual([
      { path: "Rain, far.wav", caption: "rain", line: 2 },
      { path: "Rain, far.wav", caption: "it rains", line: 2 },
    ]);
    expect(clotho.problems).toEqual(["2: empty caption: "]);
    expect((await rowsOf("audiocaps.csv", "audio")).rows).toEqual([
      { path: "-0Gj8.wav", caption: "A dog barks", line: 2 },
    ]);
  });

  it("of MSR-VTT name clips and sentences; columns of ours come first", async () => {
    await files({
      "msrvtt.csv": "key,vid_key,video_id,sentence\nret0,msr7010,video7010,a cat plays\n",
      "ours.csv": "video,caption,kind,image\na.png|b.png,a cat,cat,a.png\n,lost,cat,\n",
    });
    expect((await rowsOf("msrvtt.csv", "video")).rows).toEqual([
      { path: "video7010", caption: "a cat plays", line: 2 },
    ]);
    const { rows, problems } = await rowsOf("ours.csv", "video", { labelColumn: "kind" });
    expect(rows).toEqual([
      { path: "a.png|b.png", caption: "a cat", picture: "a.png", label: "cat", line: 2 },
    ]);
    expect(problems).toEqual(["3: no path in the column video: "]);
    await expect(rowsOf("msrvtt.csv", "depth")).rejects.toThrow(/no column "depth"; there are "key"/);
    await files({ "mute.csv": "video,kind\na.png,cat\n" });
    await expect(rowsOf("mute.csv", "video")).rejects.toThrow(/no column "caption"; there are "video"/);
  });
});

describe("folders of classes", () => {
  it("name the class in the caption; stray files are told, hidden ones are not", async () => {
    await files({
      "nyu/val/living_room/b.png": "",
      "nyu/val/living_room/a.png": "",
      "nyu/val/living_room/notes.txt": "",
      "nyu/val/kitchen/c.png": "",
      "nyu/val/.DS_Store": "",
      "nyu/val/list.txt": "",
    });
    const { rows, problems } = await rowsOf("nyu/val", "depth");
    expect(rows.map(({ path, caption, label }) => [path, caption, label])).toEqual([
      ["kitchen/c.png", "a depth photo of kitchen", "kitchen"],
      ["living_room/a.png", "a depth photo of living room", "living room"],
      ["living_room/b.png", "a depth photo of living room", "living room"],
    ]);
    expect(problems).toEqual([
      "0: not a class folder: list.txt",
      "0: not a file of depth: living_room/notes.txt",
    ]);
    await expect(rowsOf("nyu/val/kitchen", "depth")).rejects.toThrow(
      /expected one folder for each class.*depth/,
    );
    await expect(rowsOf("nowhere", "depth")).rejects.toThrow(/no folder at .*nowhere/);
  });

  it("of videos hold clips as folders of frames, which come in the order of their numbers", async () => {
    await files({ "k400/run/clip_a/10.jpg": "", "k400/run/clip_a/9.jpg": "", "k400/run/clip_a/x.txt": "" });
    const { rows } = await rowsOf("k400", "video");
    expect(rows.map(({ path, label }) => [path, label])).toEqual([["run/clip_a", "run"]]);
    expect(await framesIn(join(folder, "k400"), "run/clip_a")).toEqual([
      "run/clip_a/9.jpg",
      "run/clip_a/10.jpg",
    ]);
  });
});

describe("annotations", () => {
  it("of MSR-VTT, DiDeMo and ActivityNet give clips and texts", async () => {
    await files({
      "msrvtt.json": JSON.stringify({
        videos: [{ video_id: "video0", split: "train" }],
        sentences: [{ caption: "a car", video_id: "video0", sen_id: 1 }, { sen_id: 2 }],
      }),
      "didemo.json": JSON.stringify([{ video: "12@N00_1.avi", description: "a boat", times: [[0, 0]] }]),
      "activity.json": JSON.stringify({
        v_uq: { duration: 9, timestamps: [], sentences: ["A man. ", " He runs."] },
      }),
      "other.json": JSON.stringify({ a: { b: 1 } }),
      "numbers.json": "[1, 2]",
      "broken.json": '{"a": ',
      "short.json": JSON.stringify({
        x: { folder: "a", raw: "", mplug: "", polish_mplug: "", ofa: ["one"] },
      }),
    });
    const msrvtt = await rowsOf("msrvtt.json", "video");
    expect(msrvtt.rows).toEqual([{ path: "video0", caption: "a car", line: 1 }]);
    expect(msrvtt.problems).toEqual(['2: a record without video and text: {"sen_id":2}']);
    expect((await rowsOf("didemo.json", "video")).rows).toEqual([
      { path: "12@N00_1", caption: "a boat", line: 1 },
    ]);
    expect((await rowsOf("activity.json", "video")).rows).toEqual([
      { path: "v_uq", caption: "A man. He runs.", line: 1 },
    ]);
    await expect(rowsOf("didemo.json", "audio")).rejects.toThrow(/as --video, not as --audio/);
    await expect(rowsOf("other.json", "video")).rejects.toThrow(/expected one of VIDAL-10M/);
    await expect(rowsOf("numbers.json", "audio")).rejects.toThrow(/expected one of VIDAL-10M/);
    await expect(rowsOf("short.json", "audio")).rejects.toThrow(/short\.json: .*clip "x", ofa: .*8/);
    await expect(rowsOf("broken.json", "video")).rejects.toThrow(/broken\.json is not valid JSON/);
  });

  it("of VIDAL-10M give every view once, the same moment of a clip to all sensors", async () => {
    const clip = (folderName: string) => ({
      folder: folderName,
      raw: "title #tag",
      mplug: "a dog",
      polish_mplug: "a brown dog runs",
      sound_mplug: "barking",
      ofa: Array.from({ length: 8 }, (_, i) => `frame ${i}`),
    });
    await files({
      "vidal.json": JSON.stringify({ one: clip("part0"), two: clip("part0"), far: clip("../..") }),
      "vidal/part0/one_depth_f8/0.png": "",
      "vidal/part0/one_thermal_f8/0.jpg": "",
      "vidal/part0/one_resize256_folder/0.jpg": "",
      "vidal/part0/one.wav": "",
    });
    const read = (sensor: Sensor | "image") => rowsOf("vidal.json", sensor, { root: "vidal" });
    const depth = await read("depth");
    expect(depth.problems).toEqual([
      "2: no folder two_depth* of the clip: part0",
      "3: the id or folder of a clip leads outside: ../../far",
    ]);
    expect(depth.rows.map(({ caption }) => caption.replace(/\d/, "n"))).toEqual([
      "a brown dog runs",
      "title #tag",
      "a dog",
      "barking",
      "frame n",
    ]);
    for (const { path, picture, owner, group } of depth.rows) {
      const [, frame] = /^part0\/one_depth_f8\/([0-7])\.png$/.exec(path) ?? [];
      expect(picture).toBe(`part0/one_resize256_folder/${frame}.jpg`);
      expect([owner, group]).toEqual(["one", "one"]);
    }
    // The caption of a frame goes with that frame.
    const last = depth.rows.at(-1);
    expect(last?.path.endsWith(`/${last.caption.at(-1)}.png`)).toBe(true);
    const frames = (rows: readonly Row[]) => rows.map(({ path }) => path.replace(/.*\/(\d)\..*/, "$1"));
    const [infrared, image] = [await read("infrared"), await read("image")];
    expect(frames(infrared.rows)).toEqual(frames(depth.rows));
    expect(image.rows.map(({ path }) => path)).toEqual(depth.rows.map(({ picture }) => picture));
    expect(image.rows[0]?.picture).toBeUndefined();
    expect((await read("video")).rows[0]?.path).toBe("part0/one_resize256_folder");
    expect((await read("audio")).rows[0]?.path).toBe("part0/one.wav");
    await expect(rowsOf("vidal.json", "depth", { root: "vidal.json" })).rejects.toThrow(/unpacked folder/);
  });
});
