import { isIPv6 } from "node:net";

/** The eight groups of an IPv6 address, as numbers. */
function groupsOf(address: string): number[] {
  const [head = "", tail] = address.replace(/%.*$/, "").split("::");
  const groups = (part: string) =>
    part === ""
      ? []
      : part.split(":").flatMap((group) => {
          if (!group.includes(".")) return [Number.parseInt(group, 16)];
          const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
          return [a * 256 + b, c * 256 + d];
        });
  const front = groups(head);
  if (tail === undefined) return front;
  const back = groups(tail);
  return [...front, ...Array<number>(Math.max(0, 8 - front.length - back.length)).fill(0), ...back];
}

/**
 * The network that an address belongs to, for limits: one subscriber (the IPv4 address, the IPv6 /64) or the block around
 * it (/24, /48).
 */
export function networkOf(address: string, size: "subscriber" | "block"): string {
  if (isIPv6(address)) {
    const kept = groupsOf(address).slice(0, size === "subscriber" ? 4 : 3);
    return `${kept.map((group) => group.toString(16)).join(":")}::`;
  }
  return size === "subscriber" ? address : address.split(".").slice(0, 3).join(".");
}
