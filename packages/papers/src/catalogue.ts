import { access, readdir } from "node:fs/promises";
import { extname } from "node:path";
import { FINDING_IDS } from "@concord/align/findings";
import { distance } from "fastest-levenshtein";
import { z } from "zod";
import type { PaperCard } from "./card.ts";
import type { Experiment } from "./harness/contract.ts";
import type { Recipe } from "./recipes/contract.ts";

/** The topics that cards may carry. A small, shared vocabulary keeps filters useful. */
export const TOPICS = [
  "image-text",
  "video",
  "audio",
  "language",
  "medical-imaging",
  "3d",
  "neuroscience",
  "self-supervised",
  "domain-adaptation",
  "few-labels",
  "distillation",
  "clustering",
  "retrieval",
  "grounding",
  "detection",
  "segmentation",
  "generation",
] as const;

export type Topic = (typeof TOPICS)[number];

/** The kinds of data that cards may name as aligned. */
export const MODALITIES = [
  "image",
  "text",
  "video",
  "audio",
  "volume",
  "point-cloud",
  "depth",
  "infrared",
  "landmarks",
  "brain-activity",
] as const;

export type Modality = (typeof MODALITIES)[number];

const SLUG = /^[a-z0-9-]+$/;
const MAX_SLUG_LENGTH = 64;
const MAX_SUGGESTIONS = 3;

const text = z.string().trim().min(1);

const publishedTable = z
  .strictObject({
    caption: text,
    source: text,
    confirmed: z.boolean(),
    columns: z.array(text).min(1),
    rows: z
      .array(
        z.strictObject({
          label: text,
          values: z.array(z.union([z.number(), text, z.null()])),
          arm: z.string().regex(SLUG).exactOptional(),
        }),
      )
      .min(1),
  })
  .superRefine((table, context) => {
    table.rows.forEach((row, index) => {
      if (row.values.length !== table.columns.length) {
        context.addIssue({
          code: "custom",
          path: ["rows", index, "values"],
          message: `row '${row.label}' has ${row.values.length} values for ${table.columns.length} columns`,
        });
      }
    });
  });

const cardSchema = z
  .strictObject({
    slug: z.string().regex(SLUG).max(MAX_SLUG_LENGTH),
    title: text,
    arxivId: z.string().regex(/^\d{4}\.\d{4,5}$/),
    published: z.iso.date(),
    authorCount: z.int().min(1),
    authors: z.array(text),
    venue: text.exactOptional(),
    code: z.strictObject({ url: z.url({ protocol: /^https$/ }), licence: text }).exactOptional(),
    summary: text,
    useFor: text,
    topics: z.array(z.enum(TOPICS)).min(1),
    modalities: z.array(z.enum(MODALITIES)).min(1),
    addresses: z.array(z.strictObject({ finding: z.enum(FINDING_IDS), because: text })),
    publishedResults: z.array(publishedTable),
  })
  .refine(({ addresses }) => new Set(addresses.map(({ finding }) => finding)).size === addresses.length, {
    path: ["addresses"],
    message: "a finding is named twice",
  })
  .refine((card) => card.authors.length <= card.authorCount, {
    path: ["authors"],
    message: "more names than authorCount",
  }) satisfies z.ZodType<PaperCard>;

/** Thrown for a slug that names no paper of the catalogue. */
export class UnknownPaperError extends Error {
  override readonly name = "UnknownPaperError";
  /** Up to three slugs that the caller may have meant, nearest first. */
  readonly suggestions: readonly string[];

  constructor(slug: string, suggestions: readonly string[]) {
    const shown = slug.length > MAX_SLUG_LENGTH ? `${slug.slice(0, MAX_SLUG_LENGTH)}...` : slug;
    const hint = suggestions.length > 0 ? ` Did you mean ${suggestions.join(", ")}?` : "";
    super(`Unknown paper ${JSON.stringify(shown)}.${hint}`);
    this.suggestions = suggestions;
  }
}

/** Thrown for a paper of the catalogue that cannot be run yet. */
export class NoExperimentError extends Error {
  override readonly name = "NoExperimentError";

  constructor(slug: string) {
    super(`Paper '${slug}' has no experiment yet, so it can be read but not run.`);
  }
}

/** Thrown for a paper of the catalogue that has no recipe for data of one's own yet. */
export class NoRecipeError extends Error {
  override readonly name = "NoRecipeError";

  constructor(slug: string, available: readonly string[]) {
    super(`Paper '${slug}' has no recipe yet. There are recipes of ${available.join(", ") || "no paper"}.`);
  }
}

/**
 * Reads and checks the card of every paper folder.
 *
 * @returns the cards, newest first; papers of one day in the order of their slugs
 * @throws Error naming the folder and the field when a card is missing or malformed
 */
export async function loadCatalogue(): Promise<PaperCard[]> {
  const cards = await Promise.all((await listSlugs()).map(importCard));
  return cards.sort((a, b) => b.published.localeCompare(a.published) || a.slug.localeCompare(b.slug));
}

/**
 * Reads and checks the card of one paper.
 *
 * @throws UnknownPaperError, with the nearest slugs, when there is no such paper
 */
export async function loadCard(slug: string): Promise<PaperCard> {
  await requireKnown(slug);
  return importCard(slug);
}

/** Whether the paper can be run; false, too, for a slug that names no paper. */
export function hasExperiment(slug: string): Promise<boolean> {
  return hasModule(slug, "experiment");
}

