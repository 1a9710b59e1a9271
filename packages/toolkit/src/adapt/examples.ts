import type { ExportedTower } from "./export.ts";

export type ExampleItem = string | readonly number[] | { readonly file: string };

/** Items of each tower: row i of one belongs to row i of the others. */
export interface ExampleData {
  readonly towers: readonly (ExportedTower & { readonly items: readonly ExampleItem[] })[];
  /** Binary codes are compared bit by bit. */
  readonly bits: number | null;
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

function itemsOf(items: readonly ExampleItem[], wrap: "mjs" | "py"): string {
  const lines = items.map((item) => {
    if (typeof item === "string")
      return wrap === "mjs" ? `{ text: ${JSON.stringify(item)} }` : JSON.stringify(item);
    if ("file" in item)
      return wrap === "mjs"
        ? `{ path: here(${JSON.stringify(item.file)}) }`
        : `here / ${JSON.stringify(item.file)}`;
    return JSON.stringify(item);
  });
  return `[\n${lines.map((line) => `  ${line},`).join("\n")}\n]`;
}

const heading =
  "How alike a few held-out items are by the adapted encoders: row i of one side belongs to column i of the other.";

/** `example.mjs`: loads the models and prints similarities. */
export function nodeExample({ towers, bits }: ExampleData): string {
  const encoders = towers.some(({ modality }) => modality !== "vector");
  const load = towers.map((tower) => {
    const name = `towers[${JSON.stringify(tower.tower)}]`;
    if (tower.modality === "vector") {
      return `{
  const session = await ort.InferenceSession.create(here(${JSON.stringify(tower.file)}));
  const rows = data[${JSON.stringify(tower.tower)}];
  const input = new ort.Tensor("float32", Float32Array.from(rows.flat()), [rows.length, rows[0].length]);
  const { ${tower.output}: output } = await session.run({ ${tower.inputs[0]}: input });
  ${name} = rows.map((_, i) => output.data.slice(i * ${tower.width}, (i + 1) * ${tower.width}));
}`;
    }
    return `{
  const encoder = await openEncoder(here(${JSON.stringify(tower.folder ?? tower.file)}), { modality: ${JSON.stringify(tower.modality)} });
  const items = ${itemsOf(tower.items, "mjs").replaceAll("\n", "\n  ")};
  const { values, width } = await encoder.encode(items);
  ${name} = items.map((_, i) => values.slice(i * width, (i + 1) * width));
  await encoder.close();
}`;
  });
  const vectors = towers.some(({ modality }) => modality === "vector");
  return `// ${heading}
// Run: node example.mjs (needs ${encoders ? "@concord/toolkit" : "onnxruntime-node"})
${vectors ? 'import { readFileSync } from "node:fs";\n' : ""}import { fileURLToPath } from "node:url";
${encoders ? 'import { openEncoder } from "@concord/toolkit";\n' : ""}${vectors ? 'import * as ort from "onnxruntime-node";\n' : ""}
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
${vectors ? 'const data = JSON.parse(readFileSync(here("example.json"), "utf8"));\n' : ""}const towers = {};
${load.join("\n")}

function similarity(a, b) {
${
  bits === null
    ? `  let [dot, aa, bb] = [0, 0, 0];
  for (let k = 0; k < a.length; k++) {
    dot += a[k] * b[k];
    aa += a[k] * a[k];
    bb += b[k] * b[k];
  }
  return dot / Math.sqrt(aa * bb);`
    : `  // Codes are +1 and -1: the share of bits that agree.
  let same = 0;
  for (let k = 0; k < a.length; k++) same += a[k] > 0 === b[k] > 0;
  return same / a.length;`
}
}

const names = Object.keys(towers);
const [left, right] = [towers[names[0]], towers[names.at(-1)]];
console.log(\`\${names[0]} (rows) against \${names.at(-1)} (columns)\`);
for (const a of left) console.log(right.map((b) => similarity(a, b).toFixed(3).padStart(7)).join(" "));
`;
}

/** What the toolkit does with scans, as Python. */
const PYTHON_SCAN = `def voxels(path, size, window="auto", foreground=0, spacing=None, image_mean=0, image_std=1, **_):
    """A scan as the model takes it: axes to the right, front and up, a window of values to [0, 1], one size."""
    if spacing is not None:
        raise NotImplementedError("scans of one spacing are cut and filled up by @concord/toolkit")
    scan = nibabel.as_closest_canonical(nibabel.load(path)).get_fdata(dtype=np.float32)
    known = scan[np.isfinite(scan)]
    low, high = np.percentile(known, [0.5, 99.5], method="lower") if window in (None, "auto") else window
    scan = np.clip((np.nan_to_num(scan, nan=low) - low) / (high - low), 0, 1)
    if foreground > 0 and (scan > foreground).any():
        scan = scan[tuple(slice(at.min(), at.max() + 1) for at in np.nonzero(scan > foreground))]
    size = [size["width"], size["height"], size["depth"]] if isinstance(size, dict) else size
    factors = [to / side for to, side in zip(size, scan.shape)]
    scan = ndimage.zoom(scan, factors, order=1, mode="nearest", grid_mode=True)
    return ((scan - image_mean) / image_std).astype(np.float32)[None]
`;

/** `example.py`: the same with onnxruntime and numpy, tokenizers for texts, nibabel for scans, and transformers for pictures and sound. */
export function pythonExample({ towers, bits }: ExampleData): string {
  const kinds = new Set(towers.map(({ modality }) => modality));
  const imports = [
    kinds.has("vector") || kinds.has("volume") ? "import json" : null,
    "from pathlib import Path",
    "",
    kinds.has("volume") ? "import nibabel" : null,
    "import numpy as np",
    "import onnxruntime as ort",
    kinds.has("image") ? "from PIL import Image" : null,
    kinds.has("volume") ? "from scipy import ndimage" : null,
    kinds.has("text") ? "from tokenizers import Tokenizer" : null,
    kinds.has("image") ? "from transformers import AutoImageProcessor" : null,
    kinds.has("audio") ? "import soundfile\nfrom transformers import AutoFeatureExtractor" : null,
  ].filter((line) => line !== null);
  const load = towers.map((tower) => {
    const folder = `here / ${JSON.stringify(tower.folder ?? ".")}`;
    const items = itemsOf(tower.items, "py");
    const prepare = {
      vector: `feeds = {${JSON.stringify(tower.inputs[0])}: np.asarray(data[${JSON.stringify(tower.tower)}], dtype=np.float32)}`,
      text: `items = ${items}
tokenizer = Tokenizer.from_file(str(${folder} / "tokenizer.json"))
tokenizer.enable_padding()
encodings = tokenizer.encode_batch(items)
feeds = {
    "input_ids": np.asarray([e.ids for e in encodings], dtype=np.int64),
    "attention_mask": np.asarray([e.attention_mask for e in encodings], dtype=np.int64),
    "token_type_ids": np.asarray([e.type_ids for e in encodings], dtype=np.int64),
}`,
      image: `items = ${items}\nfeeds = dict(AutoImageProcessor.from_pretrained(${folder})([Image.open(item).convert("RGB") for item in items], return_tensors="np"))`,
      volume: `session_size = session.get_inputs()[0].shape[2:]
config = ${folder} / "preprocessor_config.json"
settings = {"size": session_size, **(json.loads(config.read_text()) if config.exists() else {})}
feeds = {session.get_inputs()[0].name: np.stack([voxels(item, **settings) for item in ${items}])}`,
      audio: `items = ${items}\nextractor = AutoFeatureExtractor.from_pretrained(${folder})\nsounds = [soundfile.read(item)[0] for item in items]\nfeeds = dict(extractor(sounds, sampling_rate=extractor.sampling_rate, return_tensors="np"))`,
    }[tower.modality];
    return `session = ort.InferenceSession(str(here / ${JSON.stringify(tower.file)}))
${prepare}
wanted = {node.name: node.type for node in session.get_inputs()}
feeds = {name: value.astype(np.int64) if "int64" in wanted[name] else value for name, value in feeds.items() if name in wanted}
towers[${JSON.stringify(tower.tower)}] = session.run([${JSON.stringify(tower.output)}], feeds)[0]
`;
  });
  const compare =
    bits === null
      ? `left = left / np.linalg.norm(left, axis=1, keepdims=True)
right = right / np.linalg.norm(right, axis=1, keepdims=True)
print(np.round(left @ right.T, 3))`
      : "print(np.round(((left @ right.T) / left.shape[1] + 1) / 2, 3))  # codes are +1 and -1: the share of bits that agree";
  return `# ${heading}
# Run: python example.py
${imports.join("\n")}

here = Path(__file__).parent
${kinds.has("volume") ? `\n\n${PYTHON_SCAN}\n` : ""}${kinds.has("vector") ? 'data = json.loads((here / "example.json").read_text())\n' : ""}towers = {}

${load.join("\n")}
names = list(towers)
left, right = towers[names[0]], towers[names[-1]]
print(f"{names[0]} (rows) against {names[-1]} (columns)")
${compare}
`;
}

/** Vectors of the example, which are too long for its text; null when there are none. */
export function exampleVectors({ towers }: ExampleData): string | null {
  const vectors = towers.filter(({ modality }) => modality === "vector");
  return vectors.length === 0
    ? null
    : `${json(Object.fromEntries(vectors.map(({ tower, items }) => [tower, items])))}\n`;
}
