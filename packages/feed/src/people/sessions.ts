import type { Account, Clock, Session, Store } from "../store/ports.ts";
import { newSecret, secretHash } from "./tokens.ts";

export const SESSION_MS = 30 * 24 * 3_600_000;

export interface OpenedSession {
  /** Goes into the cookie; the store keeps its hash. */
  readonly token: string;
  readonly expiresAt: number;
}

/** Who is signed in where. A session lasts 30 days from signing in. */
export class Sessions {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /**
   * Opens a session under a fresh token. A session that the browser had before ends: a token that somebody planted there
   * beforehand is worth nothing.
   */
  async open(account: Account, label: string, before: string | null): Promise<OpenedSession> {
    if (before !== null) await this.#store.people.closeSession(secretHash(before));
    const token = newSecret();
    const expiresAt = this.#clock() + SESSION_MS;
    await this.#store.people.openSession({
      tokenHash: secretHash(token),
      accountId: account.id,
      csrf: newSecret(),
      expiresAt,
      label: label.slice(0, 200),
    });
    return { token, expiresAt };
  }

  find(token: string): Promise<{ readonly session: Session; readonly account: Account } | null> {
    return this.#store.people.session(secretHash(token));
  }

  async close(token: string): Promise<void> {
    await this.#store.people.closeSession(secretHash(token));
  }
}

const SYSTEMS = [
  [/iPhone|iPad/, "iOS"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/Mac OS X|Macintosh/, "macOS"],
  [/CrOS/, "ChromeOS"],
  [/Linux|X11/, "Linux"],
] as const;
const BROWSERS = [
  [/Edg\//, "Edge"],
  [/OPR\//, "Opera"],
  [/Firefox\//, "Firefox"],
  [/Chrom(?:e|ium)\//, "Chrome"],
  [/Safari\//, "Safari"],
] as const;

/** A browser's own description in two words, e.g. `Firefox on Linux`. */
export function deviceLabel(userAgent: string | undefined): string {
  const agent = (userAgent ?? "").slice(0, 400);
  const browser = BROWSERS.find(([pattern]) => pattern.test(agent))?.[1];
  const system = SYSTEMS.find(([pattern]) => pattern.test(agent))?.[1];
  return [browser ?? "A browser", system].filter(Boolean).join(" on ");
}
