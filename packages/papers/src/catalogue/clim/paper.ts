import type { PaperCard } from "../../card.ts";

const README = "READMEs of the official code";

export const card: PaperCard = {
  slug: "clim",
  title: "CLIM: Contrastive Language-Image Mosaic for Region Representation",
  arxivId: "2312.11376",
  published: "2023-12-18",
  authorCount: 6,
  authors: ["Size Wu", "Wenwei Zhang", "Lumin Xu", "Sheng Jin", "Wentao Liu", "Chen Change Loy"],
  venue: "AAAI 2024",
  code: { url: "https://github.com/wusize/CLIM", licence: "S-Lab License 1.0 (non-commercial)" },
  summary:
    "A model trained on whole pictures gives poor features for single regions of a picture. CLIM glues several captioned images into one mosaic and treats every tile as a region whose caption is known: the features pooled inside a tile are matched with its own text and contrasted with the other tiles. So region features are learned from image-caption pairs alone, to classify boxes or to strengthen an open-vocabulary detector.",
  useFor:
    "I have images with captions but without boxes, and I want to classify objects inside a picture or build an open-vocabulary detector.",
  topics: ["image-text", "detection", "grounding"],
  modalities: ["image", "text"],
  addresses: [
    {
      finding: "misaligned-pairs",
      because:
        "When vectors of regions do not find their texts: every tile of a mosaic is trained to match its own caption and none of the others.",
    },
  ],
  publishedResults: [
    {
      caption: "Open-vocabulary detection, Detic with CLIM",
      source: README,
      confirmed: false,
      columns: ["OV-COCO, AP50 of novel classes", "OV-LVIS, mask AP of rare classes"],
      rows: [
        { label: "Detic + CLIM, captions", values: [32.3, null] },
        { label: "Detic + CLIM, captions and tags", values: [35.4, null] },
        { label: "Detic + CLIM", values: [null, 21.8] },
      ],
    },
    {
      caption: "Open-vocabulary detection on a frozen, CLIM-refined backbone (F-VLM style)",
      source: README,
      confirmed: false,
      columns: [
        "OV-COCO novel AP50, paper",
        "OV-COCO novel AP50, released code",
        "OV-LVIS rare mask AP, paper",
        "OV-LVIS rare mask AP, released code",
      ],
      rows: [
        { label: "ViT-B/16", values: [25.7, 29.7, 20.8, 24.3] },
        { label: "RN50x64", values: [null, null, 32.3, 32.4] },
      ],
    },
    {
      caption: "COCO, further figures attributed to the paper",
      source: "public leaderboards that quote the paper",
      confirmed: false,
      columns: ["Value"],
      rows: [
        { label: "OV-COCO, AP50 of novel classes, RN50", values: [36.9] },
        { label: "Region classification", values: [62.2] },
      ],
    },
  ],
};
