import type { Key, NDArray } from "@concord/tensor";
import type { Figure } from "./figures.ts";

export type PresetName = "smoke" | "default" | "paper";

/** One way of training or not training that an experiment compares. */
export interface Arm {
  readonly id: string;
  readonly label: string;
  /** `reference`: the untouched start; `baseline`: what one would do without the paper; `method`; `ablation`: method less or other than one component. */
  readonly role: "reference" | "baseline" | "method" | "ablation";
  readonly description: string;
}

export interface Metric {
  readonly id: string;
  readonly label: string;
  /** Shown after the value, e.g. "%". */
  readonly unit?: string;
  readonly better: "higher" | "lower" | "neither";
  /** Decimals shown. */
  readonly digits: number;
  /** Exact definition, one or two sentences. */
  readonly description: string;
  /** True when an arm may lack it, e.g. an accuracy when the user's data carry no labels. Default false. */
  readonly optional?: boolean;
}

/**
 * A statement of the paper that a run tests: over paired seeds, the change of `metric` from arm `against` to arm
 * `arm`, counted positive in `direction`, must reach `margin`: the claim is reproduced when the whole 95 % interval
 * of the mean change is >= margin, not reproduced when the whole interval is < margin, else inconclusive (as it always
 * is with a single seed). A negative margin states non-inferiority: how much worse is still 'does not suffer'. Margins
 * are declared here, before any run; that of a relative change is a fraction (0.03 for 3 %).
 */
export interface Claim {
  readonly id: string;
  readonly statement: string;
  readonly metric: string;
  readonly arm: string;
  readonly against: string;
  /** `absolute`: arm - against; `relative`: (arm - against) / |against|. */
  readonly change: "absolute" | "relative";
  readonly direction: "higher" | "lower";
  readonly margin: number;
  /** Where the paper claims it. */
  readonly source: string;
}

/** Something a user may hand to a run, e.g. a CSV of pairs. Becomes a flag of `concord run`. */
export interface RunInput {
  /** Flag name without dashes, e.g. "pairs". */
  readonly name: string;
  readonly kind: "path" | "flag" | "text";
  /** Shown in help, e.g. "FILE.csv". */
  readonly placeholder?: string;
  readonly description: string;
  /** Names of inputs that must come with this one. */
  readonly requires?: readonly string[];
}

export interface Preset<Config> {
  /** Plain JSON: it is kept in the run record. */
  readonly config: Config;
  /** How many paired seeds the preset runs unless told otherwise. */
  readonly seeds: number;
  /** Cost and purpose in one line, e.g. "3 seeds, 7 arms, about 4 minutes on 2 cores". */
  readonly description: string;
}

/** Points of one kind (e.g. "image", "text") to be shown on the embedding map: [N, D] float32, N <= about 300. */
export type EmbeddingSets = Readonly<Record<string, NDArray<"float32">>>;

export interface ArmResult {
  /** One value per metric of the experiment, in the unit that the metric declares (76.2 for 76.2 %). */
  readonly metrics: Readonly<Record<string, number>>;
  readonly embeddings?: EmbeddingSets;
  /** What each row of the embeddings is, e.g. its caption; same order in every set. */
  readonly embeddingLabels?: readonly string[];
  /** At most 8, with ids of their own. */
  readonly figures?: readonly Figure[];
}

export type LogValue = number | string | boolean | null;

/** State that can be written to a checkpoint: nested records and lists of arrays. */
export type ArrayTree = NDArray | { readonly [name: string]: ArrayTree } | readonly ArrayTree[];

export interface Progress {
  /** What is going on, e.g. "pre-training". */
  readonly phase: string;
  readonly step: number;
  readonly steps: number;
  readonly loss?: number;
  readonly samplesPerSecond?: number;
  /** Seconds so far spent waiting for data, and computing. */
  readonly dataSeconds?: number;
  readonly computeSeconds?: number;
}

/** What the harness gives to one unit of work: the preparation of a seed, or one arm of a seed. */
export interface UnitContext<Config> {
  readonly config: Config;
  readonly seed: number;
  /** Derived from the seed alone, the same in every unit of a seed: its arms are paired. Fold in what differs. */
  readonly key: Key;
  /** e.g. "seed-0/prepare" or "seed-0/clip-refine". */
  readonly unit: string;
  /** Values of the experiment's inputs that were given. */
  readonly inputs: Readonly<Record<string, string | boolean>>;
  /** Aborted when the run is cancelled; long loops call `signal.throwIfAborted()`. */
  readonly signal: AbortSignal;
  /**
   * Appends a record to log.jsonl; `step` and numbers become curves on the page. Within a unit, a phase and step with
   * the same value names is written once, so that a resumed unit which passes by again leaves no duplicates.
   */
  log(phase: string, step: number, values: Readonly<Record<string, LogValue>>): void;
  /** A message for people, e.g. about rejected input rows. Written once per unit, level and text. */
  note(message: string, level?: "info" | "warning"): void;
  progress(progress: Progress): void;
  /**
   * Result of `build`, kept on disk under the unit: after a kill it is loaded instead of built again. `prepare` is
   * called again when a run is resumed, and finds its memos, until all arms of the seed are done.
   */
  memo<T extends ArrayTree>(name: string, build: () => Promise<T>): Promise<T>;
  readonly checkpoint: {
    /** The newest checkpoint of this name, or null. */
    load(name: string): Promise<{ readonly step: number; readonly state: ArrayTree } | null>;
    save(name: string, step: number, state: ArrayTree): Promise<void>;
  };
  /**
   * Absolute path for a file that this unit leaves in the run folder. A unit that is resumed writes its files again.
   *
   * @throws RangeError when the name is anything but letters, digits, `.`, `_`, `-`
   */
  artefact(fileName: string): string;
}

/** An experiment: everything the harness needs to test a paper's claims. `Shared` is what the arms of a seed have in common. */
export interface Experiment<Config = unknown, Shared = unknown> {
  readonly slug: string;
  readonly arms: readonly Arm[];
  readonly metrics: readonly Metric[];
  readonly claims: readonly Claim[];
  readonly presets: Readonly<Record<PresetName, Preset<Config>>>;
  readonly inputs?: readonly RunInput[];
  /** Checks inputs before anything is queued or computed; throws an Error that says what is wrong. */
  validate?(inputs: Readonly<Record<string, string | boolean>>, preset: PresetName): Promise<void>;
  /** Data and whatever all arms of this seed start from, e.g. the pre-trained model. */
  prepare(context: UnitContext<Config>): Promise<Shared>;
  runArm(arm: string, shared: Shared, context: UnitContext<Config>): Promise<ArmResult>;
  /** Called once per seed when all its arms are done: stop workers, close files. */
  dispose?(shared: Shared): Promise<void>;
}
