import type { PaperCard } from "../../card.ts";

export const card: PaperCard = {
  slug: "uar",
  title: "Unify, Align and Refine: Multi-Level Semantic Alignment for Radiology Report Generation",
  arxivId: "2303.15932",
  published: "2023-03-28",
  authorCount: 6,
  authors: ["Yaowei Li", "Bang Yang", "Xuxin Cheng", "Zhihong Zhu", "Hongxiang Li", "Yuexian Zou"],
  venue: "ICCV 2023",
  summary:
    "UAR writes a radiology report from one or two chest X-rays. It turns the image into discrete tokens, so that picture and words pass through one shared network, pulls matching images and reports together, and in a second stage sharpens which part of the image each word looks at. The same features can find the report that belongs to an image.",
  useFor:
    "I have chest X-rays with their reports and want draft reports for new images, or to match images with reports.",
  topics: ["medical-imaging", "image-text", "generation"],
  modalities: ["image", "text"],
  addresses: [
    {
      finding: "modality-gap",
      because:
        "Image and text tokens pass through one shared network and are written in one common orthonormal basis.",
    },
    {
      finding: "misaligned-pairs",
      because: "A triplet loss pulls matching images and reports together.",
    },
  ],
  publishedResults: [
    {
      caption: "Report generation on IU-Xray",
      source: "Tables 1 to 4",
      confirmed: true,
      columns: ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr"],
      rows: [
        { label: "R2GenCMN", values: [null, null, null, 0.17, null, null, 0.344] },
        { label: "CMM + RL", values: [0.494, 0.321, 0.235, 0.181, 0.201, 0.384, null] },
        { label: "UAR", values: [0.53, 0.365, 0.263, 0.2, 0.218, 0.405, 0.501] },
      ],
    },
    {
      caption: "Ablation on IU-Xray",
      source: "Tables 1 to 4",
      confirmed: true,
      columns: ["BLEU-4", "CIDEr"],
      rows: [
        { label: "Base: ResNet-101 and transformer", values: [0.144, 0.271] },
        { label: "+ latent space unifier (LSU)", values: [0.177, 0.295] },
        { label: "+ representation aligner (CRA), integration only", values: [0.141, 0.33] },
        { label: "+ CRA, global loss only", values: [0.143, 0.409] },
        { label: "+ CRA", values: [0.158, 0.393] },
        { label: "+ LSU + CRA", values: [0.193, 0.41] },
        { label: "+ LSU + CRA + refiner (TIR), one stage", values: [0.182, 0.46] },
        { label: "+ LSU + CRA + TIR, two stages (UAR)", values: [0.2, 0.501] },
      ],
    },
    {
      caption: "Basis of the representation aligner, IU-Xray",
      source: "Table 3",
      confirmed: true,
      columns: ["BLEU-4"],
      rows: [
        { label: "Orthonormal", values: [0.2] },
        { label: "Uniform", values: [0.158] },
        { label: "Normal", values: [0.155] },
      ],
    },
    {
      caption: "Gate of the representation aligner, IU-Xray",
      source: "Table 4",
      confirmed: true,
      columns: ["BLEU-4", "CIDEr"],
      rows: [
        { label: "No gate", values: [0.155, 0.405] },
        { label: "Addition", values: [0.167, 0.376] },
        { label: "Dual gate", values: [0.2, 0.501] },
      ],
    },
  ],
};
