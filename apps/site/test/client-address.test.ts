import { BlockList } from "node:net";
import { describe, expect, it } from "vitest";
import { clientAddress } from "../src/http/client-address.ts";

const proxies = new BlockList();
proxies.addSubnet("10.0.0.0", 8);
proxies.addAddress("::1", "ipv6");

describe("the address of a client", () => {
  it.each([
    ["a direct client is itself", "203.0.113.9", undefined, "203.0.113.9"],
    ["headers of a client that is no proxy are not believed", "203.0.113.9", "198.51.100.1", "203.0.113.9"],
    ["a proxy names its client", "10.0.0.1", "203.0.113.9", "203.0.113.9"],
    ["what the client wrote itself stands further left", "10.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"],
    ["several proxies", "10.0.0.1", "203.0.113.9, 10.0.0.2, 10.0.0.3", "203.0.113.9"],
    ["IPv4 in IPv6", "::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"],
    ["IPv6", "::1", "2001:db8::7", "2001:db8::7"],
    ["with a port", "10.0.0.1", "203.0.113.9:50123", "203.0.113.9"],
    ["IPv6 with a port", "::1", "[2001:db8::7]:443", "2001:db8::7"],
    ["a port is no part of a trusted proxy", "10.0.0.1", "203.0.113.9, 10.0.0.2:8080", "203.0.113.9"],
    ["nonsense from a proxy", "10.0.0.1", "unknown", "10.0.0.1"],
    ["nothing from a proxy", "10.0.0.1", undefined, "10.0.0.1"],
    ["only proxies", "10.0.0.1", "10.0.0.2", "10.0.0.2"],
  ])("%s", (_, connected, header, expected) => {
    expect(clientAddress(connected, header, proxies)).toBe(expected);
  });

  it("a very long header costs nothing", () => {
    const header = Array.from({ length: 100_000 }, () => "10.0.0.2").join(",");
    expect(clientAddress("10.0.0.1", header, proxies)).toBe("10.0.0.2");
  });
});
