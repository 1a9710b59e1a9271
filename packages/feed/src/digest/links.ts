import { createHmac } from "node:crypto";
import { newSecret, secretHash } from "../people/tokens.ts";
import type { ReaderToken, SecretHash, Store } from "../store/ports.ts";

/** Name of the key in the store's settings. */
const SECRET_SETTING = "digest.secret";
const TOKEN_BYTES = 16;

/** What a token of 128 bits looks like: 22 characters, so that the header with its address stays short. */
export const READER_TOKEN = /^[\w-]{22}$/;

/**
 * Tokens of readers, derived from their address by a key of this host: T = HMAC-SHA-256(key, purpose ∥ address), the
 * first 128 bits. Every message can carry them although the store keeps their hashes alone.
 */
export class ReaderLinks {
  readonly #secret: string;
  readonly #url: () => string;

  /** @param url  where readers reach the site, without a slash at the end */
  constructor(secret: string, url: () => string) {
    this.#secret = secret;
    this.#url = url;
  }

  /** With the key of the store, which is made on first use. @throws Error when it is damaged */
  static async of(store: Store, url: () => string): Promise<ReaderLinks> {
    const secret = await store.settings.setOnce(SECRET_SETTING, newSecret());
    if (typeof secret !== "string" || secret.length < 32)
      throw new Error(
        `The store's setting '${SECRET_SETTING}' is damaged: expected a text of 32 characters.`,
      );
    return new ReaderLinks(secret, url);
  }

  get url(): string {
    return this.#url();
  }

  /** Name of the host in Message-IDs and List-Id. */
  get host(): string {
    const name = URL.parse(this.#url())?.hostname ?? "";
    return /^[A-Za-z0-9.-]+$/.test(name) ? name : "localhost";
  }

  token(purpose: ReaderToken, email: string, nonce = ""): string {
    return createHmac("sha256", this.#secret)
      .update(`${purpose}\0${email.trim().toLowerCase()}\0${nonce}`)
      .digest()
      .subarray(0, TOKEN_BYTES)
      .toString("base64url");
  }

  /** What the store keeps. The link that confirms differs with every `nonce`: an old one does not work again. */
  hashes(email: string, nonce: string): Readonly<Record<ReaderToken, SecretHash>> {
    return {
      confirm: secretHash(this.token("confirm", email, nonce)),
      manage: secretHash(this.token("manage", email)),
      unsubscribe: secretHash(this.token("unsubscribe", email)),
    };
  }

  confirmation(email: string, nonce: string): string {
    return `${this.#url()}/subscribe/confirm/${this.token("confirm", email, nonce)}`;
  }

  manage(email: string): string {
    return `${this.#url()}/subscribe/manage/${this.token("manage", email)}`;
  }

  /** Short: it stands in a header. */
  unsubscribe(email: string): string {
    return `${this.#url()}/u/${this.token("unsubscribe", email)}`;
  }
}
