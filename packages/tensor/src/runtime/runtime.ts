import type { NDArray } from "../core/ndarray.ts";
import type { GraphTarget } from "../onnx/builder.ts";
import type { Device } from "./device.ts";

export interface LoadOptions {
  /** Threads of one graph run; by default the number of cores. In browsers the runtime's own number counts. */
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

/** What a model states of one of its inputs or outputs. */
export interface ModelValue {
  readonly name: string;
  /** Element type as ONNX Runtime calls it, e.g. "float32", "float16", "int64"; null for what is no tensor. */
  readonly type: string | null;
  /** Sizes; names, perhaps empty ones, stand for sizes that are open. Empty too when the model says nothing of them. */
  readonly shape: readonly (number | string)[];
}

/** A model of unknown origin, loaded to be run: what it takes and gives, it says itself. */
export interface ModelSession {
  readonly inputs: readonly ModelValue[];
  readonly outputs: readonly ModelValue[];
  /**
   * Some of the outputs, at the shapes that the feeds lead to. Feeds are converted to the types that the model states
   * (floats to floats, integers to integers); 16-bit floats come out as float32, small integers as int32.
   */
  run(
    feeds: Readonly<Record<string, NDArray>>,
    outputs: readonly string[],
  ): Promise<Readonly<Record<string, NDArray>>>;
  release(): Promise<void>;
}

/** Something that executes ONNX graphs. */
export interface Runtime {
  /** e.g. "onnxruntime-node 1.30.0 cpu" */
  readonly description: string;
  readonly target: GraphTarget;
  load(model: Uint8Array, options?: LoadOptions): Promise<Session>;
  /** @param model  its bytes, or in Node the path of its file, beside which ONNX Runtime looks for external data */
  open(model: Uint8Array | string, options?: LoadOptions): Promise<ModelSession>;
}

export interface RuntimeOptions {
  /** Default: environment variable CONCORD_DEVICE in Node, else "cpu". */
  readonly device?: Device | undefined;
  /**
   * Threads of every graph (browsers only; in Node each graph has its own, see `CompileOptions`). Default: all cores
   * where the page is cross-origin isolated, else one.
   */
  readonly threads?: number | undefined;
  /**
   * URL of the folder that holds ONNX Runtime's `ort-wasm-*` files (browsers only). Default: beside the script that
   * contains ONNX Runtime's code.
   */
  readonly assets?: string | undefined;
}

/** What `#runtime` exports in Node and in browsers. */
export interface Backend {
  openRuntime(options?: RuntimeOptions): Promise<Runtime>;
  availableDevices(): Promise<readonly DeviceStatus[]>;
}

/** Whether a device can start here; where it cannot, why, and what to do about it. */
export type DeviceStatus =
  | { readonly device: Device; readonly available: true }
  | { readonly device: Device; readonly available: false; readonly reason: string; readonly advice: string };
