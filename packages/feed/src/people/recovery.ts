import { type Account, type Clock, type Store, StoreError } from "../store/ports.ts";
import { LINK_MS } from "./accounts.ts";
import { newSecret, secretHash } from "./tokens.ts";

/** Stands where an account has no address: a token names one. */
export const NO_ADDRESS = "nobody@localhost";

/**
 * A link with which the operator of a site lets the holder of an account choose a new password, without mail. It works
 * once, within 15 minutes.
 *
 * @param who  name or e-mail address of the account
 * @throws StoreError `not-found`
 */
export async function recoveryLink(
  store: Store,
  who: string,
  options: { readonly publicUrl: string; readonly clock?: Clock },
): Promise<{ readonly link: string; readonly account: Account }> {
  const { publicUrl, clock = Date.now } = options;
  const account = who.includes("@") ? await store.people.byEmail(who) : await store.people.byName(who);
  if (account === null) throw new StoreError("not-found", `There is no account ${JSON.stringify(who)}.`);
  const secret = newSecret();
  await store.people.addLoginToken({
    tokenHash: secretHash(secret),
    purpose: "reset-password",
    email: account.email ?? NO_ADDRESS,
    accountId: account.id,
    expiresAt: clock() + LINK_MS,
  });
  return { link: `${publicUrl.replace(/\/+$/, "")}/link/${secret}`, account };
}
