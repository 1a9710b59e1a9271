import type { SafeFetch } from "../net/index.ts";
import { FetchError } from "../net/index.ts";
import { type PaperRecord, paperRecord } from "../record.ts";
import { type SourceState, type Store, StoreError, type StorePorts } from "../store/ports.ts";
import { parseArxivId } from "./formats/arxiv-text.ts";
import { FormatError, type Item, type RejectedItem } from "./formats/item.ts";
import { readerOf } from "./sources/index.ts";
import { type IngestSource, type ReadContext, SourceError, type SourcePage } from "./sources/source.ts";
import { Turns } from "./turns.ts";

/** What a reading of a source has brought so far. */
export interface IngestProgress {
  /** e.g. `arxiv-rss:cs.CL+cs.LG`. */
  readonly source: string;
  /** Items taken so far in this reading, and how many there will be; null: not known. */
  readonly items: number;
  readonly expected: number | null;
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly rejected: number;
  /** Papers that the source has withdrawn and that the store had. */
  readonly deleted: number;
  /** Answers of servers. */
  readonly answers: number;
}

export interface IngestReport extends IngestProgress {
  /**
   * - `done`: read to its end
   * - `unchanged`: the server says that nothing is new since last time
   * - `waiting`: the server asked not to be called before `notBefore`
   * - `stopped`: by the signal; the next reading goes on from there
   * - `failed`: see `error`; what had come in by then is in the store
   */
  readonly status: "done" | "unchanged" | "waiting" | "stopped" | "failed";
  readonly error: string | null;
  /** Milliseconds since 1970; null: at any time. */
  readonly notBefore: number | null;
  /** The first 1000 rejected records. */
  readonly rejections: readonly RejectedItem[];
  /** What else there is to know. */
  readonly notes: readonly string[];
  readonly seconds: number;
}

export interface IngestOptions {
  /** For sources on other servers; see `createSafeFetch`. */
  readonly fetch: SafeFetch;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: IngestProgress) => void) | undefined;
  /** Says what would happen, and changes nothing: reads from the start, and takes every change of papers back. */
  readonly dryRun?: boolean | undefined;
  /** Milliseconds since 1970; default: the system's clock. */
  readonly now?: (() => number) | undefined;
}

const MAX_REJECTIONS = 1000;
const BATCH = { first: 32, least: 8, most: 256 };
/** A transaction may take so long: then the batch is right, in milliseconds. */
const AIM_MS = { least: 12, most: 35 };

/**
 * Reads a source into the store.
 *
 * Records come in in small batches, each in one transaction with the mark of how far the reading has come. A reading
 * that is stopped, fails or is killed goes on from its last mark; records that came in twice are merged with themselves,
 * which changes nothing. A second reading of the same source reports everything as unchanged.
 *
 * @returns what came of it, also when the source fails
 * @throws SourceError when the source is asked for something that it cannot give; errors of the program
 */
export async function ingest(
  source: IngestSource,
  store: Pick<Store, "papers" | "intake" | "transaction">,
  options: IngestOptions,
): Promise<IngestReport> {
  const reader = readerOf(source);
  const now = options.now ?? Date.now;
  const { signal, dryRun = false } = options;
  const started = performance.now();
  const known = await store.intake.state(reader.key);
  const reading = new Reading(reader.key, store, { now, dryRun, onProgress: options.onProgress });
  const finish = (
    status: IngestReport["status"],
    error: string | null,
    notBefore: number | null,
  ): IngestReport => ({
    ...reading.progress(),
    status,
    error,
    notBefore,
    rejections: reading.rejections,
    notes: reading.notes,
    seconds: (performance.now() - started) / 1000,
  });
  if (known.notBefore !== null && known.notBefore > now()) return finish("waiting", null, known.notBefore);
  const save = async (change: Partial<Omit<SourceState, "source">>): Promise<void> => {
    if (!dryRun) await store.intake.save(reader.key, change);
  };
  await save({ attemptedAt: now() });
  await reading.begin();
  const state: SourceState = dryRun ? { ...known, cursor: null, etag: null, lastModified: null } : known;
  try {
    for await (const page of reader.read(state, reading.context(options.fetch, store, signal))) {
      await reading.take(page, signal);
    }
    await save({ succeededAt: now(), lastError: null, notBefore: null });
    return finish(reading.nothingNew ? "unchanged" : "done", null, null);
  } catch (error) {
    if (signal?.aborted) return finish("stopped", null, null);
    const message = error instanceof Error ? error.message : String(error);
    const pause = error instanceof FetchError ? error.retryAfterMs : undefined;
    const notBefore = pause === undefined ? null : now() + pause;
    await save({ lastError: message.slice(0, 1000), notBefore });
    if (!isOfTheSource(error)) throw error;
    return finish("failed", message, notBefore);
  }
}

/** Whether an error comes from what was read rather than from a fault in the program. */
function isOfTheSource(error: unknown): boolean {
  const known = [FetchError, FormatError, SourceError, StoreError].some((kind) => error instanceof kind);
  return known || (error instanceof Error && "code" in error && "syscall" in error);
}

interface ReadingOptions {
  readonly now: () => number;
  readonly dryRun: boolean;
  readonly onProgress: ((progress: IngestProgress) => void) | undefined;
}

/** Thrown to take a transaction back. */
class TakeBack extends Error {}

