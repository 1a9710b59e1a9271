// A folder of pictures, searched by text: two encoders of one model, whose vectors can be compared, as CLIP has them.
//
//   node --conditions=source examples/photo-search.ts
//   node --conditions=source examples/photo-search.ts PHOTOS CLIP "a dog on the beach" "two red bicycles"
//
// CLIP is a folder with onnx/vision_model.onnx and onnx/text_model.onnx beside config.json, tokenizer.json and
// preprocessor_config.json, as on Hugging Face's hub in Xenova/clip-vit-base-patch32. Without arguments, pictures are
// drawn and small encoders trained on others of their kind, so that the example needs no download.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { randomKey } from "@concord/tensor";
import { createSearch, embed, embedInputs, openEncoder } from "@concord/toolkit";
import sharp from "sharp";
import { trainTinyClip, world, writeTinyClip } from "./support/tiny-clip.ts";

const work = await mkdtemp(join(tmpdir(), "photo-search-"));
const [photos = join(work, "photos"), model = join(work, "clip"), ...queries] = process.argv.slice(2);

if (process.argv.length <= 2) {
  const clip = await trainTinyClip();
  await writeTinyClip(model, clip);
  console.log(`trained two small encoders, loss ${clip.loss.toFixed(2)}`);
  await mkdir(photos);
  const drawn = world.split(randomKey(99), "photos", 150);
  for (let i = 0; i < drawn.count; i++) {
    const { image, caption } = drawn.item(i);
    const [, height = 0, width = 0] = image.shape;
    // [3, H, W] in [0, 1] to rows of RGB bytes.
    const bytes = Uint8Array.from({ length: 3 * height * width }, (_, at) =>
      Math.round(255 * (image.data[(at % 3) * height * width + Math.floor(at / 3)] as number)),
    );
    const picture = sharp(bytes, { raw: { width, height, channels: 3 } });
    await picture
      .resize(240)
      .png()
      .toFile(join(photos, `${caption.replaceAll(" ", "-")} ${i}.png`));
  }
  queries.push("green", "blue", "something yellow");
}

try {
  const vectors = join(work, "photos.parquet");
  await using images = await openEncoder(model, { modality: "image" });
  const summary = await embed({
    encoder: images,
    inputs: embedInputs([photos], { modality: "image" }),
    out: vectors,
    onProblem: ({ place, reason }) => console.warn(`skipped ${place}: ${reason}`),
  });
  console.log(`embedded ${summary.rows} pictures into vectors of ${summary.width}`);

  await using texts = await openEncoder(model, { modality: "text" });
  await using search = await createSearch(vectors);
  for (const text of queries) {
    const [hits = []] = await search.search(await texts.encode([{ text }]), { k: 3 });
    console.log(`\n${text}`);
    for (const { score, fields } of hits)
      console.log(`  ${score.toFixed(3)} ${basename(String(fields.path))}`);
  }
} finally {
  await rm(work, { recursive: true });
}
