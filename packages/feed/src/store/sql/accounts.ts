import type { Selectable } from "kysely";
import { z } from "zod";
import {
  type Account,
  type AccountChange,
  type AccountState,
  type Credential,
  type NewAccount,
  type PageRequest,
  type Role,
  StoreError,
} from "../ports.ts";
import type { Db, Gate } from "./gate.ts";
import type { Tables } from "./tables.ts";
import { recount } from "./trend.ts";
import { check, checkIds, cutPage, flag, newId, text, timePage } from "./values.ts";

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{1,31}$/, "expected 2 to 32 of a-z, 0-9, '-', '_'");
/** Deliverability is the mailer's business; here: one line, one "@", of bounded length. */
export const emailAddress = z
  .string()
  .trim()
  .max(254)
  .regex(/^[^\s@<>"\p{Cc}]{1,64}@[^\s@<>"\p{Cc}]{1,253}$/u, "expected an e-mail address")
  .transform((address) => {
    const at = address.lastIndexOf("@");
    return `${address.slice(0, at)}@${address.slice(at + 1).toLowerCase()}`;
  });

/** Two spellings with one key are one address. */
export const emailKey = (address: string) => address.trim().toLowerCase();

const newAccount = z.strictObject({
  name,
  displayName: text(100).optional(),
  email: emailAddress.nullable().optional(),
  emailVerified: z.boolean().optional(),
});
const accountChange = z.strictObject({
  name: name.optional(),
  displayName: text(100).optional(),
  email: emailAddress.nullable().optional(),
  emailVerified: z.boolean().optional(),
  role: z.enum(["owner", "moderator", "member"]).optional(),
  state: z.enum(["active", "suspended"]).optional(),
});
const newCredential = z.strictObject({
  accountId: text(64),
  kind: z.enum(["password", "passkey"]),
  ref: text(1400, 0),
  secret: text(8000),
});

type AccountRow = Selectable<Tables["accounts"]>;

export function toAccount(row: AccountRow): Account {
  return {
    id: row.id,
    name: row.name,
    displayName: row.display_name,
    email: row.email,
    emailVerified: row.email_verified === 1,
    role: row.role,
    state: row.state,
    createdAt: row.created_at,
  };
}
/** @throws StoreError `not-found` */
export async function requireAccount(db: Db, id: string): Promise<AccountRow> {
  const row = await db.selectFrom("accounts").selectAll().where("id", "=", id).executeTakeFirst();
  if (!row) throw new StoreError("not-found", "There is no such account.");
  return row;
}

/** @throws StoreError `conflict` when name or address belong to another account */
async function requireFree(
  db: Db,
  wanted: { name?: string; email?: string | null },
  self?: string,
): Promise<void> {
  const taken = async (column: "name_key" | "email_key", key: string) => {
    const row = await db.selectFrom("accounts").select("id").where(column, "=", key).executeTakeFirst();
    return row !== undefined && row.id !== self;
  };
  if (wanted.name !== undefined && (await taken("name_key", wanted.name.toLowerCase()))) {
    throw new StoreError("conflict", `name: ${wanted.name} is taken.`);
  }
  if (wanted.email != null && (await taken("email_key", emailKey(wanted.email)))) {
    throw new StoreError("conflict", "email: this address has an account.");
  }
}

async function isLastOwner(db: Db, row: AccountRow): Promise<boolean> {
  if (row.role !== "owner" || row.state !== "active") return false;
  const other = await db
    .selectFrom("accounts")
    .select("id")
    .where("role", "=", "owner")
    .where("state", "=", "active")
    .where("id", "!=", row.id)
    .executeTakeFirst();
  return other === undefined;
}

/** The accounts of `People`, with how their holders prove themselves. */
export class SqlAccounts {
  protected readonly gate: Gate;

  constructor(gate: Gate) {
    this.gate = gate;
  }

  async create(account: NewAccount): Promise<Account> {
    const wanted = check(newAccount, account, "account");
    return this.gate.write(async (db) => {
      await requireFree(db, {
        name: wanted.name,
        ...(wanted.email !== undefined && { email: wanted.email }),
      });
      const first = (await db.selectFrom("accounts").select("id").limit(1).executeTakeFirst()) === undefined;
      const email = wanted.email ?? null;
      const row: AccountRow = {
        id: newId(),
        name: wanted.name,
        name_key: wanted.name.toLowerCase(),
        display_name: wanted.displayName ?? wanted.name,
        email,
        email_key: email === null ? null : emailKey(email),
        email_verified: flag(email !== null && wanted.emailVerified === true),
        role: first ? "owner" : "member",
        state: "active",
        created_at: this.gate.now(),
      };
      await db.insertInto("accounts").values(row).execute();
      return toAccount(row);
    });
  }

