import { cleanText } from "../record.ts";
import { type Account, type Clock, type LoginToken, type Store, StoreError } from "../store/ports.ts";
import { emailAddress } from "../store/sql/accounts.ts";
import { PeopleError } from "./errors.ts";
import { limitRules, takeOrRefuse, type Whence } from "./limits.ts";
import { messages } from "./messages.ts";
import { type Passwords, passwordFault } from "./password.ts";
import type { PostOffice } from "./post-office.ts";
import { keyedMark, newSecret, secretHash } from "./tokens.ts";

const MINUTE = 60_000;
/** How long links live that give entry to an account. */
export const LINK_MS = 15 * MINUTE;
/** A link that gives nobody entry to something that exists may live longer. */
const PATIENT_LINK_MS = 24 * 60 * MINUTE;
const MAX_LOGIN = 254;

const RESERVED = new Set(
  "admin administrator concord daily-papers dailypapers everyone help moderator nobody owner root security staff support system team webmaster you".split(
    " ",
  ),
);

export interface AccountsOptions {
  readonly store: Store;
  readonly passwords: Passwords;
  readonly office: PostOffice;
  readonly clock: Clock;
  /** Key of marks: what names and addresses are called in limits. */
  readonly secret: string;
  /** Address of the site without a slash at the end. */
  readonly publicUrl: () => string;
  readonly signUp: "open" | "closed";
}

/** `you@EXAMPLE.org ` as it is kept. @throws PeopleError `fault` */
export function checkedEmail(text: string): string {
  const parsed = emailAddress.safeParse(text);
  if (!parsed.success)
    throw new PeopleError("fault", "Expected an e-mail address such as you@example.org.", { field: "email" });
  return parsed.data;
}

/** @throws PeopleError `fault` */
export function checkedName(text: string): string {
  const name = text.trim();
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{1,31}$/.test(name)) {
    throw new PeopleError(
      "fault",
      "A name has 2 to 32 letters a to z, digits, hyphens and underscores, and begins with a letter or digit.",
      { field: "name" },
    );
  }
  if (RESERVED.has(name.toLowerCase()))
    throw new PeopleError("fault", "This name could be mistaken for the site's own. Choose another one.", {
      field: "name",
    });
  return name;
}

/** @throws PeopleError `fault` */
export function checkedDisplayName(text: string): string {
  const name = cleanText(text.slice(0, 400));
  if (name.length < 1 || name.length > 60)
    throw new PeopleError("fault", "The name that others see has 1 to 60 characters.", {
      field: "displayName",
    });
  return name;
}

/** Accounts and how people get into them: by password, and by links that are sent to their address. */
export class Accounts {
  readonly #options: AccountsOptions;
  #some = false;

  constructor(options: AccountsOptions) {
    this.#options = options;
  }

  /** Whether nobody has an account yet: the next one is the owner's. */
  async isEmpty(): Promise<boolean> {
    if (!this.#some) this.#some = (await this.#options.store.people.list({ limit: 1 })).items.length > 0;
    return !this.#some;
  }

  #mark(what: string): string {
    return keyedMark(this.#options.secret, "limit", what.trim().toLowerCase().slice(0, MAX_LOGIN)).slice(
      0,
      22,
    );
  }

