import type { PaperCard } from "../../card.ts";

export const card: PaperCard = {
  slug: "g2l",
  title: "G2L: Semantically Aligned and Uniform Video Grounding via Geodesic and Game Theory",
  arxivId: "2307.14277",
  published: "2023-07-26",
  authorCount: 6,
  authors: ["Hongxiang Li", "Meng Cao", "Xuxin Cheng", "Yaowei Li", "Zhihong Zhu", "Yuexian Zou"],
  venue: "ICCV 2023",
  code: { url: "https://github.com/lihxxxxx/G2L", licence: "none stated" },
  summary:
    "The task is to find the span of a long video that a sentence describes. As only a few moments per video are annotated, ordinary contrastive training pushes away moments that show the very same thing; G2L measures similarity along a graph of neighbouring moments and treats the close ones as weighted positives. A second loss, taken from game theory, sharpens the match among moments that all look alike.",
  useFor:
    "I want to find the moment that a sentence describes, and only a few moments of my training videos are annotated.",
  topics: ["video", "grounding", "retrieval"],
  modalities: ["video", "text"],
  addresses: [
    {
      finding: "misaligned-pairs",
      because:
        "Moments that show the same thing count as weighted positives instead of being pushed away as false negatives.",
    },
    {
      finding: "poor-uniformity",
      because:
        "The loss spreads moments over the sphere and exempts from it only those that truly belong together.",
    },
  ],
  publishedResults: [
    {
      caption: "Video grounding: recall at 1 in %, by the IoU that counts as found",
      source: "comparison table of a later paper (BM-DETR) that quotes G2L",
      confirmed: false,
      columns: [
        "ActivityNet, IoU 0.5",
        "ActivityNet, IoU 0.7",
        "TACoS, IoU 0.3",
        "TACoS, IoU 0.5",
        "Charades (VGG), IoU 0.5",
        "Charades (VGG), IoU 0.7",
      ],
      rows: [
        { label: "2D-TAN", values: [44.51, 26.54, 37.29, 25.32, 41.34, 23.91] },
        { label: "MMN", values: [48.59, 29.26, 39.24, 26.17, 47.31, 27.28] },
        { label: "G2L", values: [51.68, 33.35, 42.74, 30.95, 47.91, 28.42] },
      ],
    },
    {
      caption: "Cost on ActivityNet, in seconds",
      source: "comparison table of a later paper (BM-DETR) that quotes G2L",
      confirmed: false,
      columns: ["Training, per iteration", "Inference"],
      rows: [
        { label: "MMN", values: [0.32, 37] },
        { label: "G2L", values: [0.84, 43] },
      ],
    },
  ],
};
