import type { PaperCard } from "../../card.ts";

const README =
  "README of the official code; these are figures of SuperFlow (2024), which SuperFlow++ extends";

export const card: PaperCard = {
  slug: "superflow",
  title: "SuperFlow++: Enhanced Spatiotemporal Consistency for Cross-Modal Data Pretraining",
  arxivId: "2503.19912",
  published: "2025-03-25",
  authorCount: 8,
  authors: [
    "Xiang Xu",
    "Lingdong Kong",
    "Hui Shuai",
    "Wenwei Zhang",
    "Liang Pan",
    "Kai Chen",
    "Ziwei Liu",
    "Qingshan Liu",
  ],
  venue: "IEEE TPAMI 2025",
  code: {
    url: "https://github.com/Xiangxu-0103/SuperFlow",
    licence: "Apache-2.0 according to its README, no licence file",
  },
  summary:
    "SuperFlow++ teaches a laser-scanner (LiDAR) network what things are without labels: groups of points must match the features that a frozen image network gives to the corresponding pixels, in sparse and in dense scans and from one moment to the next. When labels are scarce, neighbouring scans then vote on the label of each point. The public code and text do not define that vote, so the one used here is our reading.",
  useFor: "I want 3D segmentation of driving scenes from one percent of the labels.",
  topics: ["3d", "self-supervised", "distillation", "segmentation", "few-labels"],
  modalities: ["image", "point-cloud"],
  addresses: [
    {
      finding: "misaligned-pairs",
      because:
        "Groups of laser points are trained to match the features of the pixels that show the same thing.",
    },
  ],
  publishedResults: [
    {
      caption: "Semantic segmentation: mIoU in %, by share of labels (LP: linear probe)",
      source: README,
      confirmed: false,
      columns: [
        "nuScenes LP",
        "nuScenes 1 %",
        "nuScenes 5 %",
        "nuScenes 10 %",
        "nuScenes 25 %",
        "nuScenes 100 %",
        "KITTI 1 %",
        "Waymo 1 %",
      ],
      rows: [
        { label: "Random initialisation", values: [8.1, 30.3, 47.84, 56.15, 65.48, 74.66, 39.5, 39.41] },
        { label: "SLidR, ViT-B", values: [45.35, 41.64, 55.83, 62.68, 67.61, 74.98, 45.5, 48.32] },
        { label: "Seal, ViT-B", values: [46.59, 45.98, 57.15, 62.79, 68.18, 75.41, 47.24, 48.91] },
        { label: "SuperFlow, ViT-S", values: [46.44, 47.81, 59.44, 64.47, 69.2, 76.54, 47.97, 49.94] },
        { label: "SuperFlow, ViT-B", values: [47.66, 48.09, 59.66, 64.52, 69.79, 76.57, 48.4, 50.2] },
        { label: "SuperFlow, ViT-L", values: [48.01, 49.95, 60.72, 65.09, 70.01, 77.19, 49.07, 50.67] },
      ],
    },
    {
      caption: "Robustness after full fine-tuning, MinkUNet-34 (mCE: lower is better, mRR: higher is better)",
      source: README,
      confirmed: false,
      columns: ["mCE", "mRR"],
      rows: [
        { label: "Random initialisation", values: [112.2, 72.57] },
        { label: "SuperFlow", values: [91.67, 83.17] },
      ],
    },
  ],
};
