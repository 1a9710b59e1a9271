import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Piece, parseTex, plainTex } from "./tex.ts";

const text = (value: string): Piece => ({ kind: "text", text: value });
const math = (tex: string, display = false): Piece => ({ kind: "math", tex, display });

describe("parseTex", () => {
  it.each<[string, readonly Piece[]]>([
    ["plain words", [text("plain words")]],
    ["in $O(n \\log n)$ time", [text("in "), math("O(n \\log n)"), text(" time")]],
    ["$$a = b$$", [math("a = b", true)]],
    ["\\(x\\) and \\[y\\]", [math("x"), text(" and "), math("y", true)]],
    ["costs $5 and $10 a day", [text("costs $5 and $10 a day")]],
    ["one $ alone", [text("one $ alone")]],
    [
      "a \\textbf{bold} \\emph{claim}",
      [
        text("a "),
        { kind: "strong", children: [text("bold")] },
        text(" "),
        { kind: "emphasis", children: [text("claim")] },
      ],
    ],
    ["{\\it in vivo}", [{ kind: "emphasis", children: [text("in vivo")] }]],
    ["\\texttt{x\\_y}", [{ kind: "code", children: [text("x_y")] }]],
    ['Erd\\H{o}s, Fran\\c{c}ois, M\\"uller, na\\"{\\i}ve', [text("Erdős, François, Müller, naïve")]],
    ["{BERT} and {a, b}", [text("BERT and {a, b}")]],
    ["see~[1], pp.~3--4, 10~20, ~5%", [text("see\u00a0[1], pp.\u00a03–4, 10~20, ~5%")]],
    ["``quoted''", [text("“quoted”")]],
    ["50\\% of R\\&D", [text("50% of R&D")]],
    ["SAM~\\cite{kirillov2023} works", [text("SAM\u00a0 works")]],
    ["50$\\unicode{x0025}$ $\\unicode{x0007}$", [text("50% "), math("\\unicode{x0007}")]],
    ["\\ours wins", [text("\\ours wins")]],
    ["\\textbf{never closed", [text("\\textbf{never closed")]],
  ])("%s", (source, expected) => {
    expect(parseTex(source)).toEqual(expected);
  });

  it("links addresses of the web, without the marks of the sentence around them", () => {
    const link = (href: string, label = href): Piece => ({ kind: "link", href, children: [text(label)] });
    expect(parseTex("(https://a.example/x_y).")).toEqual([
      text("("),
      link("https://a.example/x_y"),
      text(")."),
    ]);
    expect(parseTex("at https://a.example/w_(z), or")).toEqual([
      text("at "),
      link("https://a.example/w_(z)"),
      text(", or"),
    ]);
    expect(parseTex("\\url{https://a.example/b\\_c}")[0]).toMatchObject({ href: "https://a.example/b_c" });
    expect(parseTex("\\href{https://a.example/}{here}")).toEqual([link("https://a.example/", "here")]);
    expect(parseTex("\\href{javascript:alert(1)}{here}")).toEqual([text("here")]);
    expect(parseTex("\\url{file:///etc/passwd}")).toEqual([text("file:///etc/passwd")]);
  });

  it("takes any text in time that grows with its length", () => {
    const hostile = ["{".repeat(20_000), "$".repeat(20_001), "\\textbf{".repeat(2500), "h".repeat(20_000)];
    for (const source of hostile) {
      const start = process.cpuUsage();
      parseTex(source);
      const { user, system } = process.cpuUsage(start);
      expect((user + system) / 1000).toBeLessThan(1500);
    }
    const parts = fc.constantFrom(
      "$",
      "{",
      "}",
      "\\",
      "\\textbf{",
      "\\'e",
      "a",
      " ",
      "--",
      "~",
      "https://a.b/",
      "\\(",
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 60 }), (list) => {
        const pieces = parseTex(list.join(""));
        expect(pieces.every((piece) => piece.kind !== "text" || piece.text !== "")).toBe(true);
      }),
    );
  });
});

describe("plainTex", () => {
  it("reads like a sentence", () => {
    expect(plainTex("A $k$-means   bound of \\textbf{$O(n)$}, see \\url{https://a.example/}")).toBe(
      "A k-means bound of O(n), see https://a.example/",
    );
  });
});
