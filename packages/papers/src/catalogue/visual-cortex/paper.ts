import type { PaperCard } from "../../card.ts";

export const card: PaperCard = {
  slug: "visual-cortex",
  title:
    "Modeling the Human Visual System: Comparative Insights from Response-Optimized and Task-Optimized Vision Models, Language Models, and different Readout Mechanisms",
  arxivId: "2410.14031",
  published: "2024-10-17",
  authorCount: 3,
  authors: ["Shreya Saha", "Ishaan Chadha", "Meenakshi Khosla"],
  code: { url: "https://github.com/NeuroML-Lab/Visual-Stream-Modeling", licence: "MIT" },
  summary:
    "Which network, read out in which way, best predicts how the brain responds to a picture? The study compares encoders trained on brain responses, encoders trained on ImageNet and language embeddings of captions, from early visual areas to high-level cortex. It adds a readout that moves the receptive field of every voxel, and every feature map, according to what the picture shows.",
  useFor:
    "I have recorded responses to pictures and want to know which encoder explains which unit, with a fair comparison of readouts.",
  topics: ["neuroscience", "image-text"],
  modalities: ["image", "text", "brain-activity"],
  addresses: [],
  publishedResults: [
    {
      caption:
        "Gain in prediction accuracy of the Semantic Spatial Transformer readout, in %: range over encoders and regions",
      source: "abstract of arXiv version 5",
      confirmed: true,
      columns: ["Gain"],
      rows: [
        { label: "Over factorised readouts", values: ["3 to 23"] },
        { label: "Over ridge regression", values: ["7 to 53"] },
      ],
    },
  ],
};
