import { clipStatistics, standardise, toFloatImages } from "@concord/data";
import { compile, l2Normalize, type NDArray, type Tensor, type Traced } from "@concord/tensor";
import type { ArmResult, UnitContext } from "../../harness/contract.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import type { DualEncoderParams, FrozenParams } from "./encoders.ts";
import { bitStatistics, figuresOf } from "./figures.ts";
import type { Latest } from "./latest.ts";
import { averagePrecision, forEachRanking } from "./mean-average-precision.ts";
import { PROTOCOLS, type Protocol } from "./metrics.ts";
import type { ArmModel, ArmParams, Encoded, TextInputs } from "./model.ts";
import { labelsOf, missingText, type Task, takeRows } from "./task.ts";

/** Items encoded at a time. */
const CHUNK = 250;
const PERCENT = 100;
/** Points a modality on the embedding map. */
const MAP_POINTS = 200;
/** Length of the codes whose bits are looked at one by one. */
const EXAMINED_BITS = "64";
const RADIUS = 2;

type Rows = NDArray<"float32">;
/** Codes by number of bits, [N, bits] each. */
export type Codes = Readonly<Record<string, Rows>>;

/** Codes and unit features of all items under one protocol. */
export interface ProtocolCodes {
  readonly image: Codes;
  readonly text: Codes;
}

export interface EvaluationRequest {
  readonly model: ArmModel;
  readonly params: ArmParams;
  readonly start: DualEncoderParams;
  readonly task: Task;
  /** The compiled evaluation of the arm before, which serves this one if their models have the same parts. */
  readonly encoders: Latest<Encoder>;
}

/** What a compiled chunk gives: codes of the protocols that differ, and features of each item alone. */
interface Chunk<T> {
  readonly codes: Readonly<
    Partial<Record<Protocol, { readonly image: Record<string, T>; readonly text: Record<string, T> }>>
  >;
  readonly image: T;
  readonly text: T;
}

/** The compiled evaluation of models of the same parts. */
export type Encoder = ReturnType<typeof itemEncoder>;

function itemEncoder(model: ArmModel) {
  const { protocols } = model;
  return compile(
    (
      trained: Traced<ArmParams>,
      frozen: Traced<FrozenParams>,
      images: Tensor,
      texts: Omit<TextInputs, "prompts">,
      labelPrompts: Tensor,
      prompt: Tensor,
    ): Chunk<Tensor> => {
      const encode = (prompts: Tensor): Encoded =>
        model.encode(trained, frozen, images, { ...texts, prompts });
      const free = encode(prompt);
      const alone = model.unimodal(trained, free);
      const ways = {
        p1: () => model.paired(trained, encode(labelPrompts)),
        p2: () => model.paired(trained, free),
        p3: () => alone,
      };
      const codes = Object.fromEntries(
        [...new Set(Object.values(protocols))].map((protocol) => {
          const { image, text } = ways[protocol]();
          return [protocol, { image: model.codes(trained, image), text: model.codes(trained, text) }];
        }),
      ) as Chunk<Tensor>["codes"];
      return { codes, image: l2Normalize(alone.image), text: l2Normalize(alone.text) };
    },
    { name: "codes" },
  );
}

/** Encodes all items under the three protocols; those that differ in nothing share their codes. */
async function encodeItems(
  context: UnitContext<unknown>,
  { model, params, start, task, encoders }: EvaluationRequest,
): Promise<{ readonly codes: Record<Protocol, ProtocolCodes>; readonly image: Rows; readonly text: Rows }> {
  const { protocols } = model;
  const run = await encoders.get(model.parts.evaluation, () => itemEncoder(model));
  const { set } = task.items;
  const chunks: Chunk<NDArray>[] = [];
  const size = Math.min(CHUNK, set.count);
  for (let first = 0; first < set.count; first += size) {
    context.signal.throwIfAborted();
    context.progress({ phase: "evaluation", step: first, steps: set.count });
    // The last chunk is filled up with its last item, so that one graph serves all.
    const rows = Array.from({ length: size }, (_, i) => Math.min(first + i, set.count - 1));
    const images = standardise(toFloatImages(await set.pixels(rows)), clipStatistics);
    const texts = {
      tokens: takeRows(task.texts.ids, rows),
      ends: takeRows(task.texts.ends, rows),
      ...missingText(task),
    };
    const labelPrompts = takeRows(task.labelPrompts, rows);
    chunks.push(await run(params, start.frozen, images, texts as never, labelPrompts, task.prompt));
  }
  const join = (pick: (chunk: Chunk<NDArray>) => NDArray): Rows => joinRows(chunks.map(pick), set.count);
  const lengths = Object.keys(params.hash.heads);
  const all = (protocol: Protocol, modality: "image" | "text"): Codes =>
    Object.fromEntries(
      lengths.map((bits) => [bits, join(({ codes }) => codes[protocol]?.[modality][bits] as NDArray)]),
    );
  const distinct = new Map(
    [...new Set(Object.values(protocols))].map((protocol) => [
      protocol,
      { image: all(protocol, "image"), text: all(protocol, "text") },
    ]),
  );
  const codes = Object.fromEntries(
    (Object.keys(PROTOCOLS) as Protocol[]).map((protocol) => [protocol, distinct.get(protocols[protocol])]),
  ) as Record<Protocol, ProtocolCodes>;
  return { codes, image: join(({ image }) => image), text: join(({ text }) => text) };
}

