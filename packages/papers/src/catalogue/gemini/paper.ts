import type { PaperCard } from "../../card.ts";

const TRANSCRIPTION = "a public transcription of the paper's arXiv page";

export const card: PaperCard = {
  slug: "gemini",
  title:
    "Homeomorphism Prior for False Positive and Negative Problem in Medical Image Dense Contrastive Representation Learning",
  arxivId: "2502.05282",
  published: "2025-02-07",
  authorCount: 6,
  authors: ["Yuting He", "Boyu Wang", "Rongjun Ge", "Yang Chen", "Guanyu Yang", "Shuo Li"],
  venue: "IEEE TPAMI 2025",
  code: { url: "https://github.com/YutingHe-list/GEMINI", licence: "none stated" },
  summary:
    "Matching the pixels of two patients by feature similarity gives mostly wrong pairs, and wrong pairs teach wrong features. GEMINI learns the correspondence as a smooth, nearly invertible deformation from one patient to the other, guided by agreement of the features and of the images. It yields a dense encoder that needs very few labels, and a registration network as well.",
  useFor:
    "I have many scans of one anatomy but only five labelled ones, and I need segmentation or registration.",
  topics: ["medical-imaging", "self-supervised", "segmentation", "few-labels"],
  modalities: ["image", "volume"],
  addresses: [
    {
      finding: "misaligned-pairs",
      because:
        "Wrong pairs of points are replaced: the correspondence between two scans is learned as a smooth, nearly invertible deformation.",
    },
  ],
  publishedResults: [
    {
      caption: "Segmentation from five labels: Dice in %",
      source: `tables, read in ${TRANSCRIPTION}`,
      confirmed: true,
      columns: ["Cardiac CT", "Brain MR", "Chest X-ray", "Average"],
      rows: [
        { label: "U-Net, five labels only", values: [84.3, 69.5, 83.4, 79.1] },
        { label: "DSC-PM", values: [null, null, null, 85.1] },
        { label: "PixPro", values: [null, null, null, 86.4] },
        { label: "DeepRS", values: [null, null, 86.0, null] },
        { label: "BRBS", values: [91.1, 87.2, null, null] },
        { label: "GEMINI", values: [91.2, 87.3, 87.7, 88.7] },
      ],
    },
    {
      caption: "Pre-training on brain MR, then fine-tuning: Dice in %",
      source: `tables, read in ${TRANSCRIPTION}`,
      confirmed: true,
      columns: ["KiPA22", "CANDI", "Average"],
      rows: [
        { label: "From scratch", values: [null, null, 78.2] },
        { label: "BYOL", values: [null, null, 86.7] },
        { label: "GVSL", values: [null, null, 86.7] },
        { label: "GEMINI", values: [85.0, 90.0, 87.5] },
      ],
    },
    {
      caption: "Pre-training on chest X-rays, then fine-tuning: Dice in %",
      source: `Table III in ${TRANSCRIPTION} that shifts its rows`,
      confirmed: false,
      columns: ["SCR-25", "KiPA22", "CANDI", "Average"],
      rows: [
        { label: "From scratch", values: [null, null, null, "about 73.6"] },
        { label: "GEMINI", values: [92.1, 79.1, 89.8, 87.0] },
      ],
    },
    {
      caption: "Ablation on cardiac CT, in %",
      source: `tables, read in ${TRANSCRIPTION}`,
      confirmed: true,
      columns: ["Segmentation Dice", "Registration Dice", "Folded voxels"],
      rows: [
        { label: "Supervision only", values: [84.3, null, null] },
        { label: "No deformation", values: [null, 62.1, null] },
        { label: "Image agreement (GVS) only", values: [89.3, 51.3, 40.8] },
        { label: "Feature agreement (GSS) only", values: [90.0, 84.1, 10.2] },
        { label: "Without explicit positive pairs", values: [90.3, null, null] },
        { label: "Explicit positive pairs from half-way", values: [90.5, null, null] },
        { label: "GEMINI", values: [91.2, null, null] },
      ],
    },
    {
      caption: "Correct correspondences in the foreground, in %",
      source: `Figure 14, read in ${TRANSCRIPTION}`,
      confirmed: true,
      columns: ["Correct"],
      rows: [
        { label: "Pairing by feature similarity", values: [5.79] },
        { label: "GEMINI", values: [60.74] },
      ],
    },
  ],
};
