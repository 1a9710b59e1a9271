import type { Millis, Page, PageRequest, SecretHash } from "./common.ts";

/** The first account of a store is its owner; there is always at least one active owner once there was one. */
export type Role = "owner" | "moderator" | "member";

export type AccountState = "active" | "suspended";

export interface Account {
  /** 22 characters, random, never reused. */
  readonly id: string;
  /** Handle, 2 to 32 of a-z 0-9 - _; unique without regard to case. */
  readonly name: string;
  readonly displayName: string;
  /** Trimmed, lower-case domain; unique without regard to case. null for an account without address. */
  readonly email: string | null;
  readonly emailVerified: boolean;
  readonly role: Role;
  readonly state: AccountState;
  readonly createdAt: Millis;
}

export interface NewAccount {
  readonly name: string;
  readonly displayName?: string;
  readonly email?: string | null;
  readonly emailVerified?: boolean;
}

export type AccountChange = Partial<
  Pick<Account, "name" | "displayName" | "email" | "emailVerified" | "role" | "state">
>;

/** A way to prove who one is: a password's hash with its parameters, or a passkey's public key. */
export interface Credential {
  readonly accountId: string;
  readonly kind: "password" | "passkey";
  /** "" for the password; the credential id of a passkey. */
  readonly ref: string;
  /** In the caller's own encoding, e.g. a PHC string; at most 8000 characters. */
  readonly secret: string;
  readonly createdAt: Millis;
  readonly usedAt: Millis | null;
}

export interface Session {
  readonly tokenHash: SecretHash;
  readonly accountId: string;
  /** Random value that forms carry against cross-site requests. */
  readonly csrf: string;
  readonly createdAt: Millis;
  readonly seenAt: Millis;
  readonly expiresAt: Millis;
  /** What the session list shows, at most 200 characters. */
  readonly label: string;
}

export interface LoginToken {
  readonly tokenHash: SecretHash;
  readonly purpose: "login" | "verify-email" | "reset-password";
  readonly email: string;
  /** The account it is for; null when sign-up will make one. */
  readonly accountId: string | null;
  readonly createdAt: Millis;
  readonly expiresAt: Millis;
}

export interface ApiKey {
  readonly id: string;
  readonly accountId: string;
  readonly name: string;
  /** First characters of the key, to tell keys apart. */
  readonly prefix: string;
  readonly scopes: readonly string[];
  readonly createdAt: Millis;
  readonly usedAt: Millis | null;
  readonly revokedAt: Millis | null;
}

/** Accounts and how their holders prove themselves. Expired and revoked things are never handed out. */
export interface People {
  /**
   * Makes an account; the first one of the store becomes `owner`, in the same transaction.
   * @throws StoreError `conflict` naming `name` or `email` when it is taken, `invalid` for malformed ones
   */
  create(account: NewAccount): Promise<Account>;

  get(id: string): Promise<Account | null>;
  byName(name: string): Promise<Account | null>;
  byEmail(email: string): Promise<Account | null>;
  /** At most 500, in the order asked for; unknown ids are left out. */
  getMany(ids: readonly string[]): Promise<Account[]>;
  /** Oldest first. */
  list(page?: PageRequest & { readonly role?: Role; readonly state?: AccountState }): Promise<Page<Account>>;

  /** @throws StoreError `not-found`, `conflict` (also for the last active owner's role or state), `invalid` */
  update(id: string, change: AccountChange): Promise<Account>;

  /**
   * Deletes the account with credentials, sessions, keys, bookmarks, collections, saved searches and votes (their
   * weight leaves the trending sums). Comments stay, without author and text. False when there is none.
   * @throws StoreError `conflict` for the last active owner while other accounts exist
   */
  remove(id: string): Promise<boolean>;

  /** Sets or replaces a credential of (account, kind, ref). */
  setCredential(credential: Pick<Credential, "accountId" | "kind" | "ref" | "secret">): Promise<void>;
  credentials(accountId: string, kind?: Credential["kind"]): Promise<Credential[]>;
  removeCredential(accountId: string, kind: Credential["kind"], ref: string): Promise<boolean>;
  touchCredential(accountId: string, kind: Credential["kind"], ref: string): Promise<void>;

  openSession(session: Omit<Session, "createdAt" | "seenAt">): Promise<Session>;
  /** The session with its account, if it is not expired and the account active. Notes `seenAt` once an hour. */
  session(tokenHash: SecretHash): Promise<{ readonly session: Session; readonly account: Account } | null>;
  /** Gives a session a new token, at login or rise of rights: atomic. False when the old one is gone. */
  rotateSession(tokenHash: SecretHash, newTokenHash: SecretHash): Promise<boolean>;
  closeSession(tokenHash: SecretHash): Promise<boolean>;
  /** Closes all sessions of an account but one. @returns how many */
  closeSessions(accountId: string, options?: { readonly except?: SecretHash }): Promise<number>;
  /** Newest first. */
  sessions(accountId: string): Promise<Session[]>;

  addLoginToken(token: Omit<LoginToken, "createdAt">): Promise<void>;
  /** Looks without using it up: for the page behind the link. */
  peekLoginToken(tokenHash: SecretHash): Promise<LoginToken | null>;
  /** Uses the token up. Of any number of callers at once, one gets it; a used or expired one is null. */
  takeLoginToken(tokenHash: SecretHash): Promise<LoginToken | null>;

  addApiKey(
    key: Pick<ApiKey, "accountId" | "name" | "prefix" | "scopes"> & { readonly keyHash: SecretHash },
  ): Promise<ApiKey>;
  /** The key with its account, if neither revoked nor suspended. Notes `usedAt` once an hour. */
  apiKey(keyHash: SecretHash): Promise<{ readonly key: ApiKey; readonly account: Account } | null>;
  /** Newest first, revoked ones too. */
  apiKeys(accountId: string): Promise<ApiKey[]>;
  revokeApiKey(accountId: string, keyId: string): Promise<boolean>;
}

/** At most `limit` uses of `key` within `windowMs`. */
export interface RateRule {
  readonly key: string;
  readonly limit: number;
  readonly windowMs: number;
}

export interface RateAnswer {
  readonly allowed: boolean;
  /** Uses left under the tightest rule. */
  readonly remaining: number;
  /** When the rule that refuses (or is tightest) lets the next use through. */
  readonly resetAt: Millis;
}

/** Limits that must outlive a restart: sign-ups, confirmation mails, logins. Fixed windows from first use. */
export interface RateLimits {
  /** Counts one use under all rules if all allow it, and under none otherwise: atomic. */
  take(rules: readonly RateRule[]): Promise<RateAnswer>;
  /** Forgets the uses of a key, e.g. after a right password. */
  clear(key: string): Promise<void>;
}
