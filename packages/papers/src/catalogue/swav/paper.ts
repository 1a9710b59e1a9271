import type { PaperCard } from "../../card.ts";

const README = "README of the official code";
const MEMORY = "quoted from memory, not checked against the paper";

export const card: PaperCard = {
  slug: "swav",
  title: "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments",
  arxivId: "2006.09882",
  published: "2020-06-17",
  authorCount: 6,
  authors: [
    "Mathilde Caron",
    "Ishan Misra",
    "Julien Mairal",
    "Priya Goyal",
    "Piotr Bojanowski",
    "Armand Joulin",
  ],
  venue: "NeurIPS 2020",
  code: { url: "https://github.com/facebookresearch/swav", licence: "CC BY-NC 4.0" },
  summary:
    "SwAV learns image features without labels and without negative pairs. Every image is cut into several crops, each crop is compared with trainable prototype vectors, and the scores of a whole batch are balanced into soft cluster codes, so that the images cannot all fall into one cluster. The network must predict the code of one crop from the other crops.",
  useFor: "I have a folder of unlabelled images and want features for classification, clustering or search.",
  topics: ["self-supervised", "clustering"],
  modalities: ["image"],
  addresses: [
    {
      finding: "dimensional-collapse",
      because:
        "The codes of a batch must use all prototypes equally, so that the vectors cannot fall into a few directions.",
    },
    {
      finding: "weak-labels",
      because: "Clusters form without labels, and classes become visible to nearest neighbours.",
    },
  ],
  publishedResults: [
    {
      caption: "ImageNet linear evaluation, ResNet-50: top-1 accuracy in %",
      source: `${README}; the first row is also in the paper's abstract`,
      confirmed: false,
      columns: ["Epochs", "Batch", "Crops", "Top-1"],
      rows: [
        { label: "SwAV", values: [800, 4096, "2×224 + 6×96", 75.3] },
        { label: "SwAV", values: [400, 4096, "2×224 + 6×96", 74.6], arm: "swav" },
        { label: "SwAV", values: [200, 4096, "2×224 + 6×96", 73.9] },
        { label: "SwAV", values: [100, 4096, "2×224 + 6×96", 72.1] },
        { label: "SwAV", values: [400, 4096, "2×224", 70.1], arm: "two-crops" },
        { label: "SwAV, small batch with queue", values: [400, 256, "2×224 + 6×96", 74.3] },
        { label: "SwAV, small batch with queue", values: [200, 256, "2×224 + 6×96", 72.7] },
        { label: "DeepCluster-v2", values: [400, 4096, "2×160 + 4×96", 74.3] },
        { label: "DeepCluster-v2", values: [400, 4096, "2×224", 70.2] },
        { label: "SeLa-v2", values: [400, 4096, "2×160 + 4×96", 71.8] },
        { label: "SeLa-v2", values: [400, 4096, "2×224", 67.2] },
      ],
    },
    {
      caption: "Wider networks, SwAV, 400 epochs: ImageNet linear top-1 in %",
      source: README,
      confirmed: false,
      columns: ["Top-1"],
      rows: [
        { label: "ResNet-50, width × 2", values: [77.3] },
        { label: "ResNet-50, width × 4", values: [77.9] },
        { label: "ResNet-50, width × 5", values: [78.5] },
      ],
    },
    {
      caption: "Other methods, ResNet-50: ImageNet linear top-1 in %",
      source: MEMORY,
      confirmed: false,
      columns: ["Top-1"],
      rows: [
        { label: "Supervised", values: [76.5] },
        { label: "MoCo-v2, batch 256, 200 epochs", values: [67.5] },
        { label: "SimCLR, batch 256, 200 epochs", values: [61.9], arm: "simclr" },
      ],
    },
    {
      caption: "Number of prototypes: ImageNet linear top-1 in %",
      source: MEMORY,
      confirmed: false,
      columns: ["Top-1"],
      rows: [
        { label: "300", values: [72.8] },
        { label: "1,000", values: [73.6] },
        { label: "3,000", values: [73.9], arm: "swav" },
        { label: "3,000, fixed at random", values: [73.1], arm: "fixed-prototypes" },
        { label: "10,000", values: [74.1] },
        { label: "100,000", values: [73.8] },
      ],
    },
  ],
};
