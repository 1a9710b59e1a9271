import type { PaperCard } from "../../card.ts";

const README = "first public README of the official code, which reprints the paper's tables";
const COLUMNS = [
  "Known ACC",
  "Novel ACC",
  "Novel NMI",
  "Novel ARI",
  "All ACC",
  "All NMI",
  "All ARI",
] as const;

export const card: PaperCard = {
  slug: "cpl",
  title: "Contrastive Pseudo Learning for Open-World DeepFake Attribution",
  arxivId: "2309.11132",
  published: "2023-09-20",
  authorCount: 7,
  authors: [
    "Zhimin Sun",
    "Shen Chen",
    "Taiping Yao",
    "Bangjie Yin",
    "Ran Yi",
    "Shouhong Ding",
    "Lizhuang Ma",
  ],
  venue: "ICCV 2023",
  code: {
    url: "https://github.com/TencentYoutuResearch/OpenWorld-DeepFakeAttribution",
    licence: "Apache-2.0",
  },
  summary:
    "Only some of the face images are labelled with the forgery tool that made them; CPL assigns every image to a tool, including tools that nobody has labelled. It pulls two images together only when whole-face and patch similarity agree, because different forgeries touch different parts of a face. Soft, random pseudo-labels weighted by confidence are meant to keep images of unknown tools from being absorbed by the known ones.",
  useFor:
    "I want to trace which generator made these fake images, including generators for which I have no label.",
  topics: ["clustering", "few-labels"],
  modalities: ["image"],
  addresses: [
    {
      finding: "weak-labels",
      because:
        "Only a part of the classes is labelled: soft pseudo-labels and agreement of global and local similarity form groups for the rest.",
    },
  ],
  publishedResults: [
    {
      caption: "OW-DFA, protocol 1 (fakes only), in %",
      source: README,
      confirmed: false,
      columns: COLUMNS,
      rows: [
        {
          label: "Lower bound (labelled images only)",
          values: [99.96, 40.96, 46.43, 24.05, 46.9, 63.18, 36.35],
        },
        { label: "RankStats", values: [98.58, 49.94, 56.05, 39.76, 72.49, 73.63, 66.49] },
        { label: "OpenLDN", values: [97.42, 45.83, 51.05, 38.12, 63.94, 71.38, 62.53] },
        { label: "ORCA", values: [97.17, 66.32, 63.0, 53.3, 80.81, 79.23, 74.05] },
        { label: "NACH", values: [96.88, 70.13, 67.1, 56.63, 82.61, 81.98, 76.41] },
        { label: "CPL", values: [97.5, 71.89, 68.2, 59.37, 83.7, 82.31, 77.64] },
        { label: "Upper bound (all labels)", values: [98.21, 95.36, 91.57, 92.14, 96.68, 93.94, 93.59] },
      ],
    },
    {
      caption: "OW-DFA, protocol 2 (with real faces), in %",
      source: README,
      confirmed: false,
      columns: COLUMNS,
      rows: [
        {
          label: "Lower bound (labelled images only)",
          values: [99.8, 46.48, 48.44, 31.49, 65.73, 68.91, 65.75],
        },
        { label: "ORCA", values: [95.04, 53.81, 60.01, 38.91, 78.99, 78.04, 83.8] },
        { label: "NACH", values: [96.19, 53.92, 58.49, 38.73, 79.53, 77.91, 84.53] },
        { label: "CPL", values: [95.64, 59.92, 63.9, 43.75, 81.1, 80.23, 84.99] },
      ],
    },
  ],
};
