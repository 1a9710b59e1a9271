import type { PaperCard } from "../../card.ts";

const TABLE = "results table published as an image in the official repository";

export const card: PaperCard = {
  slug: "medrpg",
  title: "Medical Phrase Grounding with Region-Phrase Context Contrastive Alignment",
  arxivId: "2303.07618",
  published: "2023-03-13",
  authorCount: 11,
  authors: [
    "Zhihao Chen",
    "Yang Zhou",
    "Anh Tran",
    "Junting Zhao",
    "Liang Wan",
    "Gideon Ooi",
    "Lionel Cheng",
    "Choon Hua Thng",
    "Xinxing Xu",
    "Yong Liu",
    "Huazhu Fu",
  ],
  venue: "MICCAI 2023",
  code: { url: "https://github.com/eraserNut/MedRPG", licence: "none stated" },
  summary:
    "MedRPG reads a chest X-ray and a short phrase such as 'small right pleural effusion' and draws one box around the finding. During training, the true box is contrasted with random boxes of the same image: both its features and the places that attention looks at must agree with the phrase. The prediction should then rest on the finding itself and not on where such findings usually are.",
  useFor:
    "I have fewer than a thousand X-rays with phrases and boxes, and I want findings located in new images.",
  topics: ["medical-imaging", "image-text", "grounding"],
  modalities: ["image", "text"],
  addresses: [
    {
      finding: "misaligned-pairs",
      because:
        "The region that a phrase describes is contrasted with other regions of the same image, so that the phrase fits its own.",
    },
  ],
  publishedResults: [
    {
      caption: "MS-CXR: accuracy (IoU of at least 0.5) and mean IoU, in %",
      source: TABLE,
      confirmed: false,
      columns: ["Accuracy", "mIoU"],
      rows: [
        { label: "BioViL", values: [7.78, 19.99] },
        { label: "GLoRIA", values: [28.74, 31.17] },
        { label: "RefTR", values: [53.69, 50.11] },
        { label: "VGTR", values: [60.27, 53.58] },
        { label: "SeqTR", values: [63.2, 56.63] },
        { label: "TransVG", values: [65.87, 58.91] },
        { label: "MedRPG", values: [69.86, 59.37] },
      ],
    },
    {
      caption: "Two further datasets: accuracy (IoU of at least 0.5) and mean IoU, in %",
      source: TABLE,
      confirmed: false,
      columns: ["ChestX-ray8 accuracy", "ChestX-ray8 mIoU", "In-house accuracy", "In-house mIoU"],
      rows: [
        { label: "TransVG", values: [34.51, 33.98, 48.3, 43.35] },
        { label: "MedRPG", values: [36.02, 34.59, 49.87, 43.86] },
      ],
    },
  ],
};
