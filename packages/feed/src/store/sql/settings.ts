import { z } from "zod";
import { type Json, type Settings, StoreError } from "../ports.ts";
import type { Gate } from "./gate.ts";
import { check, fromJson, text } from "./values.ts";

const MAX_VALUE = 1_000_000;

function encode(key: string, value: Json): string {
  check(text(200), key, "key");
  const json = JSON.stringify(check(z.json(), value, "value"));
  if (json.length > MAX_VALUE)
    throw new StoreError("invalid", `value: expected at most ${MAX_VALUE} characters.`);
  return json;
}

export class SqlSettings implements Settings {
  readonly #gate: Gate;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  async get(key: string): Promise<Json | undefined> {
    return this.#gate.read(async (db) => {
      const row = await db.selectFrom("settings").select("value").where("key", "=", key).executeTakeFirst();
      return row && fromJson<Json>(row.value);
    });
  }

  async set(key: string, value: Json): Promise<void> {
    const json = encode(key, value);
    await this.#gate.write((db) =>
      db
        .insertInto("settings")
        .values({ key, value: json })
        .onConflict((conflict) => conflict.column("key").doUpdateSet({ value: json }))
        .execute(),
    );
  }

  async setOnce(key: string, value: Json): Promise<Json> {
    const json = encode(key, value);
    return this.#gate.write(async (db) => {
      await db
        .insertInto("settings")
        .values({ key, value: json })
        .onConflict((conflict) => conflict.column("key").doNothing())
        .execute();
      const row = await db
        .selectFrom("settings")
        .select("value")
        .where("key", "=", key)
        .executeTakeFirstOrThrow();
      return fromJson<Json>(row.value);
    });
  }

  async remove(key: string): Promise<boolean> {
    return this.#gate.write(async (db) => {
      const result = await db.deleteFrom("settings").where("key", "=", key).executeTakeFirst();
      return result.numDeletedRows > 0n;
    });
  }
}
