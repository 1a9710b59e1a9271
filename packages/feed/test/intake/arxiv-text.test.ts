import { describe, expect, it } from "vitest";
import {
  dayOfMoment,
  linksOf,
  repairedId,
  saysWithdrawn,
  splitAuthors,
  submittedThen,
} from "../../src/intake/formats/arxiv-text.ts";
import { parseArxivId } from "../../src/intake/index.ts";

describe("identifiers", () => {
  it.each([
    ["2504.12717", "2504.12717", null],
    ["2504.12717v12", "2504.12717", 12],
    ["0704.0001v1", "0704.0001", 1],
    ["arXiv:1412.9999", "1412.9999", null],
    ["http://arxiv.org/abs/1501.00001v2", "1501.00001", 2],
    ["https://www.arxiv.org/pdf/1501.00001.pdf", "1501.00001", null],
    ["oai:arXiv.org:cond-mat/0207270v1", "cond-mat/0207270", 1],
    ["solv-int/9701001", "solv-int/9701001", null],
    ["math.CA/0611800v3", "math/0611800", 3],
    [" 2504.12717 ", "2504.12717", null],
  ])("%s is %s, version %s", (text, id, version) => {
    expect(parseArxivId(text)).toEqual({ id, version });
  });

  it.each([
    "",
    "abc",
    "2504.1271",
    "1412.99999",
    "2513.00001",
    "2500.00001",
    "2504.12717v0",
    "2504.12717v",
    "2504.12717v1v2",
    "Math/0611800",
    "math/061180",
    "math/0613800",
    "https://example.org/abs/2504.12717",
    "2504.12717\n2504.12718",
  ])("%j is none", (text) => {
    expect(parseArxivId(text)).toBeNull();
  });

  it("get their zeros back where the day of submission agrees", () => {
    expect(repairedId("901.161", "2009-01-12")).toBe("0901.1610");
    expect(repairedId("1501.0031099999999", "2015-01-01")).toBe("1501.00311");
    expect(repairedId("1206.578", "2012-04-24")).toBe("1206.5780");
    expect(repairedId("901.161", "2012-01-12")).toBeNull();
    expect(repairedId("901.161", null)).toBeNull();
    expect(repairedId("12.5", "2012-01-12")).toBeNull();
  });

  it("name the month of submission or a later one", () => {
    expect(submittedThen("2405.01234", "2024-05-31")).toBe(true);
    expect(submittedThen("2405.01234", "2024-04-30")).toBe(true);
    expect(submittedThen("2405.01234", "2024-06-01")).toBe(false);
    expect(submittedThen("2405.01234", "2023-04-30")).toBe(false);
    expect(submittedThen("cond-mat/9901001", "1998-12-31")).toBe(true);
  });
});

describe("texts of arXiv", () => {
  it.each([
    ["2026-05-14", "2026-05-14"],
    ["2026-05-14T23:30:00-04:00", "2026-05-15"],
    ["2026-05-14T00:00:00", "2026-05-14"],
    ["Thu, 14 May 2026 00:00:00 -0400", "2026-05-14"],
    ["Thu, 2 May 2024 23:30:00 GMT", "2024-05-02"],
    ["2026-02-30", null],
    ["2026-13-01T00:00:00Z", null],
    ["yesterday", null],
    ["2026", null],
    ["", null],
    [null, null],
  ])("the day of %j is %j", (text, day) => {
    expect(dayOfMoment(text)).toBe(day);
  });

  it.each([
    ["Ada Example, Bo Müller", ["Ada Example", "Bo Müller"]],
    ["Ada Example and Bo Müller", ["Ada Example", "Bo Müller"]],
    ["A. One, B. Two, and C. Three", ["A. One", "B. Two", "C. Three"]],
    ["Cy Old, Jr., Di New", ["Cy Old, Jr.", "Di New"]],
    ["A (X, Y (Z, W)), B ((1) V)", ["A", "B"]],
    ["Sand and Andrea Anders", ["Sand", "Andrea Anders"]],
    ["", []],
    [" , ; ", []],
  ])("the authors of %j are %j", (text, names) => {
    expect(splitAuthors(text).map(({ name }) => name)).toEqual(names);
  });

  it("name code and project pages", () => {
    expect(linksOf("2405.01234", "See https://github.com/a/b.git.", "https://x.github.io/y/ too")).toEqual({
      abstract: "https://arxiv.org/abs/2405.01234",
      pdf: "https://arxiv.org/pdf/2405.01234",
      code: "https://github.com/a/b",
      project: "https://x.github.io/y/",
    });
    expect(linksOf("2405.01234", "https://github.com/only-a-user", null)).not.toHaveProperty("code");
  });

  it.each([
    ["This paper has been withdrawn by the author", true],
    ["Withdrawn due to an error", true],
    ["withdrawn.", true],
    ["7 pages; ISSN (online): 1694-0814 This paper has been withdrawn by the author due to errors", true],
    ["The paper is withdrawn from the arxiv. It was sent by mistake", true],
    ["This version withdrawn by arXiv administrators", true],
    ["6 pages. This paper was withdrawn from the conference by its chairs", false],
    ["accepted as conference paper but withdrawn", false],
    ["We correct a paper that was withdrawn", false],
    ["Students who have withdrawn", false],
  ])("%j says withdrawn: %s", (comment, expected) => {
    expect(saysWithdrawn(comment, "An abstract.")).toBe(expected);
  });

  it("tells an abstract about withdrawals from one that is withdrawn", () => {
    expect(saysWithdrawn(null, "We ask when the paper is withdrawn by the authors.")).toBe(false);
    expect(saysWithdrawn(null, "This version withdrawn by arXiv administrators.")).toBe(true);
  });
});
