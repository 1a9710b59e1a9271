import type { PaperCard } from "../../card.ts";

export const card: PaperCard = {
  slug: "prokd",
  title:
    "ProKD: An Unsupervised Prototypical Knowledge Distillation Network for Zero-Resource Cross-Lingual Named Entity Recognition",
  arxivId: "2301.08855",
  published: "2023-01-20",
  authorCount: 5,
  authors: ["Ling Ge", "Chunming Hu", "Guanghui Ma", "Hong Zhang", "Jihong Liu"],
  venue: "AAAI 2023",
  summary:
    "ProKD finds names of people, places and organisations in a language without any annotation, using labelled text of another language and raw text of the target language. A teacher learns from the labelled language while the class averages (prototypes) of both languages are pulled together; a student then imitates the teacher on target text and follows labels corrected by each word's distance to the prototypes. Only the abstract and introduction were available and there is no public code, so the equations used here are a reconstruction.",
  useFor: "I need a named-entity tagger for a language in which nobody has annotated data.",
  topics: ["language", "domain-adaptation", "distillation", "clustering"],
  modalities: ["text"],
  addresses: [
    {
      finding: "domain-shift",
      because:
        "Class averages of a labelled and an unlabelled language are pulled together, so that labels carry over.",
    },
    {
      finding: "weak-labels",
      because: "Labels of the new language are corrected by the distance of each word to the class averages.",
    },
  ],
  publishedResults: [
    {
      caption: "CoNLL, English to the target language: entity F1 in %, earlier systems",
      source: "README of the TSL project (single source)",
      confirmed: false,
      columns: ["German", "Spanish", "Dutch"],
      rows: [
        { label: "Direct transfer", values: [71.1, 74.5, 79.5] },
        { label: "TSL, teacher and student without prototypes", values: [73.22, 76.94, 80.89] },
      ],
    },
    {
      caption: "ProKD, English to the target languages: mean entity F1 in %",
      source: "quoted from memory, not checked against the paper",
      confirmed: false,
      columns: ["Mean F1"],
      rows: [
        { label: "CoNLL: German, Spanish, Dutch", values: [80.35] },
        { label: "WikiAnn: Arabic, Hindi, Chinese", values: [57.81] },
      ],
    },
  ],
};
