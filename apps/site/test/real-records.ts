import { type PaperRecord, paperRecord } from "@concord/feed";

/** The day under which the first page of the tests' list stands. */
const LAST_DAY = Date.UTC(2026, 10, 20);
const DAY_MS = 86_400_000;
const PER_DAY = 20;

const methods = ["Contrastive", "Hyperbolic", "Sparse", "Equivariant", "Diffusion-based", "Prompted"];
const subjects = [
  "Image–Text Alignment",
  "Audio Retrieval",
  "Protein Design",
  "Code Search",
  "Video Grounding",
];
const ends = [
  "under Distribution Shift",
  "with $k$-Nearest Negatives",
  "at Scale",
  "without Labels",
  "in $\\mathbb{R}^d$",
  "Revisited",
  "for Low-Resource Languages",
];
const sentences = [
  "We study how two encoders that were trained apart can be made to agree.",
  "The method needs $\\mathcal{O}(n \\log n)$ time and a single pass over the data.",
  "On five benchmarks it gains 3.2~\\% over the strongest baseline, and \\emph{no} component can be left out.",
  "Code: https://github.com/example/method.",
  "We prove that the loss $\\ell(\\theta)=\\sum_i \\log \\sigma(s_{ii}-s_{ij})$ bounds the gap from above.",
  "Surprisingly, temperature alone explains most of the difference that earlier work reports.",
];

const pick = <T>(from: readonly T[], at: number): T => from[at % from.length] as T;
const author = (at: number) => ({
  name: `${pick(["Ana", "Bo", "Chloé", "Dmitri", "Eun-ji"], at)} ${pick(["Núñez", "Li", "O’Neill", "Þórsdóttir", "Kowalski", "Nguyễn"], at * 7)}${at > 29 ? ` ${at}` : ""}`,
});

/** Records that lists meet sooner or later, each with what is hard to show about it. */
export const oddRecords = {
  tex: {
    title:
      "Tight $\\ell_{2}$--$\\ell_{\\infty}$ Bounds for $\\mathrm{softmax}\\left(\\frac{QK^\\top}{\\sqrt{d}}\\right)$",
    abstract:
      "Let $$\\int_0^1 \\frac{\\partial f}{\\partial x}\\,dx = \\sum_{i=1}^{n} w_i x_i^{2}$$ hold. Then \\textbf{all} is $\\leq\\varepsilon$; what \\unknowncommand{this} says, and $\\undefined{x}$, stays readable.",
  },
  longTitle: {
    title: `On the ${"Very ".repeat(30)}Long Titles That Some Authors Give, and a Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft in the Middle of Them`,
    abstract: `${"A_word_without_any_place_to_break_it_".repeat(12)} and then the rest.`,
  },
  rightToLeft: {
    title: "تعلم التمثيل المتباين للنصوص العربية والصور",
    abstract: "نقدم طريقة بسيطة لمواءمة الصور مع النصوص العربية دون بيانات إضافية. النتائج أفضل من الأساس.",
    authors: [{ name: "محمد بن عبد الله" }, { name: "דוד כהן" }, { name: "Sara Levi" }],
  },
  hanzi: {
    title: "基于对比学习的跨模态检索方法研究与大规模预训练模型的对齐问题以及多语言场景下的评测基准",
    abstract: "本文提出一种新的对齐目标,在五个数据集上取得了最好的结果。".repeat(12),
    authors: [{ name: "王小明" }, { name: "山田太郎" }, { name: "김민준" }],
  },
  many: {
    title: "Observation of a Rare Alignment by the Embedding Collaboration",
    authors: Array.from({ length: 400 }, (_, at) => author(at)),
  },
  counted: { title: "A Paper of Which Only the Number of Authors Is Known", authorCount: 31 },
  anonymous: { title: "A Paper Without Authors", abstract: "-", categories: [] },
  withdrawn: { title: "A Proof that P Equals NP", withdrawn: true, comment: "Withdrawn: error in Lemma 3" },
  markup: {
    title: "<script>alert(1)</script> & “Quotes” in Titles: <b>a Survey</b>",
    abstract:
      "<img src=x onerror=alert(1)> \\href{javascript:alert(1)}{press} <https://example.org/a?b=c&d=e>",
  },
  undated: { title: "A Paper Without a Date", published: null, announced: null },
} as const satisfies Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** 120 records as a site has them after a week: ordinary ones, and the odd ones among the newest. */
export function realRecords(): PaperRecord[] {
  const odd = Object.values<Readonly<Record<string, unknown>>>(oddRecords);
  return Array.from({ length: 120 }, (_, at) => {
    const day = new Date(LAST_DAY - Math.floor(at / PER_DAY) * DAY_MS).toISOString().slice(0, 10);
    const id = `2611.${String(20_000 - at).padStart(5, "0")}`;
    const special = at % 2 === 1 ? odd[(at - 1) / 2] : undefined;
    return paperRecord.parse({
      id,
      title: `${pick(methods, at)} ${pick(subjects, at * 3 + 1)} ${pick(ends, at * 5)} (${at})`,
      abstract: Array.from({ length: 3 + (at % 6) }, (_, line) => pick(sentences, at + line)).join(" "),
      ...(special?.authorCount === undefined && {
        authors: Array.from({ length: 1 + (at % 9) }, (_, k) => author(at + k)),
      }),
      published: day,
      announced: day,
      categories: [pick(["cs.LG", "cs.CV", "cs.CL", "eess.AS"], at), "stat.ML"],
      topics: at % 3 === 0 ? ["image-text", "hashing"] : [],
      comment: at % 4 === 0 ? "Accepted at a workshop; 12 pages, 4 figures" : null,
      versions: [
        { version: 1, date: day },
        { version: 2, date: "2026-11-20" },
      ],
      version: 2,
      updated: "2026-11-20",
      links: {
        abstract: `https://arxiv.org/abs/${id}`,
        pdf: `https://arxiv.org/pdf/${id}`,
        ...(at % 5 === 0 && { code: "https://github.com/example/method" }),
        ...(at % 7 === 0 && { project: "https://example.org/project" }),
      },
      ...special,
      ...(special?.title === oddRecords.anonymous.title && { authors: [] }),
    });
  });
}
