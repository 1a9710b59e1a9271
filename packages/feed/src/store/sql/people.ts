import type { Selectable } from "kysely";
import { z } from "zod";
import type { Account, ApiKey, LoginToken, People, SecretHash, Session } from "../ports.ts";
import { emailAddress, requireAccount, SqlAccounts, toAccount } from "./accounts.ts";
import type { Tables } from "./tables.ts";
import { check, fromJson, millis, newId, secretHash, text, toJson } from "./values.ts";

/** `seenAt` and `usedAt` are written this often: reading a page is no write. */
const TOUCH_MS = 3_600_000;

const newSession = z.strictObject({
  tokenHash: secretHash,
  accountId: text(64),
  csrf: text(200),
  expiresAt: millis,
  label: text(200, 0),
});
const newLoginToken = z.strictObject({
  tokenHash: secretHash,
  purpose: z.enum(["login", "verify-email", "reset-password"]),
  email: emailAddress,
  accountId: text(64).nullable(),
  expiresAt: millis,
});
const newApiKey = z.strictObject({
  accountId: text(64),
  name: text(100),
  prefix: text(20),
  scopes: z.array(text(64)).max(50),
  keyHash: secretHash,
});

const toSession = (row: Selectable<Tables["sessions"]>): Session => ({
  tokenHash: row.token_hash,
  accountId: row.account,
  csrf: row.csrf,
  label: row.label,
  createdAt: row.created_at,
  seenAt: row.seen_at,
  expiresAt: row.expires_at,
});

const toLoginToken = (row: Selectable<Tables["login_tokens"]>): LoginToken => ({
  tokenHash: row.token_hash,
  purpose: row.purpose,
  email: row.email,
  accountId: row.account,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
});

const toApiKey = (row: Selectable<Tables["api_keys"]>): ApiKey => ({
  id: row.id,
  accountId: row.account,
  name: row.name,
  prefix: row.prefix,
  scopes: fromJson<string[]>(row.scopes),
  createdAt: row.created_at,
  usedAt: row.used_at,
  revokedAt: row.revoked_at,
});

export class SqlPeople extends SqlAccounts implements People {
  async openSession(session: Omit<Session, "createdAt" | "seenAt">): Promise<Session> {
    const { tokenHash, accountId, csrf, expiresAt, label } = check(newSession, session, "session");
    const now = this.gate.now();
    return this.gate.write(async (db) => {
      await requireAccount(db, accountId);
      const row = {
        token_hash: tokenHash,
        account: accountId,
        csrf,
        label,
        created_at: now,
        seen_at: now,
        expires_at: expiresAt,
      };
      await db.insertInto("sessions").values(row).execute();
      return toSession(row);
    });
  }

  async session(
    tokenHash: SecretHash,
  ): Promise<{ readonly session: Session; readonly account: Account } | null> {
    const now = this.gate.now();
    const found = await this.gate.read(async (db) => {
      const row = await db
        .selectFrom("sessions")
        .selectAll()
        .where("token_hash", "=", tokenHash)
        .where("expires_at", ">", now)
        .executeTakeFirst();
      const account = row && (await requireAccount(db, row.account));
      return row && account?.state === "active"
        ? { session: toSession(row), account: toAccount(account) }
        : null;
    });
    if (found === null || now - found.session.seenAt < TOUCH_MS) return found;
    await this.gate.write((db) =>
      db.updateTable("sessions").set({ seen_at: now }).where("token_hash", "=", tokenHash).execute(),
    );
    return { ...found, session: { ...found.session, seenAt: now } };
  }

  async rotateSession(tokenHash: SecretHash, newTokenHash: SecretHash): Promise<boolean> {
    const next = check(secretHash, newTokenHash, "newTokenHash");
    return this.gate.write(async (db) => {
      const result = await db
        .updateTable("sessions")
        .set({ token_hash: next })
        .where("token_hash", "=", tokenHash)
        .where("expires_at", ">", this.gate.now())
        .executeTakeFirst();
      return result.numUpdatedRows > 0n;
    });
  }

  async closeSession(tokenHash: SecretHash): Promise<boolean> {
    return this.gate.write(async (db) => {
      const result = await db.deleteFrom("sessions").where("token_hash", "=", tokenHash).executeTakeFirst();
      return result.numDeletedRows > 0n;
    });
  }

