import { z } from "zod";
import type { RateAnswer, RateLimits, RateRule } from "../ports.ts";
import type { Gate } from "./gate.ts";
import { check, text } from "./values.ts";

const rules = z
  .array(z.strictObject({ key: text(200), limit: z.int().min(1), windowMs: z.int().min(1) }))
  .min(1)
  .max(20);

export class SqlRateLimits implements RateLimits {
  readonly #gate: Gate;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  async take(wanted: readonly RateRule[]): Promise<RateAnswer> {
    const checked = check(rules, wanted, "rules");
    const now = this.#gate.now();
    return this.#gate.write(async (db) => {
      const states = [];
      for (const rule of checked) {
        const row = await db
          .selectFrom("rate_limits")
          .select(["uses", "reset_at"])
          .where("key", "=", rule.key)
          .where("window_ms", "=", rule.windowMs)
          .executeTakeFirst();
        const current = row && row.reset_at > now ? row : { uses: 0, reset_at: now + rule.windowMs };
        states.push({ rule, uses: current.uses, resetAt: current.reset_at });
      }
      const refusing = states.filter(({ rule, uses }) => uses >= rule.limit);
      if (refusing.length > 0) {
        return { allowed: false, remaining: 0, resetAt: Math.max(...refusing.map(({ resetAt }) => resetAt)) };
      }
      for (const { rule, uses, resetAt } of states) {
        await db
          .insertInto("rate_limits")
          .values({ key: rule.key, window_ms: rule.windowMs, uses: uses + 1, reset_at: resetAt })
          .onConflict((conflict) =>
            conflict.columns(["key", "window_ms"]).doUpdateSet({ uses: uses + 1, reset_at: resetAt }),
          )
          .execute();
      }
      const left = states.map(({ rule, uses, resetAt }) => ({ remaining: rule.limit - uses - 1, resetAt }));
      const tightest = left.reduce((a, b) => (b.remaining < a.remaining ? b : a));
      return { allowed: true, ...tightest };
    });
  }

  async clear(key: string): Promise<void> {
    await this.#gate.write((db) => db.deleteFrom("rate_limits").where("key", "=", key).execute());
  }
}
