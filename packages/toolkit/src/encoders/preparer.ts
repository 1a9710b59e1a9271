import type { NDArray } from "@concord/tensor";
import type { EncoderItem, ItemProblem } from "./encoder.ts";
import type { TokenSpan } from "./pooling.ts";

/** Some rows of the model's inputs. */
export interface PreparedBatch {
  readonly feeds: Readonly<Record<string, NDArray>>;
  /** Where the tokens of each row are; undefined when a row has no padding by its nature. */
  readonly spans?: readonly TokenSpan[];
}

/** What turns items of one kind into the inputs of one model, in two steps. */
export interface Preparer<Prepared> {
  /** All that the vectors depend on besides the model, for the digest. */
  readonly settings: unknown;
  /** An item of this kind, with which the model is tried when it is opened. */
  readonly sample: EncoderItem;
  /** Most items in one run of the model, unless the caller says. */
  readonly batch: number;
  /** Most rows × size of the largest row in one run. */
  readonly budget: number;
  /** How many items to prepare at a time: enough to sort by length or to keep threads busy. */
  readonly window: number;
  /** Each item on its own: tokens, pixels, voxels, samples. Problems are numbered within these items. */
  prepare(
    items: readonly EncoderItem[],
    signal?: AbortSignal,
    /** Another size than the model's, where items have one: pictures and scans. */
    size?: readonly number[],
  ): Promise<{
    readonly ready: readonly (readonly [index: number, item: Prepared])[];
    readonly problems: readonly ItemProblem[];
  }>;
  /** What a row costs: items of like size share a batch. */
  sizeOf(item: Prepared): number;
  /** Whether items of these sizes may stand in one batch although the shorter one is filled up. */
  together(smaller: number, larger: number): boolean;
  /** One batch of the items, at least one. */
  collate(items: readonly Prepared[]): PreparedBatch;
  close(): Promise<void>;
}
