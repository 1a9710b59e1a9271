import type { PaperCard } from "../../card.ts";

export const card: PaperCard = {
  slug: "whitenedcse",
  title: "Whitening-based Contrastive Learning of Sentence Embeddings",
  arxivId: "2305.17746",
  published: "2023-05-28",
  authorCount: 5,
  authors: ["Wenjie Zhuo", "Yifan Sun", "Xiaohan Wang", "Linchao Zhu", "Yi Yang"],
  venue: "ACL 2023",
  code: { url: "https://github.com/SupstarZh/WhitenedCSE", licence: "none stated" },
  summary:
    "WhitenedCSE turns a text encoder and plain sentences into an embedding model, without labels. Every sentence is encoded three times with different dropout, the features of each copy are decorrelated (whitened) in randomly shuffled groups of channels, and the copies of one sentence are pulled together against the rest of the batch. Whitening spreads the embeddings out, and a different shuffle for each copy makes the positives more diverse.",
  useFor: "I have a text encoder and a list of plain sentences, and I need semantic search without labels.",
  topics: ["language", "self-supervised", "retrieval"],
  modalities: ["text"],
  addresses: [
    {
      finding: "anisotropy",
      because:
        "Features are centred and decorrelated (whitened) in training, which opens the narrow cone that text encoders produce.",
    },
    {
      finding: "poor-uniformity",
      because: "Whitening spreads the vectors, and contrast with the rest of the batch keeps them apart.",
    },
    {
      finding: "dimensional-collapse",
      because: "Decorrelated groups of channels cannot all say the same.",
    },
  ],
  publishedResults: [
    {
      caption: "Semantic textual similarity: Spearman correlation × 100, setting 'all'",
      source: "README of the official code; the SimCSE average follows from the gain of 2.53 in the abstract",
      confirmed: false,
      columns: ["STS12", "STS13", "STS14", "STS15", "STS16", "STS-B", "SICK-R", "Average"],
      rows: [
        {
          label: "SimCSE, BERT-base",
          arm: "simcse-2",
          values: [null, null, null, null, null, null, null, 76.25],
        },
        {
          label: "WhitenedCSE, BERT-base",
          arm: "whitenedcse",
          values: [74.03, 84.9, 76.4, 83.4, 80.23, 81.14, 71.33, 78.78],
        },
        {
          label: "WhitenedCSE, BERT-large",
          values: [74.65, 85.79, 77.49, 84.71, 80.33, 81.48, 75.34, 79.97],
        },
      ],
    },
  ],
};
