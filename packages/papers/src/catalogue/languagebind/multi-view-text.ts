import { type Key, RandomStream } from "@concord/tensor";
import { z } from "zod";

/** Frames of a clip of VIDAL-10M that have captions of their own. */
export const CLIP_FRAMES = 8;
const MAX_TEXT = 100_000;

const text = z.string().max(MAX_TEXT);
const annotation = z.object({
  folder: text,
  raw: text,
  mplug: text,
  polish_mplug: text,
  sound_mplug: text.optional(),
  ofa: z.array(text).length(CLIP_FRAMES),
});

/** What is said of one clip: its title with hashtags, captions by models, one caption for each of 8 frames. */
export type ClipTexts = z.infer<typeof annotation>;

/** How a text is drawn: from all views, or always the polished caption, as the released LoRA models were trained. */
export type TextType = "mix" | "polish_mplug";

/** Views of `mix`, drawn alike: 0.2 each, which leaves 0.2 / 8 = 0.025 for each frame caption. */
const VIEWS = ["polish_mplug", "raw", "mplug", "sound_mplug", "ofa"] as const;

type View = (typeof VIEWS)[number];

export interface DrawnText {
  readonly text: string;
  /** The frame that the text speaks of; of depth and infrared that frame is used then. Null for whole clips. */
  readonly frame: number | null;
}

function textOf(clip: ClipTexts, view: View, random: RandomStream): DrawnText {
  const whole = (said: string | undefined): DrawnText => ({ text: said || clip.polish_mplug, frame: null });
  if (view !== "ofa") return whole(clip[view]);
  const frame = random.integer(CLIP_FRAMES);
  const said = clip.ofa[frame];
  return said ? { text: said, frame } : whole(undefined);
}

/**
 * Draws one of the texts of a clip: title, caption, polished caption, sound caption with 0.2 each, each frame caption
 * with 0.025. A view that is missing or empty gives way to the polished caption.
 *
 * @param key  another one at every visit
 * @source released code, data/base_datasets.py:34-35 and 159-190
 */
export function drawText(key: Key, clip: ClipTexts, type: TextType = "mix"): DrawnText {
  const random = new RandomStream(key);
  return textOf(clip, type === "mix" ? random.pick(VIEWS) : type, random);
}

/**
 * One text of every view of a clip, the polished caption first, and of one frame that is drawn: an epoch over them
 * meets each text as often as `drawText` draws it.
 */
export function textsOfViews(key: Key, clip: ClipTexts): DrawnText[] {
  const random = new RandomStream(key);
  return VIEWS.map((view) => textOf(clip, view, random));
}

/**
 * Annotations of VIDAL-10M: clip id to texts.
 *
 * @param json  content of an annotation file, an object of records with folder, raw, mplug, polish_mplug, ofa[8] and,
 *   where there is sound, sound_mplug
 * @throws Error that names the first clip which is not such a record, and what is wrong with it
 */
export function parseVidalAnnotations(json: unknown): ReadonlyMap<string, ClipTexts> {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new Error("VIDAL annotations: expected an object of clips by their ids.");
  return new Map(
    Object.entries(json).map(([id, record]): [string, ClipTexts] => {
      const parsed = annotation.safeParse(record);
      if (parsed.success) return [id, parsed.data];
      const [issue] = parsed.error.issues;
      throw new Error(
        `VIDAL annotations: clip ${JSON.stringify(id)}, ${issue?.path.join(".")}: ${issue?.message}`,
      );
    }),
  );
}
