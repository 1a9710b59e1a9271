import type { PaperCard } from "../../card.ts";

const SECOND_SOURCE = "a third-party summary of the paper";

export const card: PaperCard = {
  slug: "mutdet",
  title: "MutDet: Mutually Optimizing Pre-training for Remote Sensing Object Detection",
  arxivId: "2407.09920",
  published: "2024-07-13",
  authorCount: 4,
  authors: ["Ziyue Huang", "Yongchao Feng", "Qingjie Liu", "Yunhong Wang"],
  venue: "ECCV 2024",
  code: { url: "https://github.com/floatingstarZ/MutDet", licence: "none stated" },
  summary:
    "MutDet pre-trains a whole detection transformer, not only its backbone, on unlabelled aerial images. A general segmenter supplies pseudo objects; their embeddings and the detector's features refine each other by cross-attention before a contrastive loss aligns them. A second branch shares all weights but skips that module, so that nothing is missing when the detector is fine-tuned without it.",
  useFor: "I need oriented boxes in aerial images and have only a few hundred annotated images.",
  topics: ["detection", "self-supervised", "few-labels"],
  modalities: ["image"],
  addresses: [
    {
      finding: "misaligned-pairs",
      because:
        "Features of the detector and embeddings of objects come from different networks; they refine each other before a contrastive loss aligns them.",
    },
  ],
  publishedResults: [
    {
      caption: "DIOR-R test, ARS-DETR with ResNet-50, in %",
      source: "Table 2",
      confirmed: true,
      columns: ["AP50", "AP75"],
      rows: [
        { label: "No detection pre-training", values: [65.7, 45.7] },
        { label: "UP-DETR", values: [67.1, 48.4] },
        { label: "AlignDet", values: [65.8, 45.8] },
        { label: "DETReg", values: [67.9, 49.1] },
        { label: "MutDet", values: [70.7, 51.2] },
      ],
    },
    {
      caption: "DOTA-v1.0 test, ARS-DETR with ResNet-50, in %",
      source: "Table 3",
      confirmed: true,
      columns: ["AP50", "AP75"],
      rows: [
        { label: "No detection pre-training", values: [72.9, 49.6] },
        { label: "UP-DETR", values: [72.7, 50.0] },
        { label: "AlignDet", values: [72.6, 49.1] },
        { label: "DETReg", values: [72.6, 49.4] },
        { label: "MutDet", values: [74.5, 51.6] },
      ],
    },
    {
      caption: "DIOR-R with a share of the labels: AP50 in %",
      source: `${SECOND_SOURCE}; the gain of 6.1 over DETReg at 10 % is also in the abstract`,
      confirmed: false,
      columns: ["10 %", "25 %", "50 %"],
      rows: [
        { label: "No detection pre-training", values: [37.9, 51.1, 58.8] },
        { label: "DETReg", values: [50.8, 58.4, 63.1] },
        { label: "MutDet", values: [56.9, 62.9, 66.7] },
      ],
    },
    {
      caption: "Ablation on DIOR-R: AP50 in % after 12, 24 and 36 epochs",
      source: SECOND_SOURCE,
      confirmed: false,
      columns: ["12 epochs", "24 epochs", "36 epochs"],
      rows: [
        { label: "DETReg", values: [62.1, 65.1, 67.9] },
        { label: "+ contrastive loss", values: [62.6, 65.8, 68.5] },
        { label: "+ enhanced embeddings", values: [62.8, 65.9, 68.7] },
        { label: "+ enhanced features", values: [65.5, 67.0, 69.5] },
        { label: "+ encoder loss and siamese head (MutDet)", values: [66.9, 69.8, 70.7] },
      ],
    },
  ],
};
