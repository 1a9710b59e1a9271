import { BlockList, isIP } from "node:net";
import { getConnInfo } from "@hono/node-server/conninfo";
import type { MiddlewareHandler } from "hono";
import type { SiteContext, SiteEnv } from "../site-env.ts";

/** Header entries beyond this are not looked at. */
const MAX_HOPS = 20;

/** What proxies add to a request that they pass on. */
const PROXY_HEADERS = ["x-forwarded-for", "forwarded", "x-real-ip", "via"] as const;

/** `::ffff:10.0.0.1` is the address 10.0.0.1; some proxies write a port behind it. */
function plainAddress(address: string): string {
  const text = address
    .trim()
    .replace(/^\[([^\]]*)\](?::\d+)?$/, "$1")
    .replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1");
  return text.toLowerCase().startsWith("::ffff:") && isIP(text.slice(7)) === 4 ? text.slice(7) : text;
}

const family = (address: string) => (isIP(address) === 6 ? "ipv6" : "ipv4");

function rangesOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", prefix] = range.split("/");
    if (prefix === undefined) list.addAddress(address, family(address));
    else list.addSubnet(address, Number(prefix), family(address));
  }
  return list;
}

/**
 * The client behind proxies: from the right end of X-Forwarded-For, the first address that is not a trusted proxy.
 * Headers count only when the connection itself comes from a trusted proxy: anybody can write them.
 */
export function clientAddress(
  connected: string,
  forwardedFor: string | undefined,
  trusted: BlockList,
): string {
  const isTrusted = (address: string) => isIP(address) !== 0 && trusted.check(address, family(address));
  let client = plainAddress(connected);
  const hops = (forwardedFor ?? "").split(",").slice(-MAX_HOPS).map(plainAddress);
  while (isTrusted(client)) {
    const before = hops.pop();
    if (before === undefined || isIP(before) === 0) break;
    client = before;
  }
  return client;
}

function connectedAddress(context: SiteContext): string {
  // Requests that tests make without a server have no connection.
  const server: unknown = context.env;
  if (typeof server !== "object" || server === null || !("incoming" in server)) return "127.0.0.1";
  return getConnInfo(context).remote.address ?? "unknown";
}

/**
 * Sets `client`; `secure`: whether the reader's browser speaks HTTPS with the site or with a trusted proxy; `passedOn`:
 * whether a proxy passed the request on that the settings do not name.
 *
 * @param onUnnamedProxy  called once, with the address of the first such proxy
 */
export function findClient(
  trustedProxies: readonly string[],
  onUnnamedProxy: (address: string) => void = () => {},
): MiddlewareHandler<SiteEnv> {
  const trusted = rangesOf(trustedProxies);
  let told = false;
  return async (context, next) => {
    const connected = plainAddress(connectedAddress(context));
    context.set("client", clientAddress(connected, context.req.header("x-forwarded-for"), trusted));
    const viaProxy = isIP(connected) !== 0 && trusted.check(connected, family(connected));
    const passedOn = !viaProxy && PROXY_HEADERS.some((name) => context.req.header(name) !== undefined);
    context.set("passedOn", passedOn);
    if (passedOn && !told) {
      told = true;
      onUnnamedProxy(connected);
    }
    const protocol = viaProxy ? context.req.header("x-forwarded-proto") : undefined;
    context.set("secure", protocol === "https" || new URL(context.req.url).protocol === "https:");
    await next();
  };
}
