import { type Facet, type PaperFilter, type Store, spanOf } from "@concord/feed";

const KEPT_COUNTS = 500;

/** What every list shows of the whole store. */
export interface StoreSummary {
  readonly categories: readonly Facet[];
  readonly topics: readonly Facet[];
  /** Keys of the newest day with papers, and of its week and month. */
  readonly newest: { readonly day: string; readonly week: string; readonly month: string } | null;
}

/** Keeps what is costly to count until a paper changes. */
export class Summaries {
  readonly #store: Store;
  #revision = -1;
  #summary: Promise<StoreSummary> | null = null;
  readonly #counts = new Map<string, Promise<number>>();

  constructor(store: Store) {
    this.#store = store;
  }

  async summary(): Promise<StoreSummary> {
    await this.#refresh();
    this.#summary ??= this.#read();
    return this.#summary;
  }

  /** How many papers pass the filter. */
  async count(filter: PaperFilter): Promise<number> {
    await this.#refresh();
    const key = JSON.stringify(filter);
    let count = this.#counts.get(key);
    if (count === undefined) {
      count = this.#store.papers.count(filter);
      if (this.#counts.size >= KEPT_COUNTS) this.#counts.clear();
      this.#counts.set(key, count);
      count.catch(() => this.#counts.delete(key));
    }
    return count;
  }

  async #refresh(): Promise<void> {
    const revision = await this.#store.papers.revision();
    if (revision === this.#revision) return;
    this.#revision = revision;
    this.#summary = null;
    this.#counts.clear();
  }

  async #read(): Promise<StoreSummary> {
    const { papers } = this.#store;
    try {
      const [categories, topics, day] = await Promise.all([
        papers.categories(),
        papers.topics(),
        papers.period("day"),
      ]);
      const newest = day && {
        day: day.key,
        week: spanOf("week", day.key).key,
        month: spanOf("month", day.key).key,
      };
      return { categories, topics, newest };
    } catch (error) {
      this.#summary = null;
      throw error;
    }
  }
}
