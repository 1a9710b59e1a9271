import type { PaperCard } from "../../card.ts";

export const card: PaperCard = {
  slug: "cra",
  title: "Cross-modal Causal Relation Alignment for Video Question Grounding",
  arxivId: "2503.07635",
  published: "2025-03-04",
  authorCount: 6,
  authors: ["Weixing Chen", "Yang Liu", "Binglin Chen", "Jiandong Su", "Yongsen Zheng", "Liang Lin"],
  venue: "CVPR 2025",
  code: { url: "https://github.com/WissingChen/CRA-GQA", licence: "none stated" },
  summary:
    "CRA answers a question about a video and points to the span that supports the answer, trained on questions and answers alone. Smoothed attention that depends on the question yields the span, a contrastive loss ties the attended frames to the text, and two causal corrections, one for vision and one for language, weaken shortcuts. The aim is an answer that rests on the right moment instead of on priors.",
  useFor:
    "My video question answering guesses from habit, and I want it to show the moment that proves the answer.",
  topics: ["video", "grounding"],
  modalities: ["video", "text"],
  addresses: [
    {
      finding: "misaligned-pairs",
      because:
        "A contrastive loss ties the frames that were attended to the text of question and answer, without labelled spans.",
    },
  ],
  publishedResults: [
    {
      caption: "NExT-GQA test, Temp[CLIP] backbone, in %",
      source: "a public note that quotes the paper's tables",
      confirmed: false,
      columns: ["Acc@GQA", "Acc@VQA", "mIoP", "IoU@0.5"],
      rows: [
        { label: "Baseline", values: [16.0, 60.2, 25.7, 8.9] },
        { label: "CRA without Gaussian smoothing", values: [16.4, null, null, 8.0] },
        { label: "CRA", values: [18.2, 61.1, 28.6, 10.6] },
      ],
    },
    {
      caption: "NExT-GQA test, epoch 12, by the way the span is read, in %",
      source: "training log shipped with the official code",
      confirmed: false,
      columns: ["Acc@GQA", "Acc@VQA", "mIoP", "IoU@0.5"],
      rows: [
        { label: "Interval search (pre-hoc)", values: [16.6, 61.2, 26.3, 11.1] },
        { label: "Attention growing (post-hoc)", values: [18.1, 61.2, 28.5, 10.5] },
        { label: "Merged", values: [18.3, 61.2, 28.5, 8.2] },
      ],
    },
  ],
};
