import { z } from "zod";

/** How far a run has come. A `running` record whose process is gone counts as interrupted and can be resumed. */
export const runStatus = z.enum(["queued", "running", "done", "failed", "cancelled"]);
export type RunStatus = z.infer<typeof runStatus>;

export const verdictOutcome = z.enum(["reproduced", "not reproduced", "inconclusive"]);
export type VerdictOutcome = z.infer<typeof verdictOutcome>;

/** The judgement of one claim: the paired change with its confidence interval against the declared margin. */
export const verdict = z.object({
  claim: z.string(),
  statement: z.string(),
  metric: z.string(),
  arm: z.string(),
  against: z.string(),
  change: z.enum(["absolute", "relative"]),
  direction: z.enum(["higher", "lower"]),
  margin: z.number(),
  /** Change per seed, positive in the claimed direction. */
  changes: z.array(z.number()),
  mean: z.number(),
  /** 95 % interval of the mean (Student's t over paired seeds); null with a single seed. */
  interval: z.tuple([z.number(), z.number()]).nullable(),
  outcome: verdictOutcome,
});
export type Verdict = z.infer<typeof verdict>;

export const unitRecord = z.object({
  /** "seed-N/prepare" or "seed-N/ARM"; names the folder `units/seed-N/ARM` of the run. */
  id: z.string().regex(/^seed-\d+\/[a-z0-9]+(-[a-z0-9]+)*$/),
  seed: z.number().int(),
  /** null for the preparation of a seed. */
  arm: z.string().nullable(),
  status: z.enum(["pending", "running", "done"]),
  seconds: z.number().optional(),
});
export type UnitRecord = z.infer<typeof unitRecord>;

/** `run.json`: everything about a run but its log. Written atomically, whole, at every change of state. */
export const runRecord = z.object({
  version: z.literal(1),
  id: z.string(),
  paper: z.string(),
  preset: z.enum(["smoke", "default", "paper"]),
  seeds: z.array(z.number().int()),
  arms: z.array(z.string()),
  inputs: z.record(z.string(), z.union([z.string(), z.boolean()])),
  config: z.unknown(),
  /** Where its graphs run; left out for the default of the process that executes it. */
  device: z.string().optional(),
  status: runStatus,
  createdAt: z.string(),
  startedAt: z.string().optional(),
  finishedAt: z.string().optional(),
  /** Seconds of computing over all attempts (a resumed run adds up). */
  seconds: z.number(),
  /** How often the run was taken up again after a kill. */
  resumes: z.number().int(),
  /** The process that executes it, for people; whether it lives, the run's lock says (`RunStore.isInterrupted`). */
  pid: z.number().int().optional(),
  error: z.string().optional(),
  environment: z.record(z.string(), z.string()),
  units: z.array(unitRecord),
  results: z.array(
    z.object({ arm: z.string(), seed: z.number().int(), metrics: z.record(z.string(), z.number()) }),
  ),
  verdicts: z.array(verdict),
});
export type RunRecord = z.infer<typeof runRecord>;

/** One line of `log.jsonl`. */
export const logRecord = z.discriminatedUnion("kind", [
  /** A point of the curves. */
  z.object({
    kind: z.literal("step"),
    time: z.string(),
    unit: z.string(),
    phase: z.string(),
    step: z.number(),
    values: z.record(z.string(), z.union([z.number(), z.string(), z.boolean(), z.null()])),
  }),
  /** A message for people. Its unit is "run" when it is about the run as a whole. */
  z.object({
    kind: z.literal("note"),
    time: z.string(),
    unit: z.string(),
    level: z.enum(["info", "warning"]),
    message: z.string(),
  }),
  /** How far the current unit is (at most about twice a second). */
  z.object({
    kind: z.literal("progress"),
    time: z.string(),
    unit: z.string(),
    phase: z.string(),
    step: z.number(),
    steps: z.number(),
    loss: z.number().optional(),
    samplesPerSecond: z.number().optional(),
    dataSeconds: z.number().optional(),
    computeSeconds: z.number().optional(),
  }),
  /** run.json changed: a unit started or ended, results or the status changed. */
  z.object({
    kind: z.literal("state"),
    time: z.string(),
    unit: z.string().optional(),
    status: runStatus,
    unitStatus: z.enum(["pending", "running", "done"]).optional(),
  }),
]);
export type LogRecord = z.infer<typeof logRecord>;

/** `maps/seed-N.json`: the embeddings of every arm projected to the plane on axes common to all arms of the seed. */
export const embeddingMap = z.object({
  seed: z.number().int(),
  /** Share of the variance that the two axes carry, 0 to 1. */
  explained: z.number(),
  /** Share of the variance per axis. */
  shares: z.tuple([z.number(), z.number()]).optional(),
  labels: z.array(z.string()).optional(),
  arms: z.record(z.string(), z.record(z.string(), z.array(z.tuple([z.number(), z.number()])))),
});
export type EmbeddingMap = z.infer<typeof embeddingMap>;
