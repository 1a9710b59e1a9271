import { join } from "node:path";
import { setImmediate as breathe } from "node:timers/promises";
import { sql } from "kysely";
import type { TextEncoder } from "../encoder/text-encoder.ts";
import type { PaperFilter } from "../store/ports.ts";
import { filterParts, isNarrowing } from "../store/sql/paper-filter.ts";
import { type ReadingPorts, readingPorts } from "../store/sqlite/reading.ts";
import { FUSION_DEPTH, type ScoredId } from "./fusion.ts";
import type { MeaningCalls, SearchSetup } from "./messages.ts";
import { tasteDirection } from "./taste.ts";
import { timed } from "./timed.ts";
import type { VectorShelf } from "./vector-shelf.ts";
import { authorsLike } from "./word-ranking.ts";

/** A search waits this long for changes of the store to be taken in; then it goes on with what is there. */
const CATCH_UP_MS = 15;

interface Generation {
  readonly shelf: VectorShelf;
  readonly encoder: TextEncoder;
}

/**
 * Ranks papers by meaning, in a thread of its own: vectors and encoder, kept in step with the store. One task at a time;
 * another version is made ready beside the one in use and takes its place between two tasks.
 */
export class MeaningRanker implements AsyncDisposable {
  readonly #setup: SearchSetup;
  readonly #ports: ReadingPorts;
  readonly #note: (level: "info" | "warn", text: string) => void;
  #generation: Generation | null = null;
  #replacing: Generation | null = null;
  #catchingUp: Promise<void> | null = null;
  #seen = -1;
  #refused = "";
  #busy = false;
  #closed = false;

  constructor(setup: SearchSetup, note: (level: "info" | "warn", text: string) => void) {
    this.#setup = setup;
    this.#note = note;
    this.#ports = readingPorts(setup.storePath);
  }