  async #by(column: "id" | "name_key" | "email_key", value: string): Promise<Account | null> {
    return this.gate.read(async (db) => {
      const row = await db.selectFrom("accounts").selectAll().where(column, "=", value).executeTakeFirst();
      return row ? toAccount(row) : null;
    });
  }

  get(id: string) {
    return this.#by("id", id);
  }

  byName(wanted: string) {
    return this.#by("name_key", wanted.toLowerCase());
  }

  byEmail(email: string) {
    return this.#by("email_key", emailKey(email));
  }

  async getMany(ids: readonly string[]): Promise<Account[]> {
    return this.gate.read(async (db) => {
      if (checkIds(ids).length === 0) return [];
      const rows = await db.selectFrom("accounts").selectAll().where("id", "in", ids).execute();
      const byId = new Map(rows.map((row) => [row.id, row]));
      return ids.flatMap((id) => {
        const row = byId.get(id);
        return row ? [toAccount(row)] : [];
      });
    });
  }

  list(page: PageRequest & { readonly role?: Role; readonly state?: AccountState } = {}) {
    const { limit, after } = timePage("accounts", page);
    return this.gate.read(async (db) => {
      const rows = await db
        .selectFrom("accounts")
        .selectAll()
        .$if(page.role !== undefined, (query) => query.where("role", "=", page.role as Role))
        .$if(page.state !== undefined, (query) => query.where("state", "=", page.state as AccountState))
        .$if(after !== null, (query) =>
          query.where(({ eb, refTuple, tuple }) =>
            eb(refTuple("created_at", "id"), ">", tuple(...(after as [number, string]))),
          ),
        )
        .orderBy("created_at")
        .orderBy("id")
        .limit(limit + 1)
        .execute();
      return cutPage("accounts", rows, limit, (row) => [row.created_at, row.id], toAccount);
    });
  }

  async update(id: string, change: AccountChange): Promise<Account> {
    const wanted = check(accountChange, change, "change");
    return this.gate.write(async (db) => {
      const row = await requireAccount(db, id);
      await requireFree(
        db,
        {
          ...(wanted.name !== undefined && { name: wanted.name }),
          ...(wanted.email !== undefined && { email: wanted.email }),
        },
        id,
      );
      const email = wanted.email === undefined ? row.email : wanted.email;
      const next: AccountRow = {
        ...row,
        name: wanted.name ?? row.name,
        name_key: (wanted.name ?? row.name).toLowerCase(),
        display_name: wanted.displayName ?? row.display_name,
        email,
        email_key: email === null ? null : emailKey(email),
        // A new address is unproved until somebody says otherwise.
        email_verified: flag(
          email !== null && (wanted.emailVerified ?? (email === row.email && row.email_verified === 1)),
        ),
        role: wanted.role ?? row.role,
        state: wanted.state ?? row.state,
      };
      const steps = next.role !== "owner" || next.state !== "active";
      if (steps && (await isLastOwner(db, row))) {
        throw new StoreError("conflict", "This is the last active owner: make somebody else an owner first.");
      }
      const { id: _, ...values } = next;
      await db.updateTable("accounts").set(values).where("id", "=", id).execute();
      return toAccount(next);
    });
  }

  async remove(id: string): Promise<boolean> {
    return this.gate.write(async (db) => {
      const row = await db.selectFrom("accounts").selectAll().where("id", "=", id).executeTakeFirst();
      if (!row) return false;
      const other = await db
        .selectFrom("accounts")
        .select("id")
        .where("id", "!=", id)
        .limit(1)
        .executeTakeFirst();
      if (other && (await isLastOwner(db, row))) {
        throw new StoreError("conflict", "This is the last active owner: make somebody else an owner first.");
      }
      const touched = await db
        .selectFrom("activity")
        .select("num")
        .distinct()
        .where("account", "=", id)
        .execute();
      const comments = await db
        .selectFrom("comments")
        .select(["id", "num"])
        .where("account", "=", id)
        .execute();
      for (const comment of comments) {
        await db.deleteFrom("comment_versions").where("comment", "=", comment.id).execute();
        await db
          .updateTable("comments")
          .set({ text: "", state: "removed" })
          .where("id", "=", comment.id)
          .execute();
      }
      await db.deleteFrom("accounts").where("id", "=", id).execute();
      for (const num of new Set([...touched, ...comments].map((entry) => entry.num))) await recount(db, num);
      return true;
    });
  }

  async setCredential(credential: Pick<Credential, "accountId" | "kind" | "ref" | "secret">): Promise<void> {
    const { accountId, kind, ref, secret } = check(newCredential, credential, "credential");
    const now = this.gate.now();
    await this.gate.write(async (db) => {
      await requireAccount(db, accountId);
      await db
        .insertInto("credentials")
        .values({ account: accountId, kind, ref, secret, created_at: now, used_at: null })
        .onConflict((conflict) =>
          conflict
            .columns(["account", "kind", "ref"])
            .doUpdateSet({ secret, created_at: now, used_at: null }),
        )
        .execute();
    });
  }

  async credentials(accountId: string, kind?: Credential["kind"]): Promise<Credential[]> {
    return this.gate.read(async (db) => {
      const rows = await db
        .selectFrom("credentials")
        .selectAll()
        .where("account", "=", accountId)
        .$if(kind !== undefined, (query) => query.where("kind", "=", kind as Credential["kind"]))
        .orderBy("kind")
        .orderBy("ref")
        .execute();
      return rows.map((row) => ({
        accountId: row.account,
        kind: row.kind,
        ref: row.ref,
        secret: row.secret,
        createdAt: row.created_at,
        usedAt: row.used_at,
      }));
    });
  }

  async removeCredential(accountId: string, kind: Credential["kind"], ref: string): Promise<boolean> {
    return this.gate.write(async (db) => {
      const result = await db
        .deleteFrom("credentials")
        .where("account", "=", accountId)
        .where("kind", "=", kind)
        .where("ref", "=", ref)
        .executeTakeFirst();
      return result.numDeletedRows > 0n;
    });
  }

  async touchCredential(accountId: string, kind: Credential["kind"], ref: string): Promise<void> {
    await this.gate.write(async (db) => {
      await db
        .updateTable("credentials")
        .set({ used_at: this.gate.now() })
        .where("account", "=", accountId)
        .where("kind", "=", kind)
        .where("ref", "=", ref)
        .execute();
    });
  }
}