  #checkPassword(password: string, about: readonly (string | null)[]): void {
    const fault = passwordFault(password, about);
    if (fault !== null) throw new PeopleError("fault", fault, { field: "password" });
  }

  async #setPassword(accountId: string, hash: string, store: Pick<Store, "people"> = this.#options.store) {
    await store.people.setCredential({ accountId, kind: "password", ref: "", secret: hash });
  }

  /** Makes an account; a taken name or address is a fault of its field. */
  async #create(
    wanted: { name: string; email: string | null; verified: boolean; hash: string | null },
    condition: (some: boolean) => void,
  ): Promise<Account> {
    try {
      return await this.#options.store.transaction(async (ports) => {
        condition((await ports.people.list({ limit: 1 })).items.length > 0);
        const { name, email, verified, hash } = wanted;
        const account = await ports.people.create({ name, email, emailVerified: verified });
        if (hash !== null) await this.#setPassword(account.id, hash, ports);
        return account;
      });
    } catch (error) {
      if (error instanceof StoreError && error.code === "conflict") {
        const field = error.message.startsWith("name") ? "name" : "email";
        const words = field === "name" ? "This name is taken." : "This address cannot be used.";
        throw new PeopleError("fault", words, { field });
      }
      throw error;
    }
  }

  /**
   * Makes the first account, the owner's, at once: there may be no mail server yet.
   *
   * @throws PeopleError `refused` when there is an account by now
   */
  async createFirst(wanted: {
    readonly name: string;
    readonly email: string;
    readonly password: string;
  }): Promise<Account> {
    const name = checkedName(wanted.name);
    const email = wanted.email.trim() === "" ? null : checkedEmail(wanted.email);
    this.#checkPassword(wanted.password, [name, email]);
    const hash = await this.#options.passwords.hash(wanted.password);
    return this.#create({ name, email, verified: false, hash }, (some) => {
      if (some) throw new PeopleError("refused", "The first account has been made meanwhile.");
    });
  }

  /**
   * The account of a name or address and its password. Looks, derivations and writes are the same in number for known
   * and unknown names.
   *
   * @returns null when name or password are wrong
   * @throws PeopleError `limited`; `refused` for a suspended account with the right password; PasswordsBusyError
   */
  async signIn(login: string, password: string, whence: Whence): Promise<Account | null> {
    const { store, passwords, clock } = this.#options;
    const mark = this.#mark(login);
    await takeOrRefuse(store.limits, limitRules.signIn(mark, whence), clock());
    const wanted = login.trim().slice(0, MAX_LOGIN);
    const account = wanted.includes("@")
      ? await store.people.byEmail(wanted)
      : await store.people.byName(wanted);
    const [credential] = await store.people.credentials(account?.id ?? "nobody", "password");
    const verdict = await passwords.verify(credential?.secret ?? null, password.slice(0, 1000));
    if (verdict === "wrong" || account === null) return null;
    if (account.state === "suspended")
      throw new PeopleError("refused", "This account is suspended. Whoever runs this site can say why.");
    if (verdict === "raise") await this.#setPassword(account.id, await passwords.hash(password));
    await store.people.touchCredential(account.id, "password", "");
    await store.limits.clear(limitRules.signInKey(mark, whence));
    return account;
  }

  async #token(
    token: Omit<LoginToken, "tokenHash" | "createdAt" | "expiresAt">,
    ms: number,
  ): Promise<string> {
    const secret = newSecret();
    const expiresAt = this.#options.clock() + ms;
    await this.#options.store.people.addLoginToken({ ...token, tokenHash: secretHash(secret), expiresAt });
    return `${this.#options.publicUrl()}/link/${secret}`;
  }

  async #mayMail(email: string, member: boolean): Promise<boolean> {
    const mark = this.#mark(email);
    const rules = member ? limitRules.mailToMember(mark) : limitRules.mailToStranger(mark);
    return (await this.#options.store.limits.take(rules)).allowed;
  }

  /**
   * Sends a link to an address: to sign in, or to sign up where it has no account and sign-up is open. Whether and which
   * is found out behind the answer.
   *
   * @throws PeopleError `fault` for what is no address, `limited`
   */
  async requestLink(text: string, whence: Whence, purpose: "sign-in" | "sign-up"): Promise<void> {
    const { store, clock, office, publicUrl, signUp } = this.#options;
    const email = checkedEmail(text);
    const rules = purpose === "sign-in" ? limitRules.link(whence) : limitRules.signUp(whence);
    await takeOrRefuse(store.limits, rules, clock());
    office.later(async () => {
      const account = await store.people.byEmail(email);
      if (account === null && (signUp === "closed" || (await this.isEmpty()))) return null;
      if (account?.state === "suspended" || !(await this.#mayMail(email, account !== null))) return null;
      if (account === null) {
        const link = await this.#token({ purpose: "login", email, accountId: null }, PATIENT_LINK_MS);
        return messages.signUp(email, link, publicUrl());
      }
      const address = account.email ?? email;
      const link = await this.#token({ purpose: "login", email: address, accountId: account.id }, LINK_MS);
      return messages.signIn(address, link, publicUrl());
    });
  }

  /** Sends a link to choose a new password, where the address has an account. Throws like `requestLink`. */
  async requestReset(text: string, whence: Whence): Promise<void> {
    const { store, clock, office, publicUrl } = this.#options;
    const email = checkedEmail(text);
    await takeOrRefuse(store.limits, limitRules.link(whence), clock());
    office.later(async () => {
      const account = await store.people.byEmail(email);
      if (account?.email == null || account.state === "suspended" || !(await this.#mayMail(email, true)))
        return null;
      const wanted = { purpose: "reset-password", email: account.email, accountId: account.id } as const;
      return messages.reset(account.email, await this.#token(wanted, LINK_MS), publicUrl());
    });
  }

  /**
   * An owner's invitation: a link with which the holder of an address makes an account, also where sign-up is closed
   * and where no mail is sent.
   */
  async invite(text: string): Promise<{ readonly link: string; readonly email: string }> {
    const email = checkedEmail(text);
    const link = await this.#token({ purpose: "login", email, accountId: null }, PATIENT_LINK_MS);
    return { link, email };
  }

  /** What a link is for, without using it up; null when it is used, expired or made up. */
  async peek(
    secret: string,
  ): Promise<{ readonly token: LoginToken; readonly account: Account | null } | null> {
    const { people } = this.#options.store;
    const token = await people.peekLoginToken(secretHash(secret));
    if (token === null) return null;
    const account = token.accountId === null ? null : await people.get(token.accountId);
    if (token.accountId !== null && (account === null || account.state !== "active")) return null;
    // The address of the account has changed since: the link would go to its former owner.
    const moved = account !== null && account.email !== null && account.email !== token.email;
    if (token.purpose !== "verify-email" && moved) return null;
    return { token, account };
  }

  async #take(secret: string, purpose: LoginToken["purpose"]) {
    const found = await this.peek(secret);
    if (found === null || found.token.purpose !== purpose) return null;
    return (await this.#options.store.people.takeLoginToken(secretHash(secret))) === null ? null : found;
  }

  #used(): PeopleError {
    return new PeopleError("refused", "This link was used already, or its time is over. Ask for a new one.");
  }

  /** Signs in by a link, which also proves the address. @throws PeopleError `refused` */
  async signInByLink(secret: string): Promise<Account> {
    const found = await this.#take(secret, "login");
    if (found?.account == null) throw this.#used();
    return this.#proved(found.account);
  }

  #proved(account: Account): Promise<Account> | Account {
    return account.emailVerified
      ? account
      : this.#options.store.people.update(account.id, { emailVerified: true });
  }

  /**
   * Makes the account of a sign-up link. The link stays good when something typed in is not.
   *
   * @throws PeopleError `fault` or `refused`
   */
  async signUpByLink(
    secret: string,
    wanted: { readonly name: string; readonly password: string },
  ): Promise<Account> {
    const { store, passwords } = this.#options;
    const found = await this.peek(secret);
    if (found === null || found.token.purpose !== "login" || found.token.accountId !== null)
      throw this.#used();
    const name = checkedName(wanted.name);
    const { email } = found.token;
    if (wanted.password !== "") this.#checkPassword(wanted.password, [name, email]);
    if ((await store.people.byName(name)) !== null)
      throw new PeopleError("fault", "This name is taken.", { field: "name" });
    const hash = wanted.password === "" ? null : await passwords.hash(wanted.password);
    if ((await store.people.takeLoginToken(secretHash(secret))) === null) throw this.#used();
    return this.#create({ name, email, verified: true, hash }, () => {});
  }

  /** Sets a new password by a link and ends all sessions. @throws PeopleError `fault` or `refused` */
  async resetByLink(secret: string, password: string): Promise<Account> {
    const { store, passwords, office, publicUrl } = this.#options;
    const found = await this.peek(secret);
    if (found?.account == null || found.token.purpose !== "reset-password") throw this.#used();
    const { account } = found;
    this.#checkPassword(password, [account.name, account.email]);
    const hash = await passwords.hash(password);
    if ((await store.people.takeLoginToken(secretHash(secret))) === null) throw this.#used();
    await this.#setPassword(account.id, hash);
    await store.people.closeSessions(account.id);
    if (account.email !== null) office.post(messages.passwordChanged(account.email, publicUrl()));
    return account.email === null ? account : this.#proved(account);
  }

  /** Confirms the address of an account, or gives it a new one. @throws PeopleError `refused` */
  async confirmEmail(secret: string): Promise<Account> {
    const { store, office, publicUrl } = this.#options;
    const found = await this.#take(secret, "verify-email");
    if (found?.account == null) throw this.#used();
    const { account, token } = found;
    try {
      const changed = await store.people.update(account.id, { email: token.email, emailVerified: true });
      if (account.email !== null && account.email !== token.email && account.emailVerified)
        office.post(messages.emailChanged(account.email, publicUrl()));
      return changed;
    } catch (error) {
      if (error instanceof StoreError && error.code === "conflict")
        throw new PeopleError("refused", "This address cannot be used.");
      throw error;
    }
  }

  async hasPassword(accountId: string): Promise<boolean> {
    return (await this.#options.store.people.credentials(accountId, "password")).length > 0;
  }

  /**
   * Makes sure that whoever is signed in is the account's holder, where something hard to undo follows. Accounts
   * without password pass: their session is all there is to ask for.
   *
   * @throws PeopleError `fault` for a wrong password, `limited`
   */
  async confirmHolder(accountId: string, password: string): Promise<void> {
    const { store, passwords, clock } = this.#options;
    const [credential] = await store.people.credentials(accountId, "password");
    if (credential === undefined) return;
    await takeOrRefuse(store.limits, limitRules.password(accountId), clock());
    if ((await passwords.verify(credential.secret, password)) === "wrong")
      throw new PeopleError("fault", "This is not your password.", { field: "current" });
  }

  /** Sends a link that gives the account this address; behind the answer, as others may have it. */
  async requestEmail(account: Account, text: string, whence: Whence): Promise<void> {
    const { store, clock, office, publicUrl } = this.#options;
    const email = checkedEmail(text);
    await takeOrRefuse(store.limits, limitRules.link(whence), clock());
    office.later(async () => {
      const holder = await store.people.byEmail(email);
      if (holder !== null && holder.id !== account.id) return null;
      if (!(await this.#mayMail(email, holder !== null))) return null;
      const wanted = { purpose: "verify-email", email, accountId: account.id } as const;
      return messages.verify(email, await this.#token(wanted, PATIENT_LINK_MS), publicUrl());
    });
  }

  /** Sets a password; all sessions but one end. @throws PeopleError `fault`, `limited` */
  async changePassword(
    account: Account,
    wanted: { readonly current: string; readonly password: string; readonly keep: string },
  ): Promise<void> {
    const { store, passwords, office, publicUrl } = this.#options;
    await this.confirmHolder(account.id, wanted.current);
    this.#checkPassword(wanted.password, [account.name, account.email]);
    await this.#setPassword(account.id, await passwords.hash(wanted.password));
    await store.people.closeSessions(account.id, { except: wanted.keep });
    if (account.email !== null && account.emailVerified)
      office.post(messages.passwordChanged(account.email, publicUrl()));
  }

  /** Deletes an account for good. @throws PeopleError `fault`, `limited`; `refused` for the last owner among others */
  async remove(account: Account, wanted: { readonly current: string; readonly name: string }): Promise<void> {
    if (wanted.name.trim().toLowerCase() !== account.name.toLowerCase())
      throw new PeopleError("fault", `Type ${account.name} to confirm.`, { field: "name" });
    await this.confirmHolder(account.id, wanted.current);
    try {
      await this.#options.store.people.remove(account.id);
      this.#some = false;
    } catch (error) {
      if (error instanceof StoreError && error.code === "conflict")
        throw new PeopleError("refused", "You are the only owner. Make somebody else an owner first.");
      throw error;
    }
  }
}