/** One reading of one source: takes its items into the store and counts. */
class Reading {
  readonly rejections: RejectedItem[] = [];
  readonly notes: string[] = [];
  readonly #key: string;
  readonly #store: Pick<Store, "papers" | "intake" | "transaction">;
  readonly #options: ReadingOptions;
  readonly #turns = new Turns();
  readonly #counts = { items: 0, inserted: 0, updated: 0, unchanged: 0, rejected: 0, deleted: 0, answers: 0 };
  #expected: number | null = null;
  #notModified = 0;
  #batchSize = BATCH.first;
  /** Whether the store has rejections of this source, which records that come in now may settle. */
  #settles = false;

  constructor(key: string, store: Pick<Store, "papers" | "intake" | "transaction">, options: ReadingOptions) {
    this.#key = key;
    this.#store = store;
    this.#options = options;
  }

  get nothingNew(): boolean {
    return this.#counts.answers > 0 && this.#notModified === this.#counts.answers;
  }

  progress(): IngestProgress {
    return { source: this.#key, expected: this.#expected, ...this.#counts };
  }

  context(fetch: SafeFetch, store: Pick<Store, "papers">, signal: AbortSignal | undefined): ReadContext {
    return {
      fetch,
      papers: store.papers,
      now: this.#options.now,
      signal,
      note: (text) => {
        this.notes.push(text);
      },
      expect: (items) => {
        this.#expected = this.#counts.items + items;
      },
      counted: (notModified) => {
        this.#counts.answers++;
        if (notModified) this.#notModified++;
      },
    };
  }

  async begin(): Promise<void> {
    const { items } = await this.#store.intake.rejections({ source: this.#key, limit: 1 });
    this.#settles = items.length > 0;
  }

  /** @throws the signal's reason, between two batches */
  async take(page: SourcePage, signal: AbortSignal | undefined): Promise<void> {
    let batch: Item[] = [];
    let taken = 0;
    const bring = async (last: boolean): Promise<void> => {
      taken += batch.length;
      const cursor = page.cursorAfter?.(taken);
      await this.#commit(batch, last ? page.after : cursor === undefined ? {} : { cursor });
      batch = [];
      signal?.throwIfAborted();
    };
    for await (const parse of page.items) {
      batch.push(parse());
      await this.#turns.breathe();
      if (batch.length >= this.#batchSize) await bring(false);
    }
    await bring(true);
  }

  async #commit(batch: readonly Item[], change: SourcePage["after"]): Promise<void> {
    if (batch.length === 0 && Object.keys(change).length === 0) return;
    const started = performance.now();
    const outcome = await this.#transaction((ports) => this.#bring(ports, batch, change));
    const elapsed = performance.now() - started;
    if (elapsed > AIM_MS.most) this.#batchSize = Math.max(BATCH.least, this.#batchSize >> 1);
    else if (elapsed < AIM_MS.least) this.#batchSize = Math.min(BATCH.most, this.#batchSize * 2);
    this.#turns.restart();
    for (const name of ["inserted", "updated", "unchanged", "deleted"] as const)
      this.#counts[name] += outcome[name];
    this.#counts.items += batch.length;
    for (const item of batch) {
      if (item.kind !== "rejected") continue;
      this.#counts.rejected++;
      if (this.rejections.length < MAX_REJECTIONS) this.rejections.push(item);
    }
    this.#options.onProgress?.(this.progress());
  }

  /** As the store's, but a dry run takes everything back. */
  async #transaction<T>(work: (ports: StorePorts) => Promise<T>): Promise<T> {
    if (!this.#options.dryRun) return this.#store.transaction(work);
    let result: { readonly value: T } | undefined;
    try {
      await this.#store.transaction(async (ports) => {
        result = { value: await work(ports) };
        throw new TakeBack();
      });
    } catch (error) {
      if (!(error instanceof TakeBack) || result === undefined) throw error;
      return result.value;
    }
    throw new Error("A transaction that throws went through.");
  }

  async #bring(ports: StorePorts, batch: readonly Item[], change: SourcePage["after"]) {
    const outcome = { inserted: 0, updated: 0, unchanged: 0, deleted: 0 };
    let records: PaperRecord[] = [];
    const settled: string[] = [];
    const upsert = async (): Promise<void> => {
      for (const result of await ports.papers.upsert(records)) outcome[result.outcome]++;
      records = [];
    };
    for (const item of batch) {
      if (item.kind === "paper") {
        records.push(item.record);
        settled.push(item.record.id, item.position);
      } else if (item.kind === "deleted") {
        // In the order of the source: what came in just before may be what is taken out now.
        await upsert();
        const record = await withdrawal(ports, item.id);
        if (record === null) continue;
        outcome.deleted++;
        await ports.papers.upsert([record]);
      }
    }
    await upsert();
    if (this.#settles) await ports.intake.accept(this.#key, settled);
    const refused = batch.filter((item) => item.kind === "rejected");
    if (refused.length > 0) {
      await ports.intake.reject(
        refused.map(({ id, position, reason, sample }) => ({
          source: this.#key,
          ref: refOf(id, position),
          reason,
          sample,
        })),
      );
    }
    if (Object.keys(change).length > 0) await ports.intake.save(this.#key, change);
    return outcome;
  }
}

/** What a refused record is known by: its arXiv identifier, or else its place. */
function refOf(id: string | null, position: string): string {
  return (id === null ? null : parseArxivId(id)?.id) ?? position;
}

/** The record that marks a paper as withdrawn; null when the store does not have it, or knows already. */
async function withdrawal({ papers }: StorePorts, id: string): Promise<PaperRecord | null> {
  const stored = await papers.get(id);
  if (stored === null || stored.withdrawn) return null;
  const { title, abstract } = stored;
  return paperRecord.parse({ id, title, abstract, withdrawn: true, sources: ["arxiv-oai"] });
}
