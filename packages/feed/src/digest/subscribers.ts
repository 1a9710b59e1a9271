import { randomBytes } from "node:crypto";
import { PeopleError } from "../people/errors.ts";
import { takeOrRefuse, type Whence } from "../people/limits.ts";
import type { MailMessage } from "../people/mail-port.ts";
import type { PostOffice } from "../people/post-office.ts";
import { keyedMark, secretHash } from "../people/tokens.ts";
import type { Cadence, Clock, Json, RateRule, Reader, Store } from "../store/ports.ts";
import { READER_TOKEN, type ReaderLinks } from "./links.ts";
import { confirmationMessage, knownMessage } from "./messages.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A confirmation that nobody asked for again is void after this. */
const CONFIRM_MS = 7 * DAY_MS;
const MAX_TOPICS = 50;
const MAX_SEARCHES = 20;

const ADDRESS =
  /^[^\s@<>",;:()\\\p{Cc}]{1,64}@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.)+[\p{L}\p{N}-]{2,63}$/u;

/** A search that somebody without account wants: kept once the address may be written to. */
export interface WantedSearch {
  readonly query: string;
  readonly filter: Json;
}

export interface SubscriptionWish {
  readonly email: string;
  readonly cadence: Cadence;
  /** Topics, categories and archives; empty: all papers, unless there are searches. */
  readonly topics: readonly string[];
  /** Saved searches that exist. */
  readonly savedSearches: readonly string[];
  readonly search?: WantedSearch | undefined;
  /** Version of the form or API that was used. */
  readonly form: string;
}

export interface SubscribersOptions {
  readonly store: Store;
  readonly links: ReaderLinks;
  readonly office: PostOffice;
  readonly clock: Clock;
  /** Key of marks that are kept instead of addresses. */
  readonly secret: string;
}

/** @throws PeopleError `fault` for what is not one plain e-mail address */
export function plainAddress(text: string): string {
  const email = text.trim();
  if (email.length > 254 || !ADDRESS.test(email))
    throw new PeopleError("fault", "Expected one e-mail address, such as ada@example.org.", {
      field: "email",
    });
  return email;
}

/** Who gets the digest: signing up, confirming, changing, leaving. */
export class Subscribers {
  readonly #options: SubscribersOptions;

  constructor(options: SubscribersOptions) {
    this.#options = options;
  }

  #addressRules(email: string): RateRule[] {
    const mark = keyedMark(this.#options.secret, "digest-address", email.toLowerCase()).slice(0, 22);
    const key = `digest-confirm:${mark}`;
    return [
      { key: `${key}:day`, limit: 1, windowMs: DAY_MS },
      { key: `${key}:month`, limit: 3, windowMs: 30 * DAY_MS },
    ];
  }

  /**
   * Takes a wish. Whether the address is known, suppressed or was written to lately is found out after the answer: what
   * the visitor sees, and how fast, is always the same.
   *
   * @throws PeopleError `fault` for what cannot be an address, `limited` beyond 5 sign-ups an hour of a block of addresses
   */
  async request(wish: SubscriptionWish, whence: Whence): Promise<void> {
    const { store, office, clock } = this.#options;
    const email = plainAddress(wish.email);
    if (wish.topics.length > MAX_TOPICS || wish.savedSearches.length > MAX_SEARCHES)
      throw new PeopleError("fault", `Expected at most ${MAX_TOPICS} topics and ${MAX_SEARCHES} searches.`);
    await takeOrRefuse(
      store.limits,
      [{ key: `digest-sign-up:${whence.block}`, limit: 5, windowMs: HOUR_MS }],
      clock(),
    );
    office.later(() => this.#answer({ ...wish, email }, whence));
  }

  async #answer(wish: SubscriptionWish, whence: Whence): Promise<MailMessage | null> {
    const { store, links } = this.#options;
    const { email } = wish;
    const known = await store.subscriptions.byEmail(email);
    if (known?.state === "suppressed") return null;
    if (!(await store.limits.take(this.#addressRules(email))).allowed) return null;
    if (known?.state === "confirmed" || known?.state === "paused")
      return knownMessage(links, known.email, known.state === "paused");
    const nonce = randomBytes(12).toString("base64url");
    const search = wish.search && (await this.#keepSearch(wish.search));
    await store.subscriptions.subscribe({
      email,
      cadence: wish.cadence,
      topics: wish.topics,
      savedSearches: search === undefined ? wish.savedSearches : [...wish.savedSearches, search],
      consent: { form: wish.form, addressHash: whence.address },
      tokens: links.hashes(email, nonce),
    });
    return confirmationMessage(links, email, nonce);
  }

  async #keepSearch({ query, filter }: WantedSearch): Promise<string> {
    const name = query.slice(0, 80).toWellFormed() || "Filtered papers";
    return (await this.#options.store.subscriptions.saveSearch({ accountId: null, name, query, filter })).id;
  }

  async #by(purpose: "confirm" | "manage" | "unsubscribe", token: string): Promise<Reader | null> {
    if (!READER_TOKEN.test(token)) return null;
    return this.#options.store.subscriptions.byToken(purpose, secretHash(token));
  }

  /** Whoever a link stands for, without any effect; null for an unknown one, or one that is void. */
  async toConfirm(token: string): Promise<Reader | null> {
    const reader = await this.#by("confirm", token);
    if (reader === null || reader.state === "confirmed") return reader;
    return this.#options.clock() - reader.consent.at <= CONFIRM_MS ? reader : null;
  }

  /** Confirms, once or again. */
  async confirm(token: string): Promise<Reader | null> {
    if ((await this.toConfirm(token)) === null) return null;
    return this.#options.store.subscriptions.confirm(secretHash(token));
  }

  manager(token: string): Promise<Reader | null> {
    return this.#by("manage", token);
  }

  leaver(token: string): Promise<Reader | null> {
    return this.#by("unsubscribe", token);
  }

  /** Unsubscribes, once or again. */
  async unsubscribe(token: string): Promise<Reader | null> {
    return READER_TOKEN.test(token) ? this.#options.store.subscriptions.unsubscribe(secretHash(token)) : null;
  }
}
