import { scryptSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { DEFAULT_COST, Passwords, PasswordsBusyError, passwordFault } from "../../src/people/index.ts";

const LOW = { logN: 4, r: 8, p: 1 };

describe("hashes of passwords", () => {
  it("are what scrypt makes, with a salt of their own", async () => {
    const passwords = new Passwords({ cost: LOW });
    const [first, second] = [
      await passwords.hash("seven wooden kites"),
      await passwords.hash("seven wooden kites"),
    ];
    expect(first).not.toBe(second);
    const [, id, cost, salt, key] = first.split("$");
    expect([id, cost]).toEqual(["scrypt", "ln=4,r=8,p=1"]);
    const made = scryptSync("seven wooden kites", Buffer.from(salt!, "base64"), 32, { N: 16, r: 8, p: 1 });
    expect(Buffer.from(key!, "base64")).toEqual(made);
  });

  it("match their password alone, in whatever form its letters come", async () => {
    const passwords = new Passwords({ cost: LOW });
    const stored = await passwords.hash("cafe\u0301 au lait");
    expect(await passwords.verify(stored, "caf\u00e9 au lait")).toBe("right");
    for (const wrong of ["", "cafe au lait", "caf\u00e9 au lait ", "CAF\u00c9 AU LAIT"])
      expect(await passwords.verify(stored, wrong)).toBe("wrong");
  });

  it("cost the same to look at whether there is one or not", async () => {
    const passwords = new Passwords({ cost: LOW });
    const stored = await passwords.hash("seven wooden kites");
    const before = passwords.derivations;
    await passwords.verify(stored, "wrong");
    await passwords.verify(null, "wrong");
    await passwords.verify("$scrypt$ln=99,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA", "wrong");
    expect(passwords.derivations - before).toBe(3);
  });

  it("ask to be made anew when the cost was raised, not when it was lowered", async () => {
    const stored = await new Passwords({ cost: { logN: 5, r: 8, p: 1 } }).hash("seven wooden kites");
    const verdict = (cost: typeof LOW) => new Passwords({ cost }).verify(stored, "seven wooden kites");
    expect(await verdict({ logN: 5, r: 8, p: 2 })).toBe("raise");
    expect(await verdict({ logN: 5, r: 8, p: 1 })).toBe("right");
    expect(await verdict(LOW)).toBe("right");
  });

  it.each([
    "",
    "plain text",
    "$scrypt$ln=4,r=8,p=1$short$short",
    "$scrypt$ln=0,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
    "$scrypt$ln=60,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
    "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
  ])("that are damaged or ask for too much (%s) match nothing", async (stored) => {
    expect(await new Passwords({ cost: LOW }).verify(stored, "")).toBe("wrong");
  });

  it("are made a few at a time; beyond a queue they are refused", async () => {
    const passwords = new Passwords({ cost: LOW, atOnce: 2, mostWaiting: 3 });
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => passwords.hash("seven wooden kites")),
    );
    const refused = results.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(5);
    for (const result of refused)
      expect(result.status === "rejected" && result.reason).toBeInstanceOf(PasswordsBusyError);
    await expect(passwords.hash("seven wooden kites")).resolves.toContain("$scrypt$");
  });

  it("cost 32 MiB and the work of OWASP's advice", () => {
    const { logN, r, p } = DEFAULT_COST;
    expect(128 * 2 ** logN * r).toBe(32 * 2 ** 20);
    // N = 2^17, r = 8, p = 1 is the first of the equal settings; the third has the same memory as ours.
    expect(2 ** logN * r * p).toBeGreaterThanOrEqual((2 ** 17 * 8 * 3) / 4);
  });
});

describe("new passwords", () => {
  it.each([
    ["short", "at least 10"],
    ["x".repeat(201), "at most 200"],
    ["Password123", "anybody would try"],
    ["qwertyuiop", "anybody would try"],
    ["aaaaaaaaaaaa", "anybody would try"],
    ["abababababab", "anybody would try"],
    ["ada@example.org", "must not be your name"],
  ])("such as %s are refused: %s", (password, words) => {
    expect(passwordFault(password, ["ada", "ada@example.org"])).toContain(words);
  });

  it("that are long enough and not common are taken, of any script", () => {
    for (const password of [
      "seven wooden kites",
      "zwölf Boxkämpfer",
      "七つの木の凧が空を飛ぶ",
      `${"🪁".repeat(4)}kites!`,
    ])
      expect(passwordFault(password)).toBeNull();
  });
});
