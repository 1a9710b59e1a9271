import { type CatalogueEntry, fromCard, type PaperRecord } from "@concord/feed";
import {
  type Experiment,
  hasExperiment,
  loadCatalogue,
  loadExperiment,
  type PaperCard,
  type PresetName,
} from "@concord/papers";

/** Where the site gets its papers and their experiments from. */
export interface PaperSource {
  cards(): Promise<readonly PaperCard[]>;
  /** Whether the paper can be run here. */
  runs(slug: string): Promise<boolean>;
  /** The experiment of a paper that can be run here. */
  experiment(slug: string): Promise<Experiment>;
}

/** The papers of the catalogue that Concord ships. */
export const builtInPapers: PaperSource = {
  cards: loadCatalogue,
  runs: hasExperiment,
  experiment: loadExperiment,
};

/** The cards with whether each runs here, as the store takes them. */
export async function catalogueEntries(source: PaperSource): Promise<CatalogueEntry[]> {
  const cards = await source.cards();
  return Promise.all(cards.map(async (card) => ({ card, runnable: await source.runs(card.slug) })));
}

/** The papers as the pages use them: read once at the start, experiments when they are first asked for. */
export class Catalogue {
  readonly records: readonly PaperRecord[];
  readonly topics: readonly { readonly topic: string; readonly papers: number }[];
  readonly #cards: ReadonlyMap<string, PaperCard>;
  readonly #source: PaperSource;
  readonly #experiments = new Map<string, Promise<Experiment>>();

  private constructor(cards: readonly PaperCard[], records: readonly PaperRecord[], source: PaperSource) {
    this.records = records;
    this.#cards = new Map(cards.map((card) => [card.slug, card]));
    this.#source = source;
    const topics = [...new Set(records.flatMap((record) => record.topics))].sort();
    this.topics = topics.map((topic) => ({
      topic,
      papers: records.filter((record) => record.topics.includes(topic)).length,
    }));
  }

  static async load(source: PaperSource): Promise<Catalogue> {
    const cards = await source.cards();
    const records = await Promise.all(
      cards.map(async (card) => fromCard(card, { runnable: await source.runs(card.slug) })),
    );
    return new Catalogue(cards, records, source);
  }

  card(slug: string): PaperCard | null {
    return this.#cards.get(slug) ?? null;
  }

  /** The experiment of a paper; null for a paper that is unknown or cannot be run here. */
  async experiment(slug: string): Promise<Experiment | null> {
    if (!this.records.some((record) => record.slug === slug && record.runnable)) return null;
    const known = this.#experiments.get(slug);
    if (known) return known;
    const loading = this.#source.experiment(slug);
    this.#experiments.set(slug, loading);
    // A failure is not kept: the next visit tries again.
    loading.catch(() => this.#experiments.delete(slug));
    return loading;
  }
}

/** Sizes of an experiment that it does not run without files of the user. */
export async function sizesThatNeedFiles(experiment: Experiment): Promise<ReadonlySet<PresetName>> {
  const sizes = new Set<PresetName>();
  for (const size of Object.keys(experiment.presets) as PresetName[]) {
    await experiment.validate?.({}, size).catch(() => sizes.add(size));
  }
  return sizes;
}
