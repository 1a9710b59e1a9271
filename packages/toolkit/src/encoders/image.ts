import { availableParallelism } from "node:os";
import { siblingModule, WorkerPool } from "@concord/data";
import type { NDArray } from "@concord/tensor";
import type { EncoderItem, ItemProblem } from "./encoder.ts";
import { feedType, fillFeed } from "./feeds.ts";
import type { PixelsReply, PixelsRequest } from "./image-pixels.ts";
import { type ImageSettings, imageSettingsAt, readImageSettings } from "./image-settings.ts";
import type { ModelFolder } from "./model-folder.ts";
import type { Preparer } from "./preparer.ts";
import type { ModelInput } from "./signature.ts";

type Pixels = Extract<PixelsReply, { ok: true }>;

const BATCH = 16;
const MAX_WORKERS = 8;
/** Pictures that a thread is handed at a time: it goes on while a step of a training blocks the calling thread. */
const DEPTH = 2 * BATCH;
/** A grey pixel as a PNG file. */
const GREY = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==",
  "base64",
);

/** Pictures to pixels, in threads of their own. */
export async function imagePreparer(
  folder: ModelFolder,
  inputs: readonly ModelInput[],
  options: { readonly workers?: number | undefined },
): Promise<Preparer<Pixels>> {
  const input = inputs.find(({ role }) => role === "pixels") as ModelInput;
  const settings = readImageSettings(await folder.config("preprocessor_config.json"), input, folder.name);
  const size = options.workers ?? Math.min(MAX_WORKERS, availableParallelism());
  const pool = new WorkerPool<PixelsRequest, PixelsReply>(siblingModule(import.meta.url, "./image-worker"), {
    size,
    depth: DEPTH,
  });
  const request = (item: EncoderItem, wanted: ImageSettings): Promise<PixelsReply> => {
    if ("path" in item) return pool.run({ source: item.path, settings: wanted });
    if ("bytes" in item) return pool.run({ source: item.bytes, settings: wanted });
    return Promise.resolve({ ok: false, reason: "expected a picture: a file's path or its bytes" });
  };
  return {
    settings,
    sample: { bytes: GREY },
    batch: BATCH,
    budget: Number.POSITIVE_INFINITY,
    window: 2 * BATCH,
    async prepare(items, signal, size) {
      const wanted = size ? imageSettingsAt(settings, size) : settings;
      const ready: (readonly [number, Pixels])[] = [];
      const problems: ItemProblem[] = [];
      const replies = await Promise.all(
        items.map(async (item) => {
          signal?.throwIfAborted();
          return request(item, wanted);
        }),
      );
      for (const [index, reply] of replies.entries()) {
        if (reply.ok) ready.push([index, reply]);
        else problems.push({ index, reason: reply.reason });
      }
      return { ready, problems };
    },
    sizeOf: () => 1,
    together: () => true,
    collate(rows) {
      const { width, height, values: first } = rows[0] as Pixels;
      const shape = [rows.length, settings.channels, height, width];
      const data = new Float32Array(rows.length * first.length);
      for (const [row, { values }] of rows.entries()) data.set(values, row * first.length);
      const feeds = inputs.map((each): readonly [string, NDArray] => [
        each.name,
        each.role === "pixels"
          ? feedType(each) === "float64"
            ? { dtype: "float64", shape, data: Float64Array.from(data) }
            : { dtype: "float32", shape, data }
          : fillFeed(each, [rows.length, height, width], () => 1),
      ]);
      return { feeds: Object.fromEntries(feeds) };
    },
    close: () => pool.close(),
  };
}
