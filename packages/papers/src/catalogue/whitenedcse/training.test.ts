import { beforeAll, describe, expect, it } from "vitest";
import { changedConfig, contextInMemory } from "../../harness/memory-context.ts";
import { smokeConfig, type WhitenedCseConfig } from "./config.ts";
import { experiment, type Prepared } from "./experiment.ts";

const SENTENCES = 48;
const STEPS = 3;
const SEED = 7;

/** Batches of all sentences and weights that stay as they are: from step to step only dropout and shuffles change. */
function still(dropout: number): WhitenedCseConfig {
  const { training, ...rest } = changedConfig(smokeConfig, {
    data: {
      world: { topics: 4, synonyms: 4, functionWords: 20, training: SENTENCES, development: 8, test: 8 },
    },
    encoder: { width: 16, heads: 2, dropout },
    training: { steps: STEPS, validateEvery: STEPS, batchSize: SENTENCES },
  });
  return { ...rest, training: { ...training, learningRates: { usual: 1e-12, of: {} } } };
}

const least = (values: readonly number[]): number => Math.min(...values);
const most = (values: readonly number[]): number => Math.max(...values);
const range = (values: readonly number[]): number => most(values) - least(values);

describe("with weights and sentences that stay, from step to step", () => {
  let prepared: Prepared;
  beforeAll(async () => {
    prepared = await experiment.prepare(contextInMemory(still(0), SEED));
  });

  /** The loss of every step. */
  async function losses(arm: string, dropout: number, of = prepared): Promise<number[]> {
    const found: number[] = [];
    await experiment.runArm(arm, of, {
      ...contextInMemory(still(dropout), SEED),
      log: (phase: string, _step: number, { loss }: Readonly<Record<string, number>>) => {
        if (phase === "training") found.push(loss as number);
      },
    });
    expect(found).toHaveLength(STEPS);
    return found;
  }

  it("dropout is drawn anew, another one for each copy", async () => {
    const same = await losses("simcse-2", 0);
    // The batches' other orders add the same numbers in another order.
    expect(range(same)).toBeLessThan(1e-4);
    const masked = await losses("simcse-2", 0.4);
    // Copies with one mask would be equal: their cosine would be 1, and the loss about the one without dropout.
    expect(least(masked)).toBeGreaterThan(1.2 * most(same));
    // The same sentence in all rows: their order does not count, only their masks do.
    const { task } = prepared;
    const { ids, mask } = task.tokens;
    const first = ids.data.subarray(0, ids.shape[1]);
    const tokens = { ids: { ...ids, data: ids.data.map((_, i) => first[i % first.length] as number) }, mask };
    const repeated = { ...prepared, task: { ...task, tokens } };
    expect(range(await losses("simcse-2", 0, repeated))).toBeLessThan(1e-4);
    expect(range(await losses("simcse-2", 0.4, repeated))).toBeGreaterThan(1e-2);
  });

  it("shuffles are drawn anew, another one for each copy", async () => {
    const kept = await losses("no-shuffle", 0);
    expect(range(kept)).toBeLessThan(1e-4);
    const one = await losses("one-shuffle", 0);
    expect(range(one)).toBeGreaterThan(1e-2);
    // Without dropout copies with one shuffle are equal; with a shuffle for each they differ by their groups.
    const each = await losses("whitenedcse", 0);
    expect(range(each)).toBeGreaterThan(1e-2);
    expect(least(each)).toBeGreaterThan(1.5 * most(one));
  });
});
