import { createRequire } from "node:module";
import { type Device, parseDevice } from "./device.ts";

export { defaultThreads } from "./threads.ts";

/** e.g. "onnxruntime-node 1.30.0", without loading it. */
export function runtimeVersion(): string {
  const { name, version } = createRequire(import.meta.url)("onnxruntime-node/package.json") as {
    readonly name: string;
    readonly version: string;
  };
  return `${name} ${version}`;
}

/**
 * Device of graphs for which nobody chose one: environment variable CONCORD_DEVICE, else the CPU.
 *
 * @throws RangeError when the variable names no device
 */
export function defaultDevice(): Device {
  return parseDevice(process.env.CONCORD_DEVICE || "cpu", "CONCORD_DEVICE");
}
