import { isDeepStrictEqual } from "node:util";
import type { Experiment } from "./contract.ts";
import { isSlug } from "./run-id.ts";

function repeated(ids: readonly string[]): string | undefined {
  return ids.find((id, index) => ids.indexOf(id) !== index);
}

/** Everything that is wrong with the declarations of an experiment, in words; empty when nothing is. */
export function problemsOf(experiment: Experiment): string[] {
  const problems: string[] = [];
  const inputs = experiment.inputs ?? [];
  const declared = {
    arm: experiment.arms.map(({ id }) => id),
    metric: experiment.metrics.map(({ id }) => id),
    claim: experiment.claims.map(({ id }) => id),
    input: inputs.map(({ name }) => name),
  };
  if (!isSlug(experiment.slug)) problems.push(`slug '${experiment.slug}' is not a lower-case name`);
  for (const [what, ids] of Object.entries(declared)) {
    const twice = repeated(ids);
    if (twice !== undefined) problems.push(`${what} '${twice}' is declared twice`);
  }
  for (const id of [...declared.arm, ...declared.input]) {
    // Arms name folders, inputs name flags.
    if (!isSlug(id)) problems.push(`'${id}' is not a lower-case name with hyphens`);
  }
  if (declared.arm.includes("prepare")) problems.push("an arm cannot be called 'prepare'");
  if (declared.arm.length === 0) problems.push("there is no arm");
  if (declared.metric.length === 0) problems.push("there is no metric");
  for (const claim of experiment.claims) {
    for (const arm of [claim.arm, claim.against]) {
      if (!declared.arm.includes(arm)) problems.push(`claim '${claim.id}' names arm '${arm}', which is none`);
    }
    if (claim.arm === claim.against) problems.push(`claim '${claim.id}' compares an arm with itself`);
    if (!declared.metric.includes(claim.metric)) {
      problems.push(`claim '${claim.id}' names metric '${claim.metric}', which is none`);
    }
    if (!Number.isFinite(claim.margin)) problems.push(`claim '${claim.id}' has no finite margin`);
  }
  for (const [name, preset] of Object.entries(experiment.presets)) {
    if (!Number.isSafeInteger(preset.seeds) || preset.seeds < 1) {
      problems.push(`preset '${name}' runs ${preset.seeds} seeds, expected at least 1`);
    }
    const text = JSON.stringify(preset.config);
    if (text === undefined || !isDeepStrictEqual(JSON.parse(text), preset.config)) {
      problems.push(`the configuration of preset '${name}' is not plain JSON, so a run could not record it`);
    }
  }
  for (const input of inputs) {
    for (const name of input.requires ?? []) {
      if (!declared.input.includes(name))
        problems.push(`input '${input.name}' requires '${name}', which is none`);
    }
  }
  return problems;
}

/**
 * Checks the declarations of an experiment.
 *
 * @throws Error that lists every problem
 */
export function checkExperiment(experiment: Experiment): void {
  const problems = problemsOf(experiment);
  if (problems.length > 0) throw new Error(`Experiment '${experiment.slug}': ${problems.join("; ")}.`);
}
