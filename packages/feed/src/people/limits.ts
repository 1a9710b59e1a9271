import type { RateLimits, RateRule } from "../store/ports.ts";
import { PeopleError } from "./errors.ts";

/** Where a request comes from, as keyed marks: the address itself is not kept. */
export interface Whence {
  /** Mark of the address; of the /64 for IPv6. */
  readonly address: string;
  /** Mark of the block around it, /24 or /48. */
  readonly block: string;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const rule = (key: string, limit: number, windowMs: number): RateRule => ({ key, limit, windowMs });

/** A block may hold a university: it gets this many times what one address may. */
const BLOCK_FACTOR = 5;

const from = (what: string, { address, block }: Whence, limit: number, windowMs: number): RateRule[] => [
  rule(`${what}:from:${address}`, limit, windowMs),
  rule(`${what}:block:${block}`, limit * BLOCK_FACTOR, windowMs),
];

/** What may happen how often. Keys hold marks, never addresses or names. */
export const limitRules = {
  /** `login`: mark of what was typed as name or address. */
  signIn: (login: string, whence: Whence) => [
    rule(`sign-in:${login}:${whence.address}`, 10, 15 * MINUTE),
    rule(`sign-in:${login}`, 100, HOUR),
    ...from("sign-in", whence, 40, 15 * MINUTE),
  ],
  /** The rule of `signIn` that a right password forgives. */
  signInKey: (login: string, whence: Whence) => `sign-in:${login}:${whence.address}`,
  signUp: (whence: Whence) => from("sign-up", whence, 5, HOUR),
  link: (whence: Whence) => from("link", whence, 10, HOUR),
  /** Messages to an address that has an account. */
  mailToMember: (email: string) => [rule(`mail:${email}`, 5, HOUR), rule(`mail:${email}`, 12, DAY)],
  /** Messages to an address of which nothing is known: strangers must not be flooded. */
  mailToStranger: (email: string) => [
    rule(`mail-new:${email}`, 1, DAY),
    rule(`mail-new:${email}`, 3, 30 * DAY),
  ],
  password: (accountId: string) => [rule(`password:${accountId}`, 10, 15 * MINUTE)],
  vote: (accountId: string) => [rule(`vote:${accountId}`, 60, MINUTE), rule(`vote:${accountId}`, 600, HOUR)],
  collect: (accountId: string) => [rule(`collect:${accountId}`, 300, HOUR)],
  comment: (accountId: string) => [
    rule(`comment:${accountId}`, 30, HOUR),
    rule(`comment:${accountId}`, 150, DAY),
  ],
  commentOfNewcomer: (accountId: string) => [
    rule(`comment:${accountId}`, 3, HOUR),
    rule(`comment:${accountId}`, 10, DAY),
  ],
  edit: (accountId: string) => [rule(`edit:${accountId}`, 60, HOUR)],
  report: (accountId: string) => [rule(`report:${accountId}`, 20, DAY)],
  submit: (accountId: string) => [
    rule(`submit:${accountId}`, 10, HOUR),
    rule(`submit:${accountId}`, 30, DAY),
  ],
} as const;

/** @throws PeopleError `limited`, with the time when it is possible again */
export async function takeOrRefuse(
  limits: RateLimits,
  rules: readonly RateRule[],
  now: number,
): Promise<void> {
  const { allowed, resetAt } = await limits.take(rules);
  if (allowed) return;
  const minutes = Math.max(1, Math.ceil((resetAt - now) / MINUTE));
  const wait =
    minutes < 90 ? `${minutes} minute${minutes === 1 ? "" : "s"}` : `${Math.ceil(minutes / 60)} hours`;
  throw new PeopleError("limited", `That was too often. It is possible again in ${wait}.`, {
    retryAt: resetAt,
  });
}
