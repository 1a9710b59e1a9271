import type { Backend, DeviceStatus, Runtime, RuntimeOptions } from "./runtime.ts";

let chosen: Runtime | undefined;

// Loaded on first use: who only wants arrays and random numbers, such as a data worker, needs no ONNX Runtime.
function backend(): Promise<Backend> {
  return import("#runtime");
}

/**
 * The runtime of a device, for `CompileOptions` or `setDefaultRuntime`. The device has proved by then that it can
 * compute; a device that cannot start is never replaced by another.
 *
 *   setDefaultRuntime(await openRuntime({ device: "webgpu" }));
 *
 * @throws DeviceError saying why the device cannot start and what to do, RangeError when the environment variable
 *   CONCORD_DEVICE names no device
 */
export async function openRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  return (await backend()).openRuntime(options);
}

/** Every device that Concord knows, with whether it can start here. */
export async function availableDevices(): Promise<readonly DeviceStatus[]> {
  return (await backend()).availableDevices();
}

/**
 * From now on graphs that name no runtime of their own are compiled for this one.
 *
 * @param runtime  undefined for the runtime that `openRuntime()` gives
 * @returns what was set before
 */
export function setDefaultRuntime(runtime: Runtime | undefined): Runtime | undefined {
  const before = chosen;
  chosen = runtime;
  return before;
}

/** The runtime of graphs that name none. */
export async function defaultRuntime(): Promise<Runtime> {
  return chosen ?? openRuntime();
}
