import { type Experiment, type PaperCard, TOPICS, UnknownPaperError } from "@concord/papers";
import { type Context, coloursFor, columnsOf } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { renderPaper } from "../render/paper.ts";
import { COLUMN_GAP, renderTable } from "../render/table.ts";
import { countText, printable } from "../render/text.ts";

const MIN_TITLE_WIDTH = 24;

export interface PapersOptions {
  readonly json?: boolean | undefined;
  readonly topic?: string | undefined;
  readonly runsHere?: boolean | undefined;
}

interface Listed {
  readonly card: PaperCard;
  readonly runsHere: boolean;
}

function searchText(card: PaperCard): string {
  const { slug, title, arxivId, venue, summary, useFor, authors, topics, modalities } = card;
  const fields = [slug, title, arxivId, venue ?? "", summary, useFor, ...authors, ...topics, ...modalities];
  return fields.join("\n").toLowerCase();
}

/** The cards that contain every word of the query. */
export function searchCards(cards: readonly PaperCard[], query: string): readonly PaperCard[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return cards.filter((card) => {
    const text = searchText(card);
    return words.every((word) => text.includes(word));
  });
}

/** Shows the paper whose slug was typed, or lists those that match. */
export async function showPapers(
  context: Context,
  query: string | undefined,
  options: PapersOptions,
): Promise<ExitCode> {
  const cards = await context.papers.loadCatalogue();
  const exact = cards.find(({ slug }) => slug === query?.trim().toLowerCase());
  if (exact) return showPaper(context, exact, options);
  if (options.topic !== undefined && !(TOPICS as readonly string[]).includes(options.topic)) {
    throw new UsageError(`Unknown topic ${JSON.stringify(options.topic)}. Known: ${TOPICS.join(", ")}.`);
  }
  const found = await listed(context, query === undefined ? cards : searchCards(cards, query));
  const matching = found.filter(
    ({ card, runsHere }) =>
      (options.topic === undefined || card.topics.includes(options.topic)) &&
      (options.runsHere !== true || runsHere),
  );
  if (matching.length === 0) throw await noMatch(context, query);
  if (options.json) {
    const list = matching.map(({ card, runsHere }) => ({ ...card, runsHere }));
    context.stdout.write(`${JSON.stringify(list)}\n`);
  } else {
    context.stdout.write(`${renderList(context, matching, cards.length)}\n`);
  }
  return ExitCode.done;
}

function listed(context: Context, cards: readonly PaperCard[]): Promise<Listed[]> {
  return Promise.all(
    cards.map(async (card) => ({ card, runsHere: await context.papers.hasExperiment(card.slug) })),
  );
}

async function noMatch(context: Context, query: string | undefined): Promise<Error> {
  const near = await context.papers.loadCard(query ?? "").catch((error: unknown) => error);
  const hint =
    near instanceof UnknownPaperError && near.suggestions.length > 0
      ? ` Did you mean ${near.suggestions.join(", ")}?`
      : "";
  return new UsageError(
    query === undefined
      ? "No paper matches these filters."
      : `No paper matches ${JSON.stringify(query.slice(0, 100))}.${hint}`,
  );
}

function renderList(context: Context, papers: readonly Listed[], all: number): string {
  const colours = coloursFor(context.stdout, context.env);
  const widest = Math.max(...papers.map(({ card }) => card.slug.length), "Paper".length);
  const others = "2025-01-01".length + widest + "Authors".length + "Runs here".length + 4 * COLUMN_GAP;
  const table = renderTable(
    [
      { head: "Date" },
      { head: "Paper" },
      { head: "Title", width: Math.max(MIN_TITLE_WIDTH, columnsOf(context.stdout) - others) },
      { head: "Authors", align: "right" },
      { head: "Runs here" },
    ],
    papers.map(({ card, runsHere }) => [
      { text: card.published, style: colours.dim },
      { text: card.slug, style: colours.cyan },
      printable(card.title),
      String(card.authorCount),
      runsHere ? { text: "yes", style: colours.green } : "",
    ]),
    colours,
  );
  const count =
    papers.length === all ? countText(all, "paper") : `${papers.length} of ${countText(all, "paper")}`;
  return `${table}\n\n${count}. One of them in full: ${context.name} papers ${papers[0]?.card.slug}`;
}

async function showPaper(context: Context, card: PaperCard, options: PapersOptions): Promise<ExitCode> {
  const runsHere = await context.papers.hasExperiment(card.slug);
  const experiment: Experiment | null = runsHere ? await context.papers.loadExperiment(card.slug) : null;
  if (options.json) {
    const { arms, metrics, claims, presets, inputs } = experiment ?? {};
    const info = experiment && { arms, metrics, claims, presets, inputs: inputs ?? [] };
    context.stdout.write(`${JSON.stringify({ ...card, runsHere, experiment: info })}\n`);
    return ExitCode.done;
  }
  const style = { columns: columnsOf(context.stdout), colours: coloursFor(context.stdout, context.env) };
  context.stdout.write(`${renderPaper(card, experiment, { ...style, command: context.name })}\n`);
  return ExitCode.done;
}
