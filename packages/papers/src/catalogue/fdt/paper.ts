import type { PaperCard } from "../../card.ts";

export const card: PaperCard = {
  slug: "fdt",
  title:
    "Revisiting Multimodal Representation in Contrastive Learning: From Patch and Token Embeddings to Finite Discrete Tokens",
  arxivId: "2303.14865",
  published: "2023-03-26",
  authorCount: 8,
  authors: [
    "Yuxiao Chen",
    "Jianbo Yuan",
    "Yu Tian",
    "Shijie Geng",
    "Xinyu Li",
    "Ding Zhou",
    "Dimitris N. Metaxas",
    "Hongxia Yang",
  ],
  venue: "CVPR 2023",
  code: { url: "https://github.com/yuxiaochen1103/FDT", licence: "Apache-2.0" },
  summary:
    "CLIP compares a whole picture with a whole caption, although image patches and words differ in grain. FDT puts one learned dictionary between the two: patches and words vote for its entries, a sparse rule keeps only some of them active, and the weighted entries form the embedding of either side. Matching content must then switch on the same entries, which also shows which concept a patch or a word stands for.",
  useFor:
    "My captions say far less than my images show, and I want better retrieval and readable concepts from the same encoders.",
  topics: ["image-text", "retrieval"],
  modalities: ["image", "text"],
  addresses: [
    {
      finding: "modality-gap",
      because:
        "Both sides become weighted sums of the same learned dictionary entries, so neither has a region of its own.",
    },
    {
      finding: "misaligned-pairs",
      because:
        "Patches and words that mean the same must switch on the same entries, which mends pairs whose two sides differ in detail.",
    },
  ],
  publishedResults: [
    {
      caption: "Trained on CC3M, ViT-B/32, batch 1024, 32 epochs",
      source: "README of the official re-implementation",
      confirmed: false,
      columns: ["ImageNet zero-shot top-1, %", "COCO retrieval, sum of six recalls"],
      rows: [
        { label: "CLIP", values: [15.4, 145.1] },
        { label: "CLIP + FDT", values: [18.4, 189.5] },
      ],
    },
  ],
};