  /** Does some work with the version in use; null where there is none. */
  async #with<T>(patient: boolean, work: (generation: Generation) => Promise<T>): Promise<T | null> {
    const caughtUp = this.catchUp();
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CATCH_UP_MS);
    });
    // What changed is mostly a few papers; a whole new set of vectors is not waited for.
    await (patient ? caughtUp : Promise.race([caughtUp, patience]));
    clearTimeout(timer);
    await this.#useReplacement();
    if (this.#generation === null) return null;
    this.#busy = true;
    try {
      return await work(this.#generation);
    } finally {
      this.#busy = false;
    }
  }

  search({
    query,
    filter,
    authors,
  }: MeaningCalls["search"]["ask"]): Promise<MeaningCalls["search"]["reply"]> {
    return this.#with(false, async (generation) => {
      const [vector, encode] = await timed(() => generation.encoder.encode([query]));
      const [hits, meaning] = await timed(() => this.#nearest(generation, vector, filter, FUSION_DEPTH));
      const [names, spent] = await timed(() => authorsLike(this.#ports, query, authors));
      return { hits, authors: names, parts: { encode, meaning, authors: spent } };
    });
  }

  /** Papers by nearness, without those that are gone from the store. */
  async #nearest(
    { shelf }: Generation,
    vector: Float32Array,
    filter: PaperFilter,
    limit: number,
    without: ReadonlySet<string> = new Set(),
  ): Promise<ScoredId[]> {
    const allowed = await this.#allowed(filter);
    const found = await shelf.nearest(vector, Math.min(shelf.size, limit + without.size), allowed);
    const there = await this.#ports.existing(found.map(({ id }) => id));
    return found.filter(({ id }) => there.has(id) && !without.has(id)).slice(0, limit);
  }

  async #allowed(filter: PaperFilter): Promise<readonly string[] | null> {
    if (!isNarrowing(filter)) return null;
    const { from, where } = filterParts(filter);
    return this.#ports.gate.read(async (db) => {
      // In one value: a row for each of many papers takes three times as long.
      const { rows } = await sql<{ ids: string }>`
        select json_group_array(p.id) as ids from ${from} where ${where}`.execute(db);
      return JSON.parse(rows[0]?.ids ?? "[]") as string[];
    });
  }

  similar({ id, limit, filter }: MeaningCalls["similar"]["ask"]): Promise<readonly string[] | null> {
    return this.#with(false, async (generation) => {
      const { papers, vectors } = this.#ports;
      const paper = await papers.get(id);
      if (paper === null) return [];
      const own = (await vectors.get(generation.shelf.version, [paper.id])).get(paper.id);
      return own ? idsOf(await this.#nearest(generation, own, filter, limit, new Set([paper.id]))) : null;
    });
  }

  recommend({ like, unlike, filter }: MeaningCalls["recommend"]["ask"]): Promise<readonly string[] | null> {
    return this.#with(false, async (generation) => {
      const { shelf } = generation;
      const { papers, vectors } = this.#ports;
      const [liked, unliked] = [await papers.getMany(like), await papers.getMany(unlike)].map((list) =>
        list.map(({ id }) => id),
      ) as [string[], string[]];
      const known = new Set([...liked, ...unliked]);
      const rows = await vectors.get(shelf.version, [...known]);
      const positive = liked.flatMap((id) => rows.get(id) ?? []);
      if (positive.length === 0) return null;
      const negative = unliked.filter((id) => !liked.includes(id)).flatMap((id) => rows.get(id) ?? []);
      const all = [...positive, ...negative, ...shelf.sample];
      const matrix = new Float32Array(all.length * shelf.width);
      all.forEach((row, i) => {
        matrix.set(row, i * shelf.width);
      });
      const labels = Int8Array.from(all, (_, i) =>
        i < positive.length ? 1 : i < positive.length + negative.length ? -1 : 0,
      );
      const direction = tasteDirection(matrix, labels, shelf.width);
      return idsOf(await this.#nearest(generation, direction, filter, FUSION_DEPTH, known));
    });
  }

  state(): Promise<MeaningCalls["state"]["reply"]> {
    return this.#with(true, async ({ shelf: { version, size } }) => ({ encoder: version, encoded: size }));
  }

  /** Takes in what changed in the store since the last time; one at a time. */
  catchUp(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#catchingUp ??= this.#takeIn()
      .catch((error: unknown) => this.#note("warn", `vectors could not be read: ${(error as Error).message}`))
      .finally(() => {
        this.#catchingUp = null;
      });
    return this.#catchingUp;
  }

  async #takeIn(): Promise<void> {
    const seen = this.#ports.dataVersion();
    if (seen === this.#seen) return;
    const active = await this.#ports.vectors.active();
    const current = this.#replacing ?? this.#generation;
    if (active === null || active.version === this.#refused) {
      this.#seen = seen;
      return;
    }
    if (current?.shelf.version === active.version) await this.#fill(current.shelf);
    else await this.#prepare(active.version, active.dimensions);
    this.#seen = seen;
  }

  /** Makes another version ready; searches go on with the one in use meanwhile. */
  async #prepare(version: string, dimensions: number): Promise<void> {
    const { encoder: other, modelsFolder, threads } = this.#setup;
    const start = performance.now();
    let encoder: TextEncoder | undefined;
    // The engine is loaded when there is something to compute: a site without an encoder does without its memory.
    const [{ VectorShelf }, { openTextEncoder }] = await Promise.all([
      import("./vector-shelf.ts"),
      import("../encoder/text-encoder.ts"),
    ]);
    const shelf = new VectorShelf(version, dimensions, threads);
    try {
      const folder = other?.version === version ? other.folder : join(modelsFolder, version);
      encoder = await openTextEncoder(folder, { threads });
      if (encoder.width !== dimensions)
        throw new Error(`it gives ${encoder.width} numbers a text, the store has ${dimensions}`);
      await this.#fill(shelf);
      // Graphs are made now, not by the first reader's search.
      await shelf.nearest((await encoder.encode(["warm"])) as Float32Array, FUSION_DEPTH, null);
    } catch (error) {
      this.#refused = version;
      await encoder?.close();
      await shelf.close();
      this.#note("warn", `encoder ${version} cannot be used: ${(error as Error).message}`);
      return;
    }
    const old = this.#replacing;
    this.#replacing = { shelf, encoder };
    await closeGeneration(old);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    this.#note("info", `search by meaning with ${version}: ${shelf.size} papers, ready in ${seconds} s`);
    if (!this.#busy) await this.#useReplacement();
  }

  async #fill(shelf: VectorShelf): Promise<void> {
    for await (const batch of this.#ports.vectors.read(shelf.version, { after: shelf.position })) {
      shelf.add(batch);
      // Reading is synchronous underneath: tasks that came in meanwhile get their turn.
      await breathe();
      if (this.#closed) return;
    }
  }

  async #useReplacement(): Promise<void> {
    const next = this.#replacing;
    if (next === null) return;
    const old = this.#generation;
    [this.#generation, this.#replacing] = [next, null];
    await closeGeneration(old);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#catchingUp;
    await closeGeneration(this.#generation);
    await closeGeneration(this.#replacing);
    this.#generation = this.#replacing = null;
    await this.#ports.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const idsOf = (list: readonly ScoredId[]) => list.map(({ id }) => id);

async function closeGeneration(generation: Generation | null): Promise<void> {
  await generation?.shelf.close();
  await generation?.encoder.close();
}
