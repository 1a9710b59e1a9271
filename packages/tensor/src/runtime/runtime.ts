import type { NDArray } from "../core/ndarray.ts";
import type { GraphTarget } from "../onnx/builder.ts";

export interface LoadOptions {
  /** Threads of one graph run; by default the number of cores. */
  readonly threads?: number;
  /**
   * How far the runtime rewrites the graph: "all" (default), "basic" without fused kernels, which exist for float32
   * only, or "none" for graphs that run once.
   */
  readonly optimisation?: "all" | "basic" | "none";
  /** Path prefix for a kernel-by-kernel profile (Node only). */
  readonly profile?: string;
}

/** A loaded graph. */
export interface Session {
  /** Runs the graph; results are written into the given arrays. */
  run(feeds: Readonly<Record<string, NDArray>>, fetches: Readonly<Record<string, NDArray>>): Promise<void>;
  /** Frees native memory and, when profiling, finishes the profile. */
  release(): Promise<void>;
}

/** Something that executes ONNX graphs. */
export interface Runtime {
  /** e.g. "onnxruntime-node 1.30.0 cpu" */
  readonly description: string;
  readonly target: GraphTarget;
  load(model: Uint8Array, options?: LoadOptions): Promise<Session>;
}
