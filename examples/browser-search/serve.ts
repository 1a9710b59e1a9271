// Trains two small encoders, embeds pictures, and serves the page that searches them.
// Run it: `node --conditions=source examples/browser-search/serve.ts`
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomKey } from "@concord/tensor";
import { openEncoder } from "@concord/toolkit";
import sharp from "sharp";
import { bundle, type Files, readOrtFiles, serve } from "../browser-training/serve.ts";
import { trainTinyClip, world, writeTinyClip } from "../support/tiny-clip.ts";
import type { Library } from "./search.ts";

const here = import.meta.dirname;
const PICTURES = 120;

/** Pictures as PNG files, with their captions. */
async function drawPictures(): Promise<readonly { readonly png: Uint8Array; readonly caption: string }[]> {
  const split = world.split(randomKey(99), "gallery", PICTURES);
  return Promise.all(
    Array.from({ length: PICTURES }, async (_, i) => {
      const { image, caption } = split.item(i);
      const [, height = 0, width = 0] = image.shape;
      const bytes = Uint8Array.from({ length: 3 * height * width }, (_, at) =>
        Math.round(255 * (image.data[(at % 3) * height * width + Math.floor(at / 3)] as number)),
      );
      return {
        png: await sharp(bytes, { raw: { width, height, channels: 3 } })
          .png()
          .toBuffer(),
        caption,
      };
    }),
  );
}

/** The files of the example's page: its code, the text encoder, the vectors of the pictures, the pictures. */
export async function exampleFiles(): Promise<Files> {
  const folder = await mkdtemp(join(tmpdir(), "browser-search-"));
  try {
    const [clip, pictures] = await Promise.all([trainTinyClip(), drawPictures()]);
    await writeTinyClip(folder, clip);
    await using images = await openEncoder(folder, { modality: "image" });
    const { values, width } = await images.encode(pictures.map(({ png }) => ({ bytes: png })));
    const { vocab } = (clip.tokenizer.json as { readonly model: { readonly vocab: Record<string, number> } })
      .model;
    const library: Library = {
      vocabulary: vocab,
      unknown: clip.tokenizer.tokenId("[UNK]") as number,
      pictures: pictures.map(({ caption }, i) => ({ file: `pictures/${i}.png`, caption })),
      width,
    };
    const text = (content: string): Uint8Array => new TextEncoder().encode(content);
    const page = await Promise.all(
      ["index.html", "style.css"].map(async (name) => [name, await readFile(join(here, name))] as const),
    );
    const scripts = await bundle({ page: join(here, "page.ts"), search: join(here, "search.ts") });
    return new Map<string, Uint8Array>([
      ...page,
      ...[...scripts].map(([name, content]) => [name.split("/").at(-1) as string, content] as const),
      ...(await readOrtFiles()),
      ["library.json", text(JSON.stringify(library))],
      ["text_model.onnx", clip.text],
      ["pictures.f32", new Uint8Array(values.buffer, values.byteOffset, values.byteLength)],
      ...pictures.map(({ png }, i) => [`pictures/${i}.png`, png] as const),
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (import.meta.main) {
  console.log("Training two small encoders …");
  const { url } = await serve(await exampleFiles(), { port: 4201 });
  console.log(`A page that searches: ${url}`);
}
