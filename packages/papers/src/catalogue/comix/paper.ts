import type { PaperCard } from "../../card.ts";

const POSTER = "the authors' NeurIPS poster";

export const card: PaperCard = {
  slug: "comix",
  title: "Contrast and Mix: Temporal Contrastive Video Domain Adaptation with Background Mixing",
  arxivId: "2110.15128",
  published: "2021-10-28",
  authorCount: 5,
  authors: ["Aadarsh Sahoo", "Rutav Shah", "Rameswar Panda", "Kate Saenko", "Abir Das"],
  venue: "NeurIPS 2021",
  code: { url: "https://github.com/CVIR/CoMix", licence: "Apache-2.0" },
  summary:
    "An action recogniser trained on one video collection leans on familiar backgrounds and fails on another collection. CoMix adapts it without target labels: a video must be recognised at two playback speeds, must keep its identity when a background of the other collection is blended in, and confident target videos of one predicted class are drawn together. Unlike earlier methods it needs no adversarial training.",
  useFor:
    "My action recogniser was trained on one kind of video and fails on another, for which I have only unlabelled clips.",
  topics: ["video", "domain-adaptation"],
  modalities: ["video"],
  addresses: [
    {
      finding: "domain-shift",
      because:
        "Videos of both collections meet in one space: backgrounds are exchanged between them, and confident videos of one predicted class are drawn together without labels.",
    },
  ],
  publishedResults: [
    {
      caption: "Accuracy in % with I3D features",
      source: POSTER,
      confirmed: false,
      columns: ["UCF to HMDB", "HMDB to UCF", "Mean", "Jester", "Epic-Kitchens, mean of 6"],
      rows: [
        { label: "Source only", values: [80.3, 88.8, 84.5, 51.5, 35.3] },
        { label: "DANN", values: [80.7, 88.0, 84.3, null, null] },
        { label: "TA3N", values: [81.4, 90.5, 85.9, 55.5, 39.9] },
        { label: "SAVA", values: [82.2, 91.2, 86.7, null, null] },
        { label: "CoMix", values: [86.7, 93.9, 90.3, 64.7, 43.2] },
        { label: "Supervised on the target", values: [95.0, 96.8, 95.9, 95.6, 61.5] },
      ],
    },
    {
      caption: "Ablation of the three losses: accuracy in %",
      source: POSTER,
      confirmed: false,
      columns: ["UCF to HMDB", "HMDB to UCF", "Mean", "Jester"],
      rows: [
        { label: "Temporal contrast (TCL)", values: [83.3, 88.4, 85.8, 57.5] },
        { label: "TCL + background mixing (BGM)", values: [86.2, 91.2, 88.7, 63.1] },
        { label: "TCL + target pseudo-labels (TPL)", values: [83.5, 91.9, 87.7, 62.9] },
        { label: "TCL + BGM + TPL", values: [86.7, 93.9, 90.3, 64.7] },
      ],
    },
    {
      caption: "What is mixed into the video: accuracy in %",
      source: POSTER,
      confirmed: false,
      columns: ["UCF and HMDB, mean", "Jester"],
      rows: [
        { label: "Gaussian noise", values: [87.6, 54.3] },
        { label: "Another video (MixUp)", values: [88.4, 62.2] },
        { label: "Another video (CutMix)", values: [88.3, 58.6] },
        { label: "Background of the other domain", values: [90.3, 64.7] },
      ],
    },
  ],
};
