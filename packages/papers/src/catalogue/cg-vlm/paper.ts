import type { PaperCard } from "../../card.ts";

export const card: PaperCard = {
  slug: "cg-vlm",
  title: "Contrastive Vision-Language Alignment Makes Efficient Instruction Learner",
  arxivId: "2311.17945",
  published: "2023-11-28",
  authorCount: 6,
  authors: ["Lizhao Liu", "Xinyu Sun", "Tianhang Xiang", "Zhuangwei Zhuang", "Liuren Yin", "Mingkui Tan"],
  summary:
    "To let a language model read images, an adapter is usually trained by captioning alone, which leaves each word similar to nearly all patches of an image. CG-VLM adds a contrastive term that pulls the pooled patches towards the language model's own word embeddings of the right caption, so that instruction tuning needs fewer examples. No code was published and only the abstract and introduction were available, so parts of the objective used here are a reconstruction.",
  useFor: "I am connecting an image encoder to a language model and have few instruction examples.",
  topics: ["image-text", "generation", "few-labels"],
  modalities: ["image", "text"],
  addresses: [
    {
      finding: "misaligned-pairs",
      because:
        "A contrastive term pulls the pooled features of a picture towards the words of its own caption, and away from those of others.",
    },
    {
      finding: "modality-gap",
      because: "The adapter brings picture features into the space of the language model's own word vectors.",
    },
  ],
  publishedResults: [
    {
      caption:
        "ScienceQA with images, zero-shot: accuracy relative to LLaVA tuned on all instruction data, in %",
      source: "abstract",
      confirmed: true,
      columns: ["Instruction data used, %", "Relative accuracy"],
      rows: [{ label: "CG-VLM", values: [10, 95] }],
    },
  ],
};
