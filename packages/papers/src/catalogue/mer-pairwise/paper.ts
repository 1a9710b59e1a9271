import type { PaperCard } from "../../card.ts";

export const card: PaperCard = {
  slug: "mer-pairwise",
  title: "Multimodal Emotion Recognition with Modality-Pairwise Unsupervised Contrastive Loss",
  arxivId: "2207.11482",
  published: "2022-07-23",
  authorCount: 6,
  authors: [
    "Riccardo Franceschini",
    "Enrico Fini",
    "Cigdem Beyan",
    "Alessandro Conti",
    "Federica Arrigoni",
    "Elisa Ricci",
  ],
  venue: "ICPR 2022",
  code: { url: "https://github.com/ricfrr/mpuc-mer", licence: "none stated" },
  summary:
    "Emotion labels are expensive and people disagree about them, so this method learns from recordings without any. Words, voice, face video and facial landmarks of one utterance are encoded separately, and every pair of them is trained to agree on which utterance they belong to. Labels are needed only afterwards, for a small classifier on the joined, frozen features.",
  useFor: "I have many recordings of people speaking and only a few reliable emotion labels.",
  topics: ["audio", "video", "language", "self-supervised"],
  modalities: ["text", "audio", "video", "landmarks"],
  addresses: [
    {
      finding: "misaligned-pairs",
      because:
        "Words, voice, face and landmarks of one utterance are trained to agree, pair by pair of modalities, without labels.",
    },
    {
      finding: "weak-labels",
      because: "The joined, frozen features let a small classifier work with few labels.",
    },
  ],
  publishedResults: [],
};
