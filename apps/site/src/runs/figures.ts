import type { ArmFigures, SavedFigure } from "@concord/papers";
import type { ArmStyle } from "@concord/plots";

/** A figure as one arm left it. */
export interface ArmFigure<F extends SavedFigure = SavedFigure> {
  readonly style: ArmStyle;
  /** Place of the arm among the run's arms. */
  readonly place: number;
  readonly figure: F;
}

/** One figure of all arms that show it. */
export interface FigureBlock<F extends SavedFigure = SavedFigure> {
  /** Its place on the page: letters, digits and dashes. */
  readonly anchor: string;
  /** What title, caption and axes are taken from. */
  readonly first: F;
  readonly arms: readonly ArmFigure<F>[];
}

/** From so many arms on, ablations are shown on request only. */
export const MANY_ARMS = 7;

/** Figures with one key are shown together; bars of other categories are other figures. */
function keyOf(figure: SavedFigure): string {
  return JSON.stringify([figure.kind, figure.id, figure.kind === "bars" ? figure.categories : null]);
}

/** The figures of a seed, each once with all its arms, in the order in which the arms name them. */
export function figureBlocks(
  arms: readonly ArmFigures[],
  styles: readonly ArmStyle[],
): readonly FigureBlock[] {
  const blocks = new Map<string, { first: SavedFigure; arms: ArmFigure[] }>();
  for (const [place, style] of styles.entries()) {
    for (const figure of arms.find(({ arm }) => arm === style.id)?.figures ?? []) {
      const key = keyOf(figure);
      const block = blocks.get(key) ?? { first: figure, arms: [] };
      block.arms.push({ style, place, figure });
      blocks.set(key, block);
    }
  }
  const anchors = new Map<string, number>();
  return [...blocks.values()].map((block) => {
    const count = (anchors.get(block.first.id) ?? 0) + 1;
    anchors.set(block.first.id, count);
    return { ...block, anchor: `figure-${block.first.id}${count > 1 ? `--${count}` : ""}` };
  });
}

/** A block as one of a kind of figure: all figures of a block are of one kind. */
export function isKind<K extends SavedFigure["kind"]>(
  block: FigureBlock,
  kind: K,
): block is FigureBlock<Extract<SavedFigure, { kind: K }>> {
  return block.first.kind === kind;
}

/** The arms that are shown first, and those that wait where there are many. A run of ablations alone shows them all. */
export function mainArms<A extends { readonly style: ArmStyle }>(
  arms: readonly A[],
): { readonly main: readonly A[]; readonly others: readonly A[] } {
  const main = arms.filter(({ style }) => style.role !== "ablation");
  if (arms.length < MANY_ARMS || main.length === 0) return { main: arms, others: [] };
  return { main, others: arms.filter(({ style }) => style.role === "ablation") };
}
