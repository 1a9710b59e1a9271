import type { PaperCard } from "../../card.ts";

const README = "README of the official code";

export const card: PaperCard = {
  slug: "cogenav",
  title: "CoGenAV: Versatile Audio-Visual Representation Learning via Contrastive-Generative Synchronization",
  arxivId: "2505.03186",
  published: "2025-05-06",
  authorCount: 4,
  authors: ["Detao Bai", "Zhiheng Ma", "Xihan Wei", "Liefeng Bo"],
  code: { url: "https://github.com/HumanMLLM/CoGenAV", licence: "none stated" },
  summary:
    "Talking-face video carries two signals for free: lips and voice belong together, and both spell out the same words. CoGenAV trains one audio-visual encoder on both, by telling synchronous pairs from mismatched ones and by making a frozen speech recogniser write the right text from its features. The features then serve lip reading, recognition in noise, speech separation and finding out who is speaking.",
  useFor: "My speech recogniser fails in noise; I can add a camera, but I have little labelled data.",
  topics: ["audio", "video", "generation"],
  modalities: ["video", "audio", "text"],
  addresses: [
    {
      finding: "misaligned-pairs",
      because:
        "Lips and voice of the same clip are trained to agree moment by moment, against mismatched ones.",
    },
  ],
  publishedResults: [
    {
      caption: "Speech recognition on LRS2: word error rate in %, lower is better",
      source: README,
      confirmed: false,
      columns: ["Video only", "Audio-visual, babble at 0 dB", "Audio-visual, clean"],
      rows: [
        { label: "Whisper medium, audio only, zero-shot", values: [null, 34.2, 6.4] },
        { label: "Whisper medium, audio only, fine-tuned", values: [null, null, 1.5] },
        { label: "CoGenAV base + Whisper small", values: [24.8, 5.2, 2.5] },
        { label: "CoGenAV large + Whisper medium", values: [20.4, 2.6, 1.8] },
        { label: "CoGenAV large + fine-tuned Whisper", values: [null, null, 1.27] },
      ],
    },
    {
      caption: "Lip reading on LRS2 as the two versions of the paper state it: word error rate in %",
      source: "abstracts of arXiv versions 1 and 2",
      confirmed: true,
      columns: ["Video only"],
      rows: [
        { label: "Version 1", values: [22.0] },
        { label: "Version 2", values: [20.5] },
      ],
    },
    {
      caption: "Speech separation and enhancement with AV-Sepformer on LRS2 mixtures",
      source: README,
      confirmed: false,
      columns: ["SI-SNRi, dB", "SDRi, dB", "PESQ"],
      rows: [
        { label: "Separation", values: [15.7, 16.0, 3.23] },
        { label: "Enhancement", values: [8.3, 9.0, 2.56] },
      ],
    },
    {
      caption: "Active speaker detection on Talkies",
      source: README,
      confirmed: false,
      columns: ["mAP, %"],
      rows: [{ label: "CoGenAV + LRASD head", values: [96.3] }],
    },
  ],
};
