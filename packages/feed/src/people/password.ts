import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";
import { commonPasswords } from "./common-passwords.ts";

/** Cost of scrypt: memory 128·2^logN·r bytes, work proportional to 2^logN·r·p. */
export interface ScryptCost {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** 32 MiB: one of the settings that OWASP's Password Storage Cheat Sheet holds equal. */
export const DEFAULT_COST: ScryptCost = { logN: 15, r: 8, p: 3 };

export const PASSWORD_LENGTH = { least: 10, most: 200 } as const;

const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** Stored strings ask for at most this much: a damaged one must not take the machine's memory. */
const MOST: ScryptCost = { logN: 18, r: 16, p: 16 };
const PHC =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,64})\$([A-Za-z0-9+/]{22,128})$/;

/** Too many passwords are being checked at once. */
export class PasswordsBusyError extends Error {
  override readonly name = "PasswordsBusyError";
}

const base64 = (bytes: Buffer) => bytes.toString("base64").replace(/=+$/, "");

function derive(password: string, salt: Buffer, { logN, r, p }: ScryptCost, length: number): Promise<Buffer> {
  const N = 2 ** logN;
  const options: ScryptOptions = { N, r, p, maxmem: 128 * N * r + 128 * r * p + 2 ** 20 };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize("NFKC"), salt, length, options, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

interface Parsed {
  readonly cost: ScryptCost;
  readonly salt: Buffer;
  readonly key: Buffer;
}

function parse(stored: string): Parsed | null {
  const match = PHC.exec(stored);
  if (!match) return null;
  const [, logN, r, p, salt = "", key = ""] = match;
  const cost = { logN: Number(logN), r: Number(r), p: Number(p) };
  const possible =
    cost.logN >= 1 &&
    cost.r >= 1 &&
    cost.p >= 1 &&
    cost.logN <= MOST.logN &&
    cost.r <= MOST.r &&
    cost.p <= MOST.p;
  return possible ? { cost, salt: Buffer.from(salt, "base64"), key: Buffer.from(key, "base64") } : null;
}

/**
 * Makes and checks hashes of passwords as `$scrypt$ln=15,r=8,p=3$salt$key`.
 *
 * A check costs the same whether there is a hash to compare with or not, and only a few run at once, so that sign-ins
 * cannot take all memory; beyond a queue they are refused.
 *
 * @source Percival and Josefsson, RFC 7914; PHC string format
 */
export class Passwords {
  readonly cost: ScryptCost;
  readonly #atOnce: number;
  readonly #mostWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #done = 0;

  constructor(options: { cost?: ScryptCost; atOnce?: number; mostWaiting?: number } = {}) {
    this.cost = options.cost ?? DEFAULT_COST;
    this.#atOnce = options.atOnce ?? 2;
    this.#mostWaiting = options.mostWaiting ?? 60;
  }

  /** How many derivations were made: what enumeration by timing would see. */
  get derivations(): number {
    return this.#done;
  }

  async #derive(password: string, salt: Buffer, cost: ScryptCost, length: number): Promise<Buffer> {
    if (this.#running < this.#atOnce) this.#running++;
    else {
      if (this.#waiting.length >= this.#mostWaiting) {
        throw new PasswordsBusyError("Too many people sign in at this moment. Try again in a minute.");
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await derive(password, salt, cost, length);
    } finally {
      this.#done++;
      const next = this.#waiting.shift();
      // The place goes straight to whoever waits, so that nobody slips in between.
      if (next) next();
      else this.#running--;
    }
  }

  /** @throws PasswordsBusyError */
  async hash(password: string): Promise<string> {
    const { logN, r, p } = this.cost;
    const salt = randomBytes(SALT_BYTES);
    const key = await this.#derive(password, salt, this.cost, KEY_BYTES);
    return `$scrypt$ln=${logN},r=${r},p=${p}$${base64(salt)}$${base64(key)}`;
  }

  /**
   * Whether the password is the one behind a stored hash; with null, as long a look that ends in false.
   *
   * @returns `raise` when it is right and its hash was made with less than today's cost: hash it anew
   * @throws PasswordsBusyError
   */
  async verify(stored: string | null, password: string): Promise<"right" | "raise" | "wrong"> {
    const parsed = stored === null ? null : parse(stored);
    const { cost, salt, key } = parsed ?? {
      cost: this.cost,
      salt: randomBytes(SALT_BYTES),
      key: Buffer.alloc(KEY_BYTES),
    };
    const made = await this.#derive(password, salt, cost, key.length);
    const same = timingSafeEqual(made, key) && parsed !== null;
    if (!same) return "wrong";
    const work = ({ logN, r, p }: ScryptCost) => 2 ** logN * r * p;
    return work(cost) < work(this.cost) ? "raise" : "right";
  }
}

/** Why a new password is not acceptable, in words for its owner; null when it is. */
export function passwordFault(password: string, about: readonly (string | null)[] = []): string | null {
  const { least, most } = PASSWORD_LENGTH;
  const length = [...password].length;
  if (length < least) return `A password has at least ${least} characters.`;
  if (length > most) return `A password has at most ${most} characters.`;
  const plain = password.toLowerCase();
  if (commonPasswords.has(plain) || /^(.{1,3})\1+.{0,2}$/.test(plain)) {
    return "This password is among the first that anybody would try. Choose another one.";
  }
  const own = about.filter((word) => word !== null).map((word) => word.toLowerCase());
  if (own.includes(plain)) return "A password must not be your name or address.";
  return null;
}
