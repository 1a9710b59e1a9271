import type { Claim } from "./contract.ts";
import type { RunRecord, Verdict, VerdictOutcome } from "./run-record.ts";
import { confidenceInterval95, mean } from "./statistics.ts";

/** A claim that a run says nothing about, and why. */
export interface UntestedClaim {
  readonly claim: Claim;
  readonly reason: string;
}

export interface Judgement {
  readonly verdicts: readonly Verdict[];
  readonly untested: readonly UntestedClaim[];
}

/** `reproduced` when the whole interval reaches the margin, `not reproduced` when all of it stays below. */
export function outcomeOf(interval: readonly [number, number] | null, margin: number): VerdictOutcome {
  if (!interval) return "inconclusive";
  const [low, high] = interval;
  if (low >= margin) return "reproduced";
  return high < margin ? "not reproduced" : "inconclusive";
}

/**
 * Judges claims over the seeds for which both arms have a result:
 *
 *   change_s = ±(arm_s - against_s), divided by |against_s| for a relative claim, positive in the claimed direction
 *
 * A claim whose arms did not run, or whose relative change has a zero to divide by, is untested; so is one of any gain
 * (margin 0) whose arms are equal in every seed, because then nothing that they differ in had an effect.
 */
export function judge(
  claims: readonly Claim[],
  record: Pick<RunRecord, "arms" | "seeds" | "results">,
): Judgement {
  const verdicts: Verdict[] = [];
  const untested: UntestedClaim[] = [];
  const resultOf = (arm: string, seed: number, metric: string): number | undefined =>
    record.results.find((result) => result.arm === arm && result.seed === seed)?.metrics[metric];

  for (const claim of claims) {
    const missing = [claim.arm, claim.against].filter((arm) => !record.arms.includes(arm));
    if (missing.length > 0) {
      untested.push({ claim, reason: `left out: ${missing.join(", ")}` });
      continue;
    }
    const pairs = record.seeds.flatMap((seed) => {
      const value = resultOf(claim.arm, seed, claim.metric);
      const reference = resultOf(claim.against, seed, claim.metric);
      return value === undefined || reference === undefined ? [] : [{ seed, value, reference }];
    });
    if (pairs.length === 0) {
      untested.push({ claim, reason: "no seed has results of both arms" });
      continue;
    }
    const zero = claim.change === "relative" ? pairs.find(({ reference }) => reference === 0) : undefined;
    if (zero) {
      const reason = `${claim.metric} of ${claim.against} is 0 for seed ${zero.seed}: no relative change`;
      untested.push({ claim, reason });
      continue;
    }
    const changes = pairs.map(({ value, reference }) => {
      const gain = claim.direction === "higher" ? value - reference : reference - value;
      return claim.change === "relative" ? gain / Math.abs(reference) : gain;
    });
    if (claim.margin === 0 && changes.every((difference) => difference === 0)) {
      const reason = `${claim.metric} of ${claim.arm} and ${claim.against} is the same in every seed`;
      untested.push({ claim, reason });
      continue;
    }
    const interval = confidenceInterval95(changes);
    const { id, statement, metric, arm, against, change, direction, margin } = claim;
    verdicts.push({
      claim: id,
      statement,
      metric,
      arm,
      against,
      change,
      direction,
      margin,
      changes,
      mean: mean(changes),
      interval,
      outcome: outcomeOf(interval, margin),
    });
  }
  return { verdicts, untested };
}
