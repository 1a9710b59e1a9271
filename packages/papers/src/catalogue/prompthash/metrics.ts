import type { Metric } from "../../harness/contract.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";

/** How queries and database are made into codes. */
export const PROTOCOLS = {
  p1: "with the partner and a prompt that names the item's own labels",
  p2: "with the partner and the label-free prompt",
  p3: "of each item alone, with the label-free prompt",
} as const;

export type Protocol = keyof typeof PROTOCOLS;

const PERCENT = "%";
const lengths = PAPER_DEFAULTS.bits;

function averagePrecision(id: string, label: string, description: string): Metric {
  return { id, label, unit: PERCENT, better: "higher", digits: 1, description };
}

const ranked = "mAP over the whole database by Hamming distance, ties in database order";

const headline = lengths.map((bits) =>
  averagePrecision(
    `map-p3-${bits}`,
    `mAP, ${bits} bits`,
    `Mean of both directions of ${ranked}; codes ${PROTOCOLS.p3}.`,
  ),
);

const byDirection = lengths.flatMap((bits) => [
  averagePrecision(
    `i2t-p3-${bits}`,
    `Image to text, ${bits} bits`,
    `Pictures search texts: ${ranked}; codes ${PROTOCOLS.p3}.`,
  ),
  averagePrecision(
    `t2i-p3-${bits}`,
    `Text to image, ${bits} bits`,
    `Texts search pictures: ${ranked}; codes ${PROTOCOLS.p3}.`,
  ),
]);

const leaking = (["p2", "p1"] as const).flatMap((protocol) =>
  lengths.map((bits) =>
    averagePrecision(
      `map-${protocol}-${bits}`,
      `mAP ${protocol.toUpperCase()}, ${bits} bits`,
      `Mean of both directions of ${ranked}; codes ${PROTOCOLS[protocol]}, so that a query knows what it asks for.`,
    ),
  ),
);

export const metrics: readonly Metric[] = [
  ...headline,
  ...byDirection,
  ...leaking,
  {
    id: "precision-r2",
    label: "Precision within radius 2, 16 bits",
    unit: PERCENT,
    better: "higher",
    digits: 1,
    description:
      "Mean over queries and directions of the share of relevant items within Hamming distance 2; 0 for a query that finds none. Codes of each item alone.",
  },
  {
    id: "imbalance",
    label: "Imbalance of bits",
    unit: PERCENT,
    better: "lower",
    digits: 1,
    description:
      "Mean over the 64 bits of how far the share of ones in the database lies from one half, in points; mean of pictures and texts.",
  },
  {
    id: "bit-correlation",
    label: "Correlation of bits",
    better: "lower",
    digits: 3,
    description:
      "Mean absolute correlation of different ones of the 64 bits over pictures and texts of the database; bits that never change are left out.",
  },
  {
    id: "quantisation",
    label: "Quantisation error",
    better: "lower",
    digits: 3,
    description: "Mean squared distance of relaxed 64-bit codes from their signs, over the database.",
  },
  {
    id: "chance",
    label: "Chance",
    unit: PERCENT,
    better: "neither",
    digits: 1,
    description: "Share of the pairs of a query and a database item that share a label: mAP of random codes.",
  },
];
