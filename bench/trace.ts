import { readFileSync } from "node:fs";

/** Sizes by element type, e.g. { float: [64, 128] }. */
export type TypedShape = Readonly<Record<string, readonly number[]>>;

/** An event of ONNX Runtime's trace. Times in microseconds. */
export interface TraceEvent {
  readonly cat: string;
  readonly name: string;
  readonly dur: number;
  readonly args?: {
    readonly op_name?: string;
    readonly input_type_shape?: readonly TypedShape[];
    readonly output_type_shape?: readonly TypedShape[];
  };
}

/** The trace that ONNX Runtime wrote; the event of a run of the graph (`model_run`) comes after those of its kernels. */
export function readTrace(path: string): TraceEvent[] {
  return JSON.parse(readFileSync(path, "utf8")) as TraceEvent[];
}

/** Whether an event is the time of a kernel. */
export function isKernel({ cat, name }: TraceEvent): boolean {
  return cat === "Node" && name.endsWith("_kernel_time");
}
