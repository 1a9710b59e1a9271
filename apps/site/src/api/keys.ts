import { createHash, randomBytes } from "node:crypto";
import type { Store } from "@concord/feed";
import type { MiddlewareHandler } from "hono";
import type { SiteEnv } from "../site-env.ts";

/** Every key begins so: scanners of leaked secrets, and people, know it. */
export const KEY_PREFIX = "concord_";

export function hashKey(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

/** A new key: shown once, of which the store keeps the hash alone. */
export function createKey(): { readonly key: string; readonly keyHash: string; readonly prefix: string } {
  const key = KEY_PREFIX + randomBytes(24).toString("base64url");
  return { key, keyHash: hashKey(key), prefix: key.slice(0, KEY_PREFIX.length + 6) };
}

/** What a key may do; the pages' own sessions may do all of it. */
export const KEY_SCOPES = ["read", "write"] as const;
export type KeyScope = (typeof KEY_SCOPES)[number];

/**
 * Lets requests with `Authorization: Bearer KEY` act for the key's account. Cookies do not count here: no page
 * elsewhere can make a browser use the API in its visitor's name.
 */
export function keyAuthentication(store: Store): MiddlewareHandler<SiteEnv> {
  return async (context, next) => {
    context.set("viewer", null);
    context.set("scopes", []);
    const given = /^Bearer (.{1,200})$/.exec(context.req.header("authorization") ?? "")?.[1];
    if (given !== undefined) {
      const found = given.startsWith(KEY_PREFIX) ? await store.people.apiKey(hashKey(given)) : null;
      if (!found) return context.json({ error: "This key is unknown or was revoked." }, 401);
      const { id, name, role } = found.account;
      context.set("viewer", { id, name, role });
      context.set("scopes", found.key.scopes);
    }
    return next();
  };
}
