import type { PaperCard } from "../../card.ts";

const README = "result tables printed in the README of the official code";

export const card: PaperCard = {
  slug: "languagebind",
  title:
    "LanguageBind: Extending Video-Language Pretraining to N-modality by Language-based Semantic Alignment",
  arxivId: "2310.01852",
  published: "2023-10-03",
  authorCount: 14,
  authors: [
    "Bin Zhu",
    "Bin Lin",
    "Munan Ning",
    "Yang Yan",
    "Jiaxi Cui",
    "Hongfa Wang",
    "Yatian Pang",
    "Wenhao Jiang",
    "Junwu Zhang",
    "Zongwei Li",
    "Wancai Zhang",
    "Zhifeng Li",
    "Wei Liu",
    "Li Yuan",
  ],
  venue: "ICLR 2024",
  code: { url: "https://github.com/PKU-YuanGroup/LanguageBind", licence: "MIT" },
  summary:
    "Where earlier work ties every sensor to images, LanguageBind ties each one directly to language. The text encoder of a trained image-text model stays frozen, its image encoder is copied once for video, depth, infrared and audio, and each copy learns from captions through low-rank updates of about one percent of the weights. Because all of them meet in one text space, sensors that were never trained together, such as depth and audio, become comparable.",
  useFor:
    "I want to add a new sensor to a CLIP-like search from captioned samples, without retraining everything.",
  topics: ["image-text", "video", "audio", "retrieval"],
  modalities: ["text", "image", "video", "audio", "depth", "infrared"],
  addresses: [
    {
      finding: "misaligned-pairs",
      because:
        "A new encoder is tied to a frozen text encoder by contrast with captions, so that sets whose encoders never met become comparable.",
    },
    {
      finding: "rotation-mismatch",
      because:
        "Encoders that write the same in different coordinates are brought into one frozen text space by training, where a rotation is not enough.",
    },
  ],
  publishedResults: [
    {
      caption: "Text-to-video retrieval, zero-shot: recall at 1 in %",
      source: README,
      confirmed: false,
      columns: ["MSR-VTT", "MSVD", "DiDeMo", "ActivityNet"],
      rows: [
        { label: "ImageBind-Huge", arm: "image-bound", values: [36.8, null, null, null] },
        { label: "InternVideo", values: [40.7, null, null, null] },
        { label: "LanguageBind", arm: "languagebind", values: [42.6, 52.2, 37.8, 35.1] },
        { label: "LanguageBind, fully tuned", arm: "languagebind-full", values: [42.7, null, null, null] },
      ],
    },
    {
      caption: "Zero-shot classification: top-1 accuracy in % (AudioSet: mAP)",
      source: README,
      confirmed: false,
      columns: [
        "LLVIP, infrared",
        "FLIR v1, infrared",
        "FLIR v2, infrared",
        "NYU-D, depth",
        "AudioSet",
        "ESC-50, audio",
        "VGGSound, audio",
        "K400, video",
        "K600, video",
      ],
      rows: [
        { label: "OpenCLIP", arm: "start", values: [82.2, null, null, 45.4, null, null, null, null, null] },
        {
          label: "ImageBind",
          arm: "image-bound",
          values: [63.4, null, null, 54.0, 17.6, 66.9, 27.8, null, null],
        },
        {
          label: "LanguageBind",
          arm: "languagebind",
          values: [87.2, 82.9, 48.0, 65.1, 27.7, 91.8, 28.9, 64.0, 61.9],
        },
        {
          label: "LanguageBind, fully tuned",
          arm: "languagebind-full",
          values: [null, null, null, null, 30.0, 94.0, 38.6, null, null],
        },
      ],
    },
    {
      caption: "Text-to-audio retrieval, zero-shot: recall at 1 in %",
      source: README,
      confirmed: false,
      columns: ["Clotho", "AudioCaps"],
      rows: [
        { label: "ImageBind", arm: "image-bound", values: [6.0, 9.3] },
        { label: "LanguageBind", arm: "languagebind", values: [12.1, 12.2] },
      ],
    },
    {
      caption: "Two sensors together against one: zero-shot score in %",
      source: README,
      confirmed: false,
      columns: ["Score"],
      rows: [
        { label: "NYU-D, depth", values: [65.1] },
        { label: "NYU-D, RGB", values: [76.0] },
        { label: "NYU-D, depth and RGB", values: [77.4] },
        { label: "LLVIP, RGB at night", values: [62.4] },
        { label: "LLVIP, infrared and RGB at night", values: [79.3] },
        { label: "MSR-VTT, video", values: [41.4] },
        { label: "MSR-VTT, audio and video", values: [42.0] },
      ],
    },
    {
      caption: "Emergent retrieval between sensors never trained together: recall at 1 in %",
      source: README,
      confirmed: false,
      columns: ["Recall at 1"],
      rows: [
        { label: "AVE, RGB to audio", values: [10.6] },
        { label: "AVE, RGB to audio, ImageBind (trained on this pair)", values: [36.9] },
        { label: "NYU, RGB to depth", values: [17.9] },
        { label: "NYU, depth to RGB", values: [24.5] },
        { label: "LLVIP, RGB to infrared", values: [7.5] },
        { label: "LLVIP, infrared to RGB", values: [9.3] },
      ],
    },
  ],
};
