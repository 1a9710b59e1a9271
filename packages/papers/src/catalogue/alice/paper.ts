import type { PaperCard } from "../../card.ts";

export const card: PaperCard = {
  slug: "alice",
  title:
    "Anatomical Invariance Modeling and Semantic Alignment for Self-supervised Learning in 3D Medical Image Analysis",
  arxivId: "2302.05615",
  published: "2023-02-11",
  authorCount: 7,
  authors: ["Yankai Jiang", "Mingze Sun", "Heng Guo", "Xiaoyu Bai", "Ke Yan", "Le Lu", "Minfeng Xu"],
  venue: "ICCV 2023",
  code: { url: "https://github.com/alibaba-damo-academy/alice", licence: "Apache-2.0" },
  summary:
    "Bodies are built alike, so crops of one location in two patients should get similar features. Alice finds such crops with a pre-trained anatomical matcher, hides parts of them, and trains a student network to rebuild what is hidden and to agree with its teacher, both across the two patients and within each of them. The result is a 3D encoder that needs fewer labels for tasks such as organ segmentation.",
  useFor: "I have many unlabelled CT scans and only a few with organ labels.",
  topics: ["medical-imaging", "3d", "self-supervised", "segmentation", "few-labels"],
  modalities: ["volume"],
  addresses: [
    {
      finding: "weak-labels",
      because:
        "Crops of the same organ in two patients are trained to get similar features, so that anatomy, and not the patient, decides who is near whom.",
    },
  ],
  publishedResults: [
    {
      caption: "Gain in mean Dice over the previous best self-supervised method, in points",
      source: "abstract of arXiv version 1",
      confirmed: true,
      columns: ["Gain"],
      rows: [
        { label: "FLARE 2022", values: [2.11] },
        { label: "BTCV", values: [1.77] },
      ],
    },
  ],
};
