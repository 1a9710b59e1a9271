import type { PaperCard } from "../../card.ts";

export const card: PaperCard = {
  slug: "voco",
  title: "VoCo: A Simple-yet-Effective Volume Contrastive Learning Framework for 3D Medical Image Analysis",
  arxivId: "2402.17300",
  published: "2024-02-27",
  authorCount: 3,
  authors: ["Linshan Wu", "Jiaxin Zhuang", "Hao Chen"],
  venue: "CVPR 2024",
  code: { url: "https://github.com/Luffy03/VoCo", licence: "Apache-2.0" },
  summary:
    "Organs keep their places relative to one another. VoCo cuts a scan into a grid of base crops, takes further crops at random, and asks the network how much each random crop overlaps each base crop, answered only by the similarity of their embeddings. So the encoder learns where in the body it is looking, which helps when only a few scans are labelled.",
  useFor: "I have unlabelled CT volumes and want an encoder that knows where in the body it is looking.",
  topics: ["medical-imaging", "3d", "self-supervised", "segmentation", "few-labels"],
  modalities: ["volume"],
  addresses: [
    {
      finding: "weak-labels",
      because:
        "Crops are trained to know where in the body they lie, so that the same organ is near itself in every scan.",
    },
  ],
  publishedResults: [],
};
