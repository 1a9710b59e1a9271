import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { foldIn, RandomStream } from "@concord/tensor";
import { z } from "zod";
import { CLIP_FRAMES, parseVidalAnnotations, textsOfViews } from "./multi-view-text.ts";
import type { Row, RowRequest } from "./own-rows.ts";

/** A string in JavaScript holds not much more. */
const MAX_JSON_BYTES = 500 * 2 ** 20;

const clips = z.record(z.string(), z.unknown());
const msrVtt = z.object({ sentences: z.array(z.unknown()) });
const msrVttSentence = z.object({ video_id: z.string().min(1), caption: z.string() });
const didemoClip = z.object({ video: z.string().min(1), description: z.string() });
const activity = z.object({ sentences: z.array(z.string()) });

const FORMATS =
  "VIDAL-10M (clip ids to raw, mplug, polish_mplug, ofa), MSR-VTT (videos and sentences), DiDeMo (a list of video and description), ActivityNet Captions (clip ids to timestamps and sentences)";

/**
 * The rows of annotations in the formats that the paper's data sets are published in. Clips of the retrieval sets are
 * folders of frames that are named by the id.
 *
 * @throws Error when the file is too large, no JSON, of another format, or is not about this sensor
 */
export async function* jsonRows(request: RowRequest): AsyncGenerator<Row> {
  const { table, sensor, report } = request;
  const root = await readJson(table);
  if (isVidal(root)) {
    yield* vidalRows(request, root);
    return;
  }
  const records = recordsOf(root);
  if (!records.some((record) => clipAndCaption(record)[0] !== null))
    throw new Error(`${table}: expected one of ${FORMATS}.`);
  if (sensor !== "video")
    throw new Error(`${table} describes videos: give it as --video, not as --${sensor}.`);
  let line = 0;
  for (const record of records) {
    line++;
    const [path, caption] = clipAndCaption(record);
    if (path === null) report({ line, reason: caption, value: JSON.stringify(record).slice(0, 200) });
    else yield { path: path.replace(/\.(mp4|avi|mov|webm|mkv)$/i, ""), caption, line };
  }
}

/** Sentences of MSR-VTT, a list as DiDeMo has it, or ids with what they stand for. */
function recordsOf(root: unknown): readonly unknown[] {
  if (Array.isArray(root)) return root;
  return msrVtt.safeParse(root).data?.sentences ?? Object.entries(clips.safeParse(root).data ?? {});
}

/** A video and what is said of it, or null and what is wrong. */
function clipAndCaption(record: unknown): readonly [path: string, caption: string] | readonly [null, string] {
  const sentence = msrVttSentence.safeParse(record);
  if (sentence.success) return [sentence.data.video_id, sentence.data.caption];
  const described = didemoClip.safeParse(record);
  if (described.success) return [described.data.video, described.data.description];
  if (Array.isArray(record) && typeof record[0] === "string" && record[0] !== "") {
    // Whole paragraphs are what clips of ActivityNet are found by.
    const paragraph = activity.safeParse(record[1]);
    if (paragraph.success) return [record[0], paragraph.data.sentences.map((said) => said.trim()).join(" ")];
    return [null, "a clip without a list of sentences"];
  }
  return [null, "a record without video and text"];
}

async function readJson(path: string): Promise<unknown> {
  const info = await stat(path);
  if (info.size > MAX_JSON_BYTES)
    throw new Error(
      `${path}: ${info.size} bytes of JSON are more than ${MAX_JSON_BYTES}; part it into files.`,
    );
  const text = await readFile(path, "utf8");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is not valid JSON: ${(error as Error).message}`, { cause: error });
  }
}

const hasSome = (root: unknown, name: string): boolean =>
  typeof root === "object" &&
  root !== null &&
  !Array.isArray(root) &&
  Object.values(root).some((record) => typeof record === "object" && record !== null && name in record);
const isVidal = (root: unknown): boolean => hasSome(root, "mplug") || hasSome(root, "polish_mplug");

/** What the folder of a clip's frames starts with after the clip's id, and the frames' extension. */
const FRAME_FOLDERS = {
  image: ["_resize256", "jpg"],
  video: ["_resize256", "jpg"],
  depth: ["_depth", "png"],
  infrared: ["_thermal", "jpg"],
} as const;

/** Finds what lies beside each other in a folder, each folder listed once. */
function finder(root: string): (folder: string, start: string) => Promise<string | undefined> {
  const listed = new Map<string, Promise<string[]>>();
  return async (folder, start) => {
    for (const parent of new Set([folder, ""])) {
      const names = listed.get(parent) ?? readdir(join(root, parent)).catch((): string[] => []);
      listed.set(parent, names);
      const name = (await names).find((each) => each.startsWith(start));
      if (name !== undefined) return parent === "" ? name : `${parent}/${name}`;
    }
    return undefined;
  };
}

/** Whether a name of the annotations stays in its folder. */
const isPlain = (name: string): boolean => !/[\\\0]|(^|\/)\.\.(\/|$)|^\//.test(name);

function annotationsOf(table: string, json: unknown): ReturnType<typeof parseVidalAnnotations> {
  try {
    return parseVidalAnnotations(json);
  } catch (error) {
    throw new Error(`${table}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Clips of VIDAL-10M: every view of the texts once, with the frame that it speaks of where that sensor has frames, else
 * with one that is drawn. The same for all sensors, so that what belongs together is of one moment.
 */
async function* vidalRows(
  { table, root, pictureRoot, sensor, key, report }: RowRequest,
  json: unknown,
): AsyncGenerator<Row> {
  const info = await stat(root).catch(() => null);
  if (!info?.isDirectory())
    throw new Error(`${table}: VIDAL-10M is read from an unpacked folder, not from ${root}.`);
  const [find, findPicture] = [finder(root), finder(pictureRoot)];
  let line = 0;
  for (const [id, clip] of annotationsOf(table, json)) {
    line++;
    if (!isPlain(id) || !isPlain(clip.folder) || id.includes("/")) {
      report({ line, reason: "the id or folder of a clip leads outside", value: `${clip.folder}/${id}` });
      continue;
    }
    const start = sensor === "audio" ? `${id}.` : `${id}${FRAME_FOLDERS[sensor][0]}`;
    const found = await find(clip.folder, start);
    if (found === undefined) {
      report({
        line,
        reason: `no ${sensor === "audio" ? `${start}wav` : `folder ${start}*`} of the clip`,
        value: clip.folder,
      });
      continue;
    }
    const pictures =
      sensor === "image" ? undefined : await findPicture(clip.folder, `${id}${FRAME_FOLDERS.image[0]}`);
    const own = foldIn(key, line);
    const random = new RandomStream(foldIn(own, 1));
    for (const { text, frame } of textsOfViews(foldIn(own, 0), clip)) {
      const at = frame ?? random.integer(CLIP_FRAMES);
      const isWhole = sensor === "audio" || sensor === "video";
      yield {
        path: isWhole ? found : `${found}/${at}.${FRAME_FOLDERS[sensor][1]}`,
        caption: text,
        ...(pictures !== undefined && { picture: `${pictures}/${at}.${FRAME_FOLDERS.image[1]}` }),
        owner: id,
        group: id,
        line,
      };
    }
  }
}
