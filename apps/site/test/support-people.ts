import { expect } from "vitest";
import { type TestApp, testApp, Visitor } from "./support-app.ts";

export const PASSWORD = "seven wooden kites";
export const MINUTE = 60_000;

/** A site whose clock stands until it is moved. */
export async function siteAt(folder: string, options: Parameters<typeof testApp>[1] = {}) {
  let now = Date.UTC(2026, 10, 20, 12);
  const site = await testApp(folder, { clock: () => now, ...options });
  const visitor = () => new Visitor((path, init) => site.app.request(path, init));
  return {
    ...site,
    visitor,
    pass: (ms: number) => {
      now += ms;
    },
  };
}
export type Site = Awaited<ReturnType<typeof siteAt>>;

/** The first account of a site, signed in. */
export async function owner(site: Site): Promise<Visitor> {
  const ada = site.visitor();
  await ada.get("/sign-up");
  const answer = await ada.post("/sign-up", { name: "ada", email: "ada@example.org", password: PASSWORD });
  expect(answer.status).toBe(303);
  await ada.get("/settings");
  return ada;
}

/** The link of the newest message to an address. */
export async function linkTo(site: TestApp, email: string): Promise<string> {
  await site.people.office.idle();
  const message = site.mails.filter(({ to }) => to === email).at(-1);
  const link = /http:\/\/papers\.test(\/link\/[\w-]{43})\n/.exec(message?.text ?? "")?.[1];
  if (link === undefined)
    throw new Error(`There is no link for ${email} among ${site.mails.length} messages.`);
  return link;
}

/** Somebody who signed up by e-mail. */
export async function member(site: Site, name: string, password = ""): Promise<Visitor> {
  const visitor = site.visitor();
  await visitor.get("/sign-up");
  site.pass(5000);
  const email = `${name}@example.org`;
  expect((await visitor.post("/sign-up", { email })).status).toBe(200);
  const link = await linkTo(site, email);
  await visitor.get(link);
  expect((await visitor.post(link, { name, password })).status).toBe(303);
  await visitor.get("/settings");
  return visitor;
}

/** Somebody who signs in by password, with an account that is made straight in the store. */
export async function signedIn(
  site: TestApp,
  name: string,
  headers: Record<string, string> = {},
): Promise<Visitor> {
  if ((await site.feed.people.byName(name)) === null) {
    const account = await site.feed.people.create({
      name,
      email: `${name}@example.org`,
      emailVerified: true,
    });
    const secret = await site.people.passwords.hash(PASSWORD);
    await site.feed.people.setCredential({ accountId: account.id, kind: "password", ref: "", secret });
  }
  const visitor = new Visitor((path, init) => site.app.request(path, init), headers);
  await visitor.get("/sign-in");
  expect((await visitor.post("/sign-in", { login: name, password: PASSWORD })).status).toBe(303);
  await visitor.get("/settings");
  return visitor;
}
