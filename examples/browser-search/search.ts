// Runs in a Web Worker, so that the page stays responsive: loads an exported text encoder and the vectors of pictures,
// and searches them, all in the page.
import { createExactIndex, type ExactIndex } from "@concord/align";
import { type OnnxSession, openOnnx, openRuntime, setDefaultRuntime } from "@concord/tensor";

/** What the page needs to know of words and pictures. */
export interface Library {
  /** Ids of words; words that are not among them are unknown. */
  readonly vocabulary: Readonly<Record<string, number>>;
  readonly unknown: number;
  readonly pictures: readonly { readonly file: string; readonly caption: string }[];
  /** D */
  readonly width: number;
}

export type News =
  | { readonly kind: "ready"; readonly runtime: string; readonly pictures: Library["pictures"] }
  | {
      readonly kind: "found";
      readonly query: string;
      readonly unknown: readonly string[];
      readonly hits: readonly { readonly index: number; readonly score: number }[];
      readonly milliseconds: number;
    }
  | { readonly kind: "failed"; readonly message: string };

const HITS = 12;
const scope = globalThis as unknown as {
  onmessage: ((event: { readonly data: string }) => void) | null;
  postMessage(news: News): void;
};
const here = new URL("./", import.meta.url).href;

async function load<R>(name: string, read: (response: Response) => Promise<R>): Promise<R> {
  const response = await fetch(here + name);
  if (!response.ok) throw new Error(`${name} cannot be loaded: ${response.status} ${response.statusText}`);
  return read(response);
}

interface Searcher {
  readonly encoder: OnnxSession;
  readonly index: ExactIndex;
  readonly library: Library;
}

async function start(): Promise<Searcher> {
  // ONNX Runtime's files lie beside this script.
  const runtime = await openRuntime({ device: "cpu", assets: here });
  setDefaultRuntime(runtime);
  const [library, model, vectors] = await Promise.all([
    load("library.json", (response) => response.json() as Promise<Library>),
    load("text_model.onnx", (response) => response.arrayBuffer()),
    load("pictures.f32", (response) => response.arrayBuffer()),
  ]);
  const encoder = await openOnnx(new Uint8Array(model), { runtime });
  const data = new Float32Array(vectors);
  const index = createExactIndex({
    dtype: "float32",
    shape: [data.length / library.width, library.width],
    data,
  });
  scope.postMessage({ kind: "ready", runtime: runtime.description, pictures: library.pictures });
  return { encoder, index, library };
}

async function find({ encoder, index, library }: Searcher, query: string): Promise<News> {
  const began = performance.now();
  const words = query.toLowerCase().match(/\p{L}+/gu) ?? [];
  const known = words.filter((word) => Object.hasOwn(library.vocabulary, word));
  const unknown = words.filter((word) => !known.includes(word));
  const ids =
    known.length === 0 ? [library.unknown] : known.map((word) => library.vocabulary[word] as number);
  const shape = [1, ids.length];
  const { text_embeds } = await encoder.run({
    input_ids: { dtype: "int32", shape, data: Int32Array.from(ids) },
    attention_mask: { dtype: "int32", shape, data: new Int32Array(ids.length).fill(1) },
  });
  const values = text_embeds?.data;
  if (!(values instanceof Float32Array)) throw new Error("The model gave no text_embeds.");
  const { indices, scores } = await index.search(
    { dtype: "float32", shape: [values.length], data: values },
    { k: HITS },
  );
  const hits = Array.from(indices, (at, place) => ({ index: at, score: scores[place] as number }));
  return { kind: "found", query, unknown, hits, milliseconds: performance.now() - began };
}

const ready = start();
let last: Promise<unknown> = ready;
const fail = (error: unknown): void =>
  scope.postMessage({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
ready.catch(fail);
scope.onmessage = ({ data: query }) => {
  last = last
    .then(async () => scope.postMessage(await find(await ready, query)))
    .catch((error: unknown) => fail(error));
};
