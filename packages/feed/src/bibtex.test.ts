import { describe, expect, it } from "vitest";
import { bibtex } from "./bibtex.ts";
import { type PaperRecordInput, paperRecord } from "./record.ts";

const record = (over: Partial<PaperRecordInput>) =>
  paperRecord.parse({
    id: "2501.00001",
    title: "A Study of 100% {Braces, Kept} & Money_",
    abstract: "Words.",
    published: "2025-01-01",
    authorCount: 3,
    authors: [{ name: "Zoë Müller" }, { name: "A. Other" }],
    ...over,
  });

describe("bibtex", () => {
  it("escapes what TeX would take for its own, and names the missing authors as others", () => {
    expect(bibtex(record({}))).toBe(
      [
        "@misc{muller2025study,",
        "  title         = {{A Study of 100\\% \\{Braces, Kept\\} \\& Money\\_}},",
        "  author        = {Zoë Müller and A. Other and others},",
        "  year          = {2025},",
        "  eprint        = {2501.00001},",
        "  archivePrefix = {arXiv},",
        "  url           = {https://arxiv.org/abs/2501.00001}",
        "}",
      ].join("\n"),
    );
  });

  it("keeps formulas, and says where a paper appeared", () => {
    const text = bibtex(record({ title: "The $k$-means & \\emph{its} bound" }), "ICML 2025");
    expect(text).toContain("title         = {{The $k$-means \\& \\emph{its} bound}}");
    expect(text).toContain("note          = {ICML 2025}");
  });

  it("has a key and an address even where little is known", () => {
    const text = bibtex(
      record({ id: "local:0123456789ab", authors: [], authorCount: null, published: null, title: "量子" }),
    );
    expect(text.split("\n")[0]).toBe("@misc{paper,");
    expect(text).not.toContain("arxiv");
  });
});
