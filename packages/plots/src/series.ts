/** How many series colours the style sheet defines (`--series-0` ...); further arms start again with other dashes. */
export const SERIES_COLOURS = 9;

export type ArmRole = "reference" | "baseline" | "method" | "ablation";

/** An arm as the charts know it: its name and the look that tells it apart in every chart of a run. */
export interface ArmStyle {
  readonly id: string;
  readonly label: string;
  readonly role: ArmRole;
  /** Index of the colour. */
  readonly colour: number;
  /** SVG `stroke-dasharray`; "none" for a solid line. Colour is never the only difference between two ablations. */
  readonly dash: string;
}

const ablationDashes = ["6 2", "2 2", "8 2 2 2", "4 4", "10 3", "2 4"];
const METHOD_COLOUR = 0;
const BASELINE_COLOUR = 1;
const REFERENCE_COLOUR = 2;
const FIRST_FREE_COLOUR = 3;

/**
 * Gives every arm its look. The first method, baseline and reference always have the same three colours, so that
 * a reader who has seen one run reads the next without its legend; all others take the remaining colours in order.
 */
export function styleArms(
  arms: readonly { readonly id: string; readonly label: string; readonly role: ArmRole }[],
): readonly ArmStyle[] {
  const fixed: Partial<Record<ArmRole, number>> = {
    method: METHOD_COLOUR,
    baseline: BASELINE_COLOUR,
    reference: REFERENCE_COLOUR,
  };
  const taken = new Set<ArmRole>();
  let others = 0;
  return arms.map(({ id, label, role }) => {
    const own = fixed[role];
    if (own !== undefined && !taken.has(role)) {
      taken.add(role);
      return { id, label, role, colour: own, dash: role === "reference" ? "1 3" : "none" };
    }
    const free = SERIES_COLOURS - FIRST_FREE_COLOUR;
    const colour = FIRST_FREE_COLOUR + (others % free);
    // Shifted by one in every round, so that a colour that comes again has another dash.
    const dash = ablationDashes[(others + Math.floor(others / free)) % ablationDashes.length] ?? "none";
    others += 1;
    return { id, label, role, colour, dash };
  });
}