/** Whether the paper's method can be used on data of one's own; false, too, for a slug that names no paper. */
export function hasRecipe(slug: string): Promise<boolean> {
  return hasModule(slug, "recipe");
}

/** The slugs of the papers that have a recipe, in their order. */
export async function listRecipes(): Promise<string[]> {
  const slugs = (await listSlugs()).sort();
  const found = await Promise.all(slugs.map(hasRecipe));
  return slugs.filter((_, i) => found[i]);
}

/**
 * Imports a paper's recipe, and with it the engine, on demand.
 *
 * @throws UnknownPaperError, with the nearest slugs, when there is no such paper
 * @throws NoRecipeError, with those there are, when the paper has none
 */
export async function loadRecipe(slug: string): Promise<Recipe> {
  await requireKnown(slug);
  if (!(await hasRecipe(slug))) throw new NoRecipeError(slug, await listRecipes());
  const { recipe } = (await importModule(slug, "recipe")) as { readonly recipe?: Recipe };
  if (recipe?.slug !== slug) {
    const found = recipe === undefined ? "no such export" : `a recipe of '${recipe.slug}'`;
    throw new Error(`catalogue/${slug}: recipe must export 'recipe' with slug '${slug}', found ${found}.`);
  }
  return recipe;
}

/**
 * Imports a paper's experiment, and with it the engine, on demand.
 *
 * @throws UnknownPaperError, with the nearest slugs, when there is no such paper
 * @throws NoExperimentError when the paper cannot be run yet
 */
export async function loadExperiment(slug: string): Promise<Experiment> {
  await requireKnown(slug);
  if (!(await hasExperiment(slug))) throw new NoExperimentError(slug);
  const { experiment } = (await importModule(slug, "experiment")) as { readonly experiment?: Experiment };
  if (experiment?.slug !== slug) {
    const found = experiment === undefined ? "no such export" : `an experiment of '${experiment.slug}'`;
    throw new Error(
      `catalogue/${slug}: experiment must export 'experiment' with slug '${slug}', found ${found}.`,
    );
  }
  return experiment;
}

/** The module of a paper's experiment, for threads that import it themselves. Only for papers that `loadExperiment` loads. */
export function experimentModule(slug: string): URL {
  return moduleUrl(slug, "experiment");
}

/** The page of the paper's abstract, without version: always the newest. */
export function arxivAbsUrl(card: Pick<PaperCard, "arxivId">): string {
  return `https://arxiv.org/abs/${card.arxivId}`;
}

/** The paper as PDF, without version: always the newest. */
export function arxivPdfUrl(card: Pick<PaperCard, "arxivId">): string {
  return `https://arxiv.org/pdf/${card.arxivId}`;
}

// Paper modules lie beside this file and share its ending: .ts from source, .js when compiled.
const CATALOGUE = new URL("./catalogue/", import.meta.url);
const MODULE_ENDING = extname(new URL(import.meta.url).pathname);

function isSlug(slug: string): boolean {
  return slug.length <= MAX_SLUG_LENGTH && SLUG.test(slug);
}

type PaperModule = "paper" | "experiment" | "recipe";

async function hasModule(slug: string, module: PaperModule): Promise<boolean> {
  if (!isSlug(slug)) return false;
  try {
    await access(moduleUrl(slug, module));
    return true;
  } catch {
    return false;
  }
}

/** Only for checked slugs: the URL of a module in the paper's folder. */
function moduleUrl(slug: string, module: PaperModule): URL {
  return new URL(`${slug}/${module}${MODULE_ENDING}`, CATALOGUE);
}

function importModule(slug: string, module: PaperModule): Promise<unknown> {
  return import(/* @vite-ignore */ moduleUrl(slug, module).href);
}

async function listSlugs(): Promise<string[]> {
  const entries = await readdir(CATALOGUE, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory() && isSlug(entry.name)).map((entry) => entry.name);
}

async function requireKnown(slug: string): Promise<void> {
  const slugs = await listSlugs();
  if (!slugs.includes(slug)) throw new UnknownPaperError(slug, nearestSlugs(slug, slugs));
}

async function importCard(slug: string): Promise<PaperCard> {
  const { card } = (await importModule(slug, "paper")) as { readonly card?: unknown };
  const parsed = cardSchema.safeParse(card);
  if (!parsed.success) {
    throw new Error(`catalogue/${slug}: malformed card.\n${z.prettifyError(parsed.error)}`);
  }
  if (parsed.data.slug !== slug) {
    throw new Error(`catalogue/${slug}: the card's slug is '${parsed.data.slug}', expected '${slug}'.`);
  }
  return parsed.data;
}

/** Slugs that contain what was typed, then those at most a third of its letters (at least two) away. */
function nearestSlugs(typed: string, slugs: readonly string[]): string[] {
  const wanted = typed.slice(0, MAX_SLUG_LENGTH).toLowerCase();
  if (wanted === "") return [];
  const reach = Math.max(2, Math.floor(wanted.length / 3));
  return slugs
    .map((slug) => ({ slug, edits: slug.includes(wanted) ? 0 : distance(wanted, slug) }))
    .filter(({ edits }) => edits <= reach)
    .sort((a, b) => a.edits - b.edits || a.slug.localeCompare(b.slug))
    .slice(0, MAX_SUGGESTIONS)
    .map(({ slug }) => slug);
}
