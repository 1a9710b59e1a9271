import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** The addresses that IANA hands out for the public Internet; everything else of IPv6 is special or unassigned. */
const GLOBAL_IPV6 = ipaddr.parseCIDR("2000::/3");

/**
 * Whether an address belongs to one host of the public Internet: not private, loopback, link-local, shared,
 * multicast, reserved, documentation, nor an IPv4 address in an IPv6 coat that a translator would take off
 * (mapped addresses are judged by what is inside; 6to4, Teredo, NAT64 and zones are refused).
 */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0 || address.includes("%")) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== "unicast") return false;
  return parsed.kind() === "ipv4" || parsed.match(GLOBAL_IPV6);
}

/** The address that a URL's hostname spells, without the brackets of IPv6; null when it is a name. */
export function literalAddress(hostname: string): string | null {
  const bare = hostname.startsWith("[") && hostname.endsWith("]") ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? null : bare;
}
