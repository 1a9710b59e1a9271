import type { PaperCard } from "../../card.ts";

const READING_NOTE = "a published reading note that reprints the paper's tables";

export const card: PaperCard = {
  slug: "clip-refine",
  title: "Post-pre-training for Modality Alignment in Vision-Language Foundation Models",
  arxivId: "2504.12717",
  published: "2025-04-17",
  authorCount: 5,
  authors: ["Shin'ya Yamaguchi", "Dewei Feng", "Sekitoshi Kanai", "Kazuki Adachi", "Daiki Chijiwa"],
  venue: "CVPR 2025",
  code: {
    url: "https://github.com/yshinya6/clip-refine",
    licence: "NTT licence for evaluation (non-commercial, no copying, modification or redistribution)",
  },
  summary:
    "CLIP keeps pictures and captions in one space, yet the two sit in separate clouds, and closing that gap usually costs zero-shot skill. CLIP-Refine adds one cheap epoch on a small set of captioned images: both members of a pair are pulled towards the same random point, while a frozen copy of the model, mixed with the true pairing, preserves what was already known. Pictures and texts move together without a new architecture and without repeating the pre-training.",
  useFor:
    "My image-text encoder works, but its images and captions live apart, and I have a small set of pairs and time for one epoch to fix that.",
  topics: ["image-text", "retrieval", "distillation"],
  modalities: ["image", "text"],
  addresses: [
    {
      finding: "modality-gap",
      because:
        "Both sides of a pair are pulled towards the same random point, which draws the two clouds together in one short epoch and keeps what the model knew.",
    },
    {
      finding: "poor-uniformity",
      because:
        "The random points are spread evenly, and the published features of both sides become more uniform.",
    },
    {
      finding: "misaligned-pairs",
      because:
        "The distance between the two sides of a pair shrinks, and retrieval of pairs rises in the published results.",
    },
  ],
  publishedResults: [
    {
      caption:
        "Zero-shot classification, ViT-B/32: top-1 accuracy in %, average of 12 datasets and three of them",
      source: READING_NOTE,
      confirmed: false,
      columns: ["Average of 12", "ImageNet", "Aircraft", "Birds"],
      rows: [
        { label: "Pre-trained", values: [52.74, 59.04, 18.81, 49.37], arm: "pre-trained" },
        { label: "Contrastive, 1 epoch", values: [45.75, 52.96, 13.98, 40.07], arm: "contrastive" },
        { label: "m²-mix", values: [46.48, 53.58, 14.64, 40.76] },
        { label: "Self-KD", values: [52.94, 59.06, 18.96, 51.52], arm: "self-kd" },
        { label: "CLIP-Refine", values: [54.69, 60.93, 20.77, 52.72], arm: "clip-refine" },
      ],
    },
    {
      caption: "Zero-shot retrieval on COCO 2017 validation, ViT-B/32: recall at 1 in %",
      source: READING_NOTE,
      confirmed: false,
      columns: ["Text to image", "Image to text"],
      rows: [
        { label: "Pre-trained", values: [30.56, 33.26], arm: "pre-trained" },
        { label: "Contrastive, 1 epoch", values: [34.88, 31.86], arm: "contrastive" },
        { label: "CLIP-Refine", values: [37.64, 38.78], arm: "clip-refine" },
      ],
    },
    {
      caption: "Ablation, ViT-B/32: zero-shot top-1 accuracy in %, average of 12 datasets",
      source: READING_NOTE,
      confirmed: false,
      columns: ["Average of 12"],
      rows: [
        { label: "HyCD only", values: [53.13], arm: "hycd" },
        { label: "HyCD + direct alignment loss", values: [45.61], arm: "hycd-align" },
        { label: "HyCD + RaFA without noise (β = 0)", values: [53.79], arm: "rafa-no-noise" },
        { label: "HyCD + RaFA (β = 1), CLIP-Refine", values: [54.69], arm: "clip-refine" },
        { label: "HyCD + RaFA with strong noise (β = 100)", values: [53.59] },
      ],
    },
    {
      caption: "Geometry of the feature space; lower is better in all three columns",
      source: READING_NOTE,
      confirmed: false,
      columns: ["Modality gap (× 0.001)", "Alignment", "Uniformity (without logarithm)"],
      rows: [
        { label: "Pre-trained", values: [1.33, 1.37, 0.089], arm: "pre-trained" },
        { label: "CLIP-Refine", values: [0.79, 1.28, 0.049], arm: "clip-refine" },
      ],
    },
  ],
};
