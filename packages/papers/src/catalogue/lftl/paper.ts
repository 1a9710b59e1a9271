import type { PaperCard } from "../../card.ts";

export const card: PaperCard = {
  slug: "lftl",
  title:
    "Learn from the Learnt: Source-Free Active Domain Adaptation via Contrastive Sampling and Visual Persistence",
  arxivId: "2407.18899",
  published: "2024-07-26",
  authorCount: 7,
  authors: [
    "Mengyao Lyu",
    "Tianxiang Hao",
    "Xinhao Xu",
    "Hui Chen",
    "Zijia Lin",
    "Jungong Han",
    "Guiguang Ding",
  ],
  venue: "ECCV 2024",
  code: { url: "https://github.com/lyumengyao/lftl", licence: "none stated" },
  summary:
    "A trained model must work on images of a new domain, its training data are gone, and a person can label only one to five percent of the new images. Round by round, LFTL picks images by contrasting the current model with that of the previous round, preferring hard images of classes that transfer badly, and then adapts by drawing unlabelled images towards remembered features of labelled ones. It needs no extra network and no pseudo-labels.",
  useFor:
    "I have a trained model, images from a new domain and an hour for labelling: which images do I label, and how do I adapt?",
  topics: ["domain-adaptation", "few-labels"],
  modalities: ["image"],
  addresses: [
    {
      finding: "domain-shift",
      because:
        "A trained model is adapted to images of a new domain without its old data, with labels for the few images that it picks itself.",
    },
  ],
  publishedResults: [
    {
      caption: "VisDA-C: accuracy in %",
      source:
        "a third-party summary of the paper; for the 1 % row a figure in the official repository agrees",
      confirmed: false,
      columns: ["Labelled share, %", "Accuracy"],
      rows: [
        { label: "SHOT++", values: [0, 87.3] },
        { label: "LFTL", values: [1, 87.4] },
        { label: "LFTL", values: [5, 89.0] },
      ],
    },
    {
      caption: "VisDA-C: accuracy in % and total time of training and annotation, both read off a plot",
      source: "teaser figure in the official repository",
      confirmed: false,
      columns: ["Accuracy, about", "Hours, about"],
      rows: [
        { label: "SHOT++ (no source data, no labels)", values: [87, 5.8] },
        { label: "CLUE (needs source data)", values: [72, "7 to 10.5"] },
        { label: "AADA (needs source data)", values: [75, "7 to 10.5"] },
        { label: "TQS (needs source data)", values: [76, "7 to 10.5"] },
        { label: "SDM-AG (needs source data)", values: [77, "7 to 10.5"] },
        { label: "LADA (needs source data)", values: [90, "7 to 10.5"] },
        { label: "LFTL (no source data)", values: [87, 2.4] },
      ],
    },
    {
      caption: "Mixup at the end of each epoch, VisDA-C: accuracy in %",
      source: "comment in the official code",
      confirmed: false,
      columns: ["Accuracy"],
      rows: [
        { label: "Without mixup", values: [87.03] },
        { label: "With mixup", values: [87.27] },
      ],
    },
  ],
};