  async closeSessions(accountId: string, options: { readonly except?: SecretHash } = {}): Promise<number> {
    return this.gate.write(async (db) => {
      const result = await db
        .deleteFrom("sessions")
        .where("account", "=", accountId)
        .where("token_hash", "!=", options.except ?? "")
        .executeTakeFirst();
      return Number(result.numDeletedRows);
    });
  }

  async sessions(accountId: string): Promise<Session[]> {
    return this.gate.read(async (db) => {
      const rows = await db
        .selectFrom("sessions")
        .selectAll()
        .where("account", "=", accountId)
        .where("expires_at", ">", this.gate.now())
        .orderBy("created_at", "desc")
        .orderBy("token_hash")
        .execute();
      return rows.map(toSession);
    });
  }

  async addLoginToken(token: Omit<LoginToken, "createdAt">): Promise<void> {
    const { tokenHash, purpose, email, accountId, expiresAt } = check(newLoginToken, token, "token");
    await this.gate.write(async (db) => {
      if (accountId !== null) await requireAccount(db, accountId);
      await db
        .insertInto("login_tokens")
        .values({
          token_hash: tokenHash,
          purpose,
          email,
          account: accountId,
          created_at: this.gate.now(),
          expires_at: expiresAt,
        })
        .execute();
    });
  }

  async peekLoginToken(tokenHash: SecretHash): Promise<LoginToken | null> {
    return this.gate.read(async (db) => {
      const row = await db
        .selectFrom("login_tokens")
        .selectAll()
        .where("token_hash", "=", tokenHash)
        .where("expires_at", ">", this.gate.now())
        .executeTakeFirst();
      return row ? toLoginToken(row) : null;
    });
  }

  async takeLoginToken(tokenHash: SecretHash): Promise<LoginToken | null> {
    return this.gate.write(async (db) => {
      const [row] = await db
        .deleteFrom("login_tokens")
        .where("token_hash", "=", tokenHash)
        .returningAll()
        .execute();
      return row && row.expires_at > this.gate.now() ? toLoginToken(row) : null;
    });
  }

  async addApiKey(
    key: Pick<ApiKey, "accountId" | "name" | "prefix" | "scopes"> & { readonly keyHash: SecretHash },
  ): Promise<ApiKey> {
    const { accountId, keyHash, scopes, ...rest } = check(newApiKey, key, "key");
    return this.gate.write(async (db) => {
      await requireAccount(db, accountId);
      const row = {
        id: newId(),
        key_hash: keyHash,
        account: accountId,
        ...rest,
        scopes: toJson(scopes),
        created_at: this.gate.now(),
        used_at: null,
        revoked_at: null,
      };
      await db.insertInto("api_keys").values(row).execute();
      return toApiKey(row);
    });
  }

  async apiKey(keyHash: SecretHash): Promise<{ readonly key: ApiKey; readonly account: Account } | null> {
    const now = this.gate.now();
    const found = await this.gate.read(async (db) => {
      const row = await db
        .selectFrom("api_keys")
        .selectAll()
        .where("key_hash", "=", keyHash)
        .where("revoked_at", "is", null)
        .executeTakeFirst();
      const account = row && (await requireAccount(db, row.account));
      return row && account?.state === "active" ? { key: toApiKey(row), account: toAccount(account) } : null;
    });
    if (found === null || now - (found.key.usedAt ?? 0) < TOUCH_MS) return found;
    await this.gate.write((db) =>
      db.updateTable("api_keys").set({ used_at: now }).where("key_hash", "=", keyHash).execute(),
    );
    return { ...found, key: { ...found.key, usedAt: now } };
  }

  async apiKeys(accountId: string): Promise<ApiKey[]> {
    return this.gate.read(async (db) => {
      const rows = await db
        .selectFrom("api_keys")
        .selectAll()
        .where("account", "=", accountId)
        .orderBy("created_at", "desc")
        .orderBy("id")
        .execute();
      return rows.map(toApiKey);
    });
  }

  async revokeApiKey(accountId: string, keyId: string): Promise<boolean> {
    return this.gate.write(async (db) => {
      const result = await db
        .updateTable("api_keys")
        .set({ revoked_at: this.gate.now() })
        .where("id", "=", keyId)
        .where("account", "=", accountId)
        .where("revoked_at", "is", null)
        .executeTakeFirst();
      return result.numUpdatedRows > 0n;
    });
  }
}