function joinRows(parts: readonly NDArray[], count: number): Rows {
  const width = parts[0]?.shape[1] as number;
  const data = new Float32Array(count * width);
  let filled = 0;
  for (const part of parts) {
    const rows = Math.min(part.shape[0] as number, count - filled);
    data.set((part.data as Float32Array).subarray(0, rows * width), filled * width);
    filled += rows;
  }
  return { dtype: "float32", shape: [count, width], data };
}

/** One direction of search with codes of one length. */
export interface Search {
  /** In [0, 1]. */
  readonly meanAveragePrecision: number;
  /** Mean over queries of the precision within Hamming distance 2. */
  readonly precisionNear: number;
  /** Of all queries together, by radius 0, 1, …: items found, relevant ones among them. */
  readonly found: readonly { readonly items: number; readonly relevant: number }[];
  /** Relevant pairs in all. */
  readonly relevant: number;
}

function search(task: Task, queryCodes: Rows, databaseCodes: Rows): Search {
  const { labels } = task.items;
  const [queries, database] = [rangeOf(0, task.queries), rangeOf(task.queries, task.items.set.count)];
  const bits = queryCodes.shape[1] as number;
  const found = Array.from({ length: bits + 1 }, () => ({ items: 0, relevant: 0 }));
  let [sum, near, relevant] = [0, 0, 0];
  forEachRanking(
    takeRows(queryCodes, queries),
    takeRows(databaseCodes, database),
    takeRows(labels, queries),
    takeRows(labels, database),
    (_, ranking) => {
      sum += averagePrecision(ranking);
      let [items, hits] = [0, 0];
      ranking.counts.forEach((count, distance) => {
        items += count.items;
        hits += count.relevant;
        const total = found[distance] as { items: number; relevant: number };
        total.items += items;
        total.relevant += hits;
        if (distance === Math.min(RADIUS, bits)) near += items > 0 ? hits / items : 0;
      });
      relevant += hits;
    },
  );
  return {
    meanAveragePrecision: sum / queries.length,
    precisionNear: near / queries.length,
    found,
    relevant,
  };
}

function rangeOf(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

/** All metrics, figures and points of an arm. */
export async function evaluateArm(
  context: UnitContext<unknown>,
  request: EvaluationRequest,
): Promise<ArmResult> {
  const { bits } = PAPER_DEFAULTS;
  const { task } = request;
  const { codes, image, text } = await encodeItems(context, request);
  const searches = {} as Record<Protocol, Record<string, { readonly i2t: Search; readonly t2i: Search }>>;
  const metrics: Record<string, number> = {};
  for (const protocol of ["p3", "p2", "p1"] as const) {
    searches[protocol] = {};
    for (const length of bits.map(String)) {
      context.signal.throwIfAborted();
      const [images, texts] = [codes[protocol].image[length] as Rows, codes[protocol].text[length] as Rows];
      const known = searches[request.model.protocols[protocol]]?.[length];
      const both = known ?? { i2t: search(task, images, texts), t2i: search(task, texts, images) };
      searches[protocol][length] = both;
      const [i2t, t2i] = [both.i2t.meanAveragePrecision, both.t2i.meanAveragePrecision];
      metrics[`map-${protocol}-${length}`] = (PERCENT * (i2t + t2i)) / 2;
      if (protocol !== "p3") continue;
      metrics[`i2t-p3-${length}`] = PERCENT * i2t;
      metrics[`t2i-p3-${length}`] = PERCENT * t2i;
    }
  }
  const shortest = searches.p3[String(Math.min(...bits))] as { readonly i2t: Search; readonly t2i: Search };
  const database = rangeOf(task.queries, task.items.set.count);
  const examined = {
    image: takeRows(codes.p3.image[EXAMINED_BITS] as Rows, database),
    text: takeRows(codes.p3.text[EXAMINED_BITS] as Rows, database),
  };
  const statistics = bitStatistics(examined);
  const chance = shortest.i2t.relevant / (task.queries * database.length);
  const shown = rangeOf(0, Math.min(MAP_POINTS, task.queries));
  return {
    metrics: {
      ...metrics,
      "precision-r2": (PERCENT * (shortest.i2t.precisionNear + shortest.t2i.precisionNear)) / 2,
      imbalance: PERCENT * statistics.imbalance,
      "bit-correlation": statistics.correlation,
      quantisation: statistics.quantisation,
      chance: PERCENT * chance,
    },
    figures: await figuresOf({ task, searches, codes: codes.p3, chance }),
    embeddings: { image: takeRows(image, shown), text: takeRows(text, shown) },
    embeddingLabels: shown.map((i) => labelsOf(task.items, i).join(", ")),
  };
}
